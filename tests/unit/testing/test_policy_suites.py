"""Every policy keeps the promises of the protocol."""

from rekindle.policy.price import Price
from rekindle.policy.rules import Always, Every, Never, SoftWithFallback
from rekindle.policy.ski_rental import SkiRental
from rekindle.testing.policies import PolicySuite


class TestNever(PolicySuite):
    acts = False

    def make(self):
        return Never()


class TestAlways(PolicySuite):
    def make(self):
        return Always()


class TestEvery(PolicySuite):
    def make(self):
        return Every(7)


class TestSoftWithFallback(PolicySuite):
    def make(self):
        return SoftWithFallback(every=10)


class TestSoftWithoutFallback(PolicySuite):
    def make(self):
        return SoftWithFallback(severity=4)


class TestSkiRental(PolicySuite):
    def make(self):
        return SkiRental(Price.ratio(0.02))

"""Every trigger keeps the promises of the protocol."""

from __future__ import annotations

from rekindle.protocols import Trigger
from rekindle.stats.metrics import Metric
from rekindle.testing.triggers import TriggerSuite, sample_champion
from rekindle.triggers import DataDrift, Manual, MetricFloor, Never, PerformanceDecay, Schedule, Volume


def always_low(label, prediction):
    return 0.1


class TestDataDrift(TriggerSuite):
    def make(self):
        return DataDrift()


class TestDataDriftOnSomeFeatures(TriggerSuite):
    def make(self):
        return DataDrift(features=["x0", "name"], bins=20, min_rows=100)


class TestPerformanceDecay(TriggerSuite):
    def make(self):
        return PerformanceDecay()


class TestPerformanceDecayInTime(TriggerSuite):
    def make(self):
        return PerformanceDecay(window="7d", min_values=5)


class TestPerformanceDecayWithoutBaseline(TriggerSuite):
    def make(self):
        return PerformanceDecay(window="4 batches")

    def champion(self):
        return sample_champion(baseline_metric=None)


class TestMetricFloor(TriggerSuite):
    def make(self):
        return MetricFloor()


class TestMetricFloorInBatches(TriggerSuite):
    def make(self):
        return MetricFloor(metric="accuracy", floor=0.7, window=3)


class TestMetricFloorOfOnesOwn(TriggerSuite):
    def make(self):
        return MetricFloor(metric=Metric.of(always_low, higher_is_better=True))


class TestSchedule(TriggerSuite):
    def make(self):
        return Schedule(every="7d")


class TestScheduleInBatches(TriggerSuite):
    def make(self):
        return Schedule(every=5)


class TestVolume(TriggerSuite):
    def make(self):
        return Volume(rows=5_000)


class TestManual(TriggerSuite):
    speaks = False

    def make(self):
        return Manual()


class TestNever(TriggerSuite):
    speaks = False

    def make(self):
        return Never()


def test_all_are_triggers_by_the_protocol():
    for kind in (DataDrift, Manual, MetricFloor, Never, PerformanceDecay, Schedule, Volume):
        assert isinstance(kind(), Trigger)

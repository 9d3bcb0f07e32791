"""What one retraining costs, in money or in loss."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rekindle.declaration import finite
from rekindle.errors import DeclarationError

__all__ = ["Price"]

CURRENCY = re.compile(r"[A-Z]{3}|loss")


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one retraining against the price of an error.

    Money in, units of loss out: one retraining costs as much as `in_loss(rows)` units of one batch's mean loss.
    Use `Price.ratio(0.02)` to say it directly: a retraining is worth 2 points of one batch's loss.

    >>> Price(per_retrain=4.0, per_error=0.35).in_loss(rows=1000)
    0.011428571428571429
    >>> Price.ratio(0.02).in_loss(rows=1000)
    0.02
    """

    per_retrain: float  # money for one retraining: people, risk, fixed compute
    per_error: float  # money lost per unit of loss and row
    per_cpu_hour: float = 0.0  # money per CPU hour of training
    currency: str = "USD"  # ISO 4217 code, or "loss" for Price.ratio

    def __post_init__(self) -> None:
        for name in ("per_retrain", "per_error", "per_cpu_hour"):
            amount = finite(name, getattr(self, name), "give an amount of money, 0 or more")
            if amount < 0:
                raise DeclarationError(name, amount, "give an amount of money, 0 or more")
            object.__setattr__(self, name, amount)
        if self.per_error == 0:
            raise DeclarationError(
                "per_error", 0, "errors that cost nothing never justify retraining; give an amount above 0"
            )
        if self.per_retrain == 0 and self.per_cpu_hour == 0:
            raise DeclarationError("per_retrain", 0, "give what a retraining costs, or Price.ratio(0.02)")
        if not isinstance(self.currency, str) or not CURRENCY.fullmatch(self.currency):
            raise DeclarationError("currency", self.currency, "give an ISO code such as 'EUR'")

    @classmethod
    def ratio(cls, loss: float) -> Price:
        """A price already in units of one batch's mean loss; batches may be of any size."""
        instead = "give a number above 0, e.g. Price.ratio(0.02)"
        if finite("ratio", loss, instead) <= 0:
            raise DeclarationError("ratio", loss, instead)
        return cls(per_retrain=float(loss), per_error=1.0, currency="loss")

    def in_loss(self, rows: float, cpu_hours: float = 0.0) -> float:
        """One retraining in units of one batch's mean loss, for batches of `rows` rows.

        `cpu_hours` a training is expected to take; live they are those of the last one.
        """
        money = self.per_retrain + self.per_cpu_hour * cpu_hours
        if self.currency == "loss":
            return money / self.per_error
        return money / (self.per_error * max(rows, 1.0))

    def __str__(self) -> str:
        if self.currency == "loss":
            return f"{self.per_retrain:g} of one batch's loss"
        computing = f" and {self.per_cpu_hour:g} {self.currency} a CPU hour" if self.per_cpu_hour else ""
        return (
            f"{self.per_retrain:g} {self.currency} a retraining{computing}, "
            f"{self.per_error:g} {self.currency} an error"
        )

"""Ski-rental: pay for a retraining once the staleness already paid amounts to its price.

With l_j the losses served since the last training and L0 the mean of the first two of the champion's life,
retrain iff sum_j (l_j - L0) >= price. Optimal for linear ageing, at most twice the best cost for one step change.
The rule of Modyn's cost trigger (SIGMOD 2025), after Karlin et al. (1988).
"""

from __future__ import annotations

from dataclasses import dataclass

from rekindle.errors import DeclarationError
from rekindle.policy.price import Price
from rekindle.records import Action, Decision, Run, View

__all__ = ["SkiRental"]

FRESH = 2  # batches whose mean loss stands for the fresh model


@dataclass(frozen=True, slots=True)
class SkiRental:
    """Retrain when the excess loss paid since the last training reaches the price of a retraining.

    Signals are evidence kept with the decision, never an order. The excess counts from the last training, kept
    or released: its price is paid either way.

    >>> SkiRental(Price.ratio(0.02)).price.in_loss(500)
    0.02
    """

    price: Price

    def __post_init__(self) -> None:
        if not isinstance(self.price, Price):
            raise DeclarationError("price", self.price, "give rk.Price(...), e.g. rk.Price.ratio(0.02)")

    def decide(self, view: View) -> Decision:
        price = view.price
        if price is None:
            raise DeclarationError("price", None, "SkiRental needs a price; give rk.SkiRental(rk.Price(...))")
        served = sorted((view.losses.get(view.champion) or {}).items())
        if not served:
            reason = "no label has arrived for the champion's batches yet"
            return Decision(Action.WAIT, "SkiRental", reason, {}, price=price, would_change="labels")
        fresh = sum(loss for _, loss in served[:FRESH]) / len(served[:FRESH])
        excess = sum(loss - fresh for batch, loss in served if batch > view.tried)
        evidence = {
            "excess_loss": excess,
            "fresh_loss": fresh,
            "newest_loss": served[-1][1],
            "batches": sum(batch > view.tried for batch, _ in served),
            "signals": [s.reason for s in view.signals],
        }
        saving = _expected_saving([loss - fresh for _, loss in served], price)
        said = _in_words(excess, price, fresh)
        if excess >= price or price <= 0:
            return Decision(Action.RETRAIN, "SkiRental", said, evidence, expected_saving=saving, price=price)
        more = f"{price - excess:.3f} more excess loss"
        return Decision(
            Action.WAIT, "SkiRental", said, evidence, expected_saving=saving, price=price, would_change=more
        )

    def observe(self, outcome: Run) -> None:
        """Learns nothing: all it needs stands in the view."""


def _in_words(excess: float, price: float, fresh: float) -> str:
    if price <= 0:
        return "a retraining costs nothing, as far as is known"
    if excess <= 0:
        return f"no excess loss so far over the champion's own fresh loss {fresh:.3f}"
    return f"excess loss paid so far {excess / price:.1f} of a retraining's price"


def _expected_saving(excess: list[float], price: float) -> float:
    """What retraining now saves if the excess of the newest three batches lasts as long as the model has served."""
    newest = excess[-3:]
    return len(excess) * sum(newest) / len(newest) - price

"""What could have been known only afterwards: the cheapest plan, and the best fixed period."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rekindle.policy.replaying import Replay, replay
from rekindle.policy.rules import Every, Never

if TYPE_CHECKING:
    from rekindle.policy.loss_matrix import LossMatrix

__all__ = ["best_period", "oracle"]

LONGEST = 40  # batches: periods beyond are taken for never


def oracle(matrix: LossMatrix, price: float, label_delay: int = 0) -> Replay:
    """The cheapest sequence of trainings there is, by dynamic programming over the serving model.

    Backward in t for each serving model m: keep it, or pay and serve the model of the newest labelled batch.
    """
    values, warm, last = matrix.values, matrix.warmup, matrix.batches
    ahead = np.zeros(last)
    renewed = np.zeros((last, last), dtype=bool)
    for batch in range(last - 1, warm - 1, -1):
        newest = batch - 1 - label_delay
        known = np.arange(last) < batch
        keep = np.where(known, values[:, batch] + ahead, 0.0)
        fresh = np.full(last, np.inf)
        if newest >= 0:
            fresh[:newest] = price + values[newest, batch] + ahead[newest]
        renewed[:, batch] = fresh < keep
        ahead = np.minimum(keep, fresh)
    serving, plan = warm - 1, []
    for batch in range(warm, last):
        if renewed[serving, batch]:
            serving = batch - 1 - label_delay
            plan.append(batch)
    return Replay(float(ahead[warm - 1]), tuple(plan))


def best_period(matrix: LossMatrix, price: float, label_delay: int = 0) -> Replay:
    """The cheapest of never and every k batches, k = 1 .. 40, chosen in hindsight: the yardstick of every rule."""
    plans = [replay(matrix, Every(k), price, label_delay) for k in range(1, LONGEST + 1)]
    return min([*plans, replay(matrix, Never(), price, label_delay)], key=lambda found: found.cost)

"""A policy replayed on a loss matrix: what it would have decided, batch by batch, and what that would have cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rekindle.policy.loss_matrix import LossMatrix
from rekindle.policy.price import Price
from rekindle.records import Action, Decision, View

if TYPE_CHECKING:
    from rekindle.protocols import Policy

__all__ = ["Replay", "replay"]

START = datetime(2000, 1, 1, tzinfo=UTC)  # a matrix has no clock: batch j ends on day j


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy came to on one stream."""

    cost: float  # sum of the served batches' mean losses, and the price of each training
    retrained_at: tuple[int, ...]  # batches before which a new model was put in
    decisions: tuple[Decision, ...] = ()  # one per batch


class _Arrived(Mapping[int, float]):
    """Losses of one model on the batches whose labels have arrived. Asking for later ones is an error, not a gap."""

    def __init__(self, matrix: LossMatrix, model: int, newest: int) -> None:
        self._matrix, self._model, self._newest = matrix, model, newest

    def __getitem__(self, batch: int) -> float:
        if not self._model < batch <= self._newest:
            raise LookupError(f"the loss of model {self._model} in batch {batch} is not known yet")
        return float(self._matrix.values[self._model, batch])

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._model + 1, self._newest + 1))

    def __len__(self) -> int:
        return max(0, self._newest - self._model)


def replay(matrix: LossMatrix, policy: Policy, price: Price | float, label_delay: int = 0) -> Replay:
    """Let a policy decide before each batch after the warm-up; it sees only what was known at that moment.

    `price` as `Price`, or in units of one batch's mean loss; `label_delay` batches until labels are there: a new
    model knows the newest labelled batch only. Every training is paid for and every new model put in: no gate.
    """
    unit = _in_loss(price, matrix)
    serving = matrix.warmup - 1
    models, cost, retrained, taken = [serving], 0.0, [], []
    for batch in range(matrix.warmup, matrix.batches):
        newest = batch - 1 - label_delay
        decision = policy.decide(_view(matrix, models, batch, newest, unit))
        taken.append(decision)
        if decision.action is Action.RETRAIN and newest > serving:
            serving, cost = newest, cost + unit
            models.append(serving)
            retrained.append(batch)
        cost += float(matrix.values[serving, batch])
    return Replay(cost, tuple(retrained), tuple(taken))


def _view(matrix: LossMatrix, models: list[int], batch: int, newest: int, price: float) -> View:
    serving = models[-1]
    held = {m: _Arrived(matrix, m, newest) for m in models}
    return View(
        batch=newest,
        champion=serving,
        trained=serving,
        tried=serving,
        losses=held,
        signals=(),
        price=price,
        now=START + timedelta(days=batch),
        rows=0,
        labelled=max(0, newest - serving),
        finished_at=None,
        first=matrix.warmup,
    )


def _in_loss(price: Price | float, matrix: LossMatrix) -> float:
    if isinstance(price, Price):
        rows = 1.0 if matrix.batch_rows is None else float(matrix.batch_rows.mean())
        return price.in_loss(rows)
    return float(price)

"""The two baselines of every replay: never retrain, and retrain after every batch. Same trainer and window, no gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.data.contract import Contract
from rekindle.data.labels import clean_label, known_rows
from rekindle.data.snapshot import BATCH
from rekindle.errors import NotEnoughData
from rekindle.models.signature import Signature
from rekindle.records import Extent, History
from rekindle.stats.losses import CappedError, zero_one
from rekindle.training.job import make_table

if TYPE_CHECKING:
    from rekindle.data.cadence import Edges
    from rekindle.protocols import Loss, Source, Trainer, WindowRule

__all__ = ["BaselinePlan", "baselines"]


@dataclass(frozen=True, slots=True)
class BaselinePlan:
    """What the baselines are replayed on."""

    rows: pd.DataFrame  # the whole stream, in time order
    edges: Edges  # its batches
    history: int  # batches before the first served one
    task: str  # "classification" or "regression"


def baselines(
    source: Source, trainer: Trainer, window: WindowRule, loss: Loss | None, plan: BaselinePlan
) -> dict[str, list[float]]:
    """Mean loss of each served batch under "never" (the first model throughout) and "always" (a new one each batch).

    A batch without a labelled row costs nothing under either. Runs in a training child. What the first training
    raises is raised; a later one that fails leaves the model before it serving, as it does live.
    """
    numbers = plan.edges.numbers(plan.rows[source.time])
    measure = loss or _default_loss(plan, source, numbers)
    never: list[float] = []
    always: list[float] = []
    first = fresh = None
    for seq in range(plan.history, len(plan.edges)):
        try:
            fresh = _fit(source, trainer, window, plan, numbers, seq - 1)
        except Exception:
            if fresh is None:
                raise
        first = first or fresh
        served = plan.rows[numbers == seq]
        for model, losses in ((first, never), (fresh, always)):
            losses.append(_mean_loss(model, served, source, trainer, measure))
    return {"never": never, "always": always}


def _fit(
    source: Source, trainer: Trainer, window: WindowRule, plan: BaselinePlan, numbers: Any, newest: int
) -> tuple[Contract, Any, tuple[Any, ...]]:
    span = plan.edges.span(newest)
    starts = [plan.edges.span(k).start for k in range(newest + 1)]
    extent = Extent(plan.edges.edges[0], span.end, int((numbers <= newest).sum()))
    chosen = window(History(extent, span, None, plan.edges.span(newest - 1).end if newest else None, starts))
    inside = numbers <= newest
    if chosen.start is not None:
        inside &= (plan.rows[source.time] >= chosen.start).to_numpy()
    rows = known_rows(plan.rows[inside], source, span.end)
    contract = Contract.learn(rows, source, task=plan.task)
    checked = contract.check(rows, source).rows
    checked = checked[checked[contract.label].notna()]
    if len(checked) < 2:
        raise NotEnoughData(f"{len(checked)} labelled rows up to {span.end} are too few to train on")
    checked = checked.assign(**{BATCH: plan.edges.numbers(checked[source.time])})
    table = make_table(checked, contract, Signature(contract.features), chosen.half_life)
    model = trainer.fit(table, None, None)
    classes = getattr(trainer, "classes", lambda _: table.classes)(model)
    return contract, model, tuple(classes)


def _mean_loss(
    fitted: tuple[Contract, Any, tuple[Any, ...]],
    rows: pd.DataFrame,
    source: Source,
    trainer: Trainer,
    loss: Loss,
) -> float:
    contract, model, classes = fitted
    checked = contract.check(rows, source).rows
    checked = checked[checked[contract.label].notna()]
    if checked.empty:
        return 0.0
    outputs = np.asarray(trainer.predict(model, Signature(contract.features).prepare(checked)))
    predicted = np.asarray(classes)[outputs.argmax(axis=1)] if outputs.ndim == 2 else outputs
    return float(np.mean(loss(clean_label(checked[contract.label], contract.task), predicted)))


def _default_loss(plan: BaselinePlan, source: Source, numbers: Any) -> Loss:
    if plan.task == "classification":
        return zero_one
    target = pd.to_numeric(plan.rows.loc[numbers < plan.history, source.label], errors="coerce").to_numpy(
        dtype=float
    )
    return CappedError.from_target(target[np.isfinite(target)])

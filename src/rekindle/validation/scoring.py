"""Row losses and metric of several models on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.data.contract import Contract
from rekindle.data.labels import clean_label
from rekindle.data.snapshot import BATCH, thaw
from rekindle.errors import (
    BundleError,
    DeclarationError,
    NotEnoughData,
    RekindleError,
    SchemaError,
    TrainingError,
)
from rekindle.models.bundle import Bundle, open_bundle
from rekindle.records import Scores

if TYPE_CHECKING:
    import pandas as pd

    from rekindle.protocols import Loss, Trainer
    from rekindle.stats.metrics import Metric

__all__ = ["ScorePlan", "score_bundle", "score_models"]


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """Which models meet on which rows."""

    snapshot: str  # folder of the frozen rows
    contract: Mapping[str, Any]  # columns and kinds, as JSON
    judged: tuple[int, ...]  # batches whose labelled rows judge
    bundles: Mapping[str, str]  # name ("candidate", "v3") -> bundle folder


def score_models(trainer: Trainer, plan: ScorePlan, loss: Loss, metric: Metric) -> dict[str, Scores]:
    """Each model on the judging rows, in the same row order.

    A champion that needs a column which is gone, or cannot take the rows, is left out. Raises TrainingError when
    a model predicts NaN, NotEnoughData when no row can judge.
    """
    rows = judging_rows(plan)
    label = rows[Contract.from_json(plan.contract).label]
    scored = {}
    for name, folder in plan.bundles.items():
        try:
            scored[name] = score_bundle(open_bundle(folder, trainer, label=name), rows, label, loss, metric)
        except (SchemaError, BundleError):  # such a champion cannot be compared, nor can it serve
            if name == "candidate":
                raise
    return scored


def judging_rows(plan: ScorePlan) -> pd.DataFrame:
    """The labelled rows of the judging batches."""
    rows, manifest = thaw(plan.snapshot)
    rows = rows[rows[BATCH].isin(plan.judged) & rows[manifest["label"]].notna()].reset_index(drop=True)
    if rows.empty:
        raise NotEnoughData("no labelled row is left to judge on; wait for labels")
    return rows


def score_bundle(
    bundle: Bundle, features: pd.DataFrame, label: pd.Series, loss: Loss, metric: Metric
) -> Scores:
    """One model on labelled rows."""
    actual = clean_label(label, bundle.task)
    outputs = _outputs(bundle, features)
    if np.asarray(outputs).dtype.kind == "f" and not np.isfinite(np.asarray(outputs)).all():
        raise TrainingError(f"{bundle.label} predicts NaN or inf; look at its training log")
    losses = np.asarray(loss(actual, bundle.decided(outputs)), dtype=np.float64)
    if losses.shape != (len(features),):
        raise DeclarationError("loss", loss, f"it must give one number per row, it gave shape {losses.shape}")
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"the loss of {bundle.label} is NaN or inf on {int((~np.isfinite(losses)).sum())} rows"
        )
    value = metric.value(actual, outputs, classes=bundle.classes)
    return Scores(bundle.label, float(losses.mean()), losses, value, metric.higher_is_better)


def _outputs(bundle: Bundle, features: pd.DataFrame) -> Any:
    try:
        return bundle.outputs(features)
    except RekindleError:
        raise
    except Exception as error:  # a model may raise anything on rows it cannot take
        said = (str(error).splitlines() or [""])[0]
        raise SchemaError(
            f"{bundle.label} cannot predict the judging rows: {type(error).__name__}: {said}"
        ) from error

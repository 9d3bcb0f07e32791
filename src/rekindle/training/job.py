"""What a training child does: fit the twin that will be judged, then the candidate, and keep both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.data.contract import Contract
from rekindle.data.labels import clean_label
from rekindle.data.snapshot import BATCH, thaw
from rekindle.data.window import age_weights
from rekindle.errors import NotEnoughData
from rekindle.models.bundle import write_bundle
from rekindle.models.signature import Signature
from rekindle.training.table import Table

if TYPE_CHECKING:
    from rekindle.protocols import Trainer

__all__ = ["FitPlan", "fit_models", "make_table"]

PROBE_ROWS = 20  # newest rows whose predictions are stored with the model


@dataclass(frozen=True, slots=True)
class FitPlan:
    """All a fit depends on; with the snapshot it is enough to fit again."""

    loop: str  # the model's name
    snapshot: str  # folder of the frozen rows
    contract: Mapping[str, Any]  # columns and kinds, as JSON
    judged: tuple[int, ...]  # batches the twin must not see; empty: no twin
    half_life: float | None  # batches after which a row weighs half
    seed: int  # recorded; the trainer carries its own
    about: Mapping[str, Any] = field(default_factory=dict)  # what else the manifests should say


def fit_models(
    trainer: Trainer,
    plan: FitPlan,
    into: Path,
    report: Callable[[float, str], None] = lambda share, text: None,
) -> dict[str, Any]:
    """Fit on the snapshot; write `into/twin` (when batches are judged) and `into/candidate`.

    Returns rows, seconds and folders. Raises NotEnoughData when no labelled row is left for one of the two.
    """
    rows, manifest = thaw(plan.snapshot)
    contract = Contract.from_json(plan.contract)
    labelled = rows[manifest["label"]].notna().to_numpy(dtype=bool)
    found: dict[str, Any] = {"rows": int(labelled.sum())}
    if plan.judged:
        report(0.05, "fitting the twin that will be judged")
        unseen = labelled & (rows[BATCH].to_numpy() < min(plan.judged))
        found["twin"] = str(_fit_one(trainer, plan, contract, rows[unseen], into / "twin", found, "twin"))
    report(0.5, "fitting the candidate on the whole window")
    found["candidate"] = str(
        _fit_one(trainer, plan, contract, rows[labelled], into / "candidate", found, "fit")
    )
    report(1.0, "fitted")
    return found


def make_table(
    rows: pd.DataFrame, contract: Contract, signature: Signature, half_life: float | None
) -> Table:
    """Labelled rows as a trainer takes them, with weights by age in batches."""
    label = clean_label(rows[contract.label], contract.task)
    ages = rows[BATCH].to_numpy(dtype=np.float64)
    ages = ages.max(initial=0.0) - ages
    weight = None if half_life is None else age_weights(ages, half_life)
    classes = tuple(pd.unique(pd.Series(label))) if contract.task == "classification" else ()
    return Table(signature.prepare(rows), label, weight, contract.task, tuple(sorted(classes)))


def _fit_one(
    trainer: Trainer,
    plan: FitPlan,
    contract: Contract,
    rows: pd.DataFrame,
    folder: Path,
    found: dict[str, Any],
    as_: str,
) -> Path:
    if len(rows) < 2:
        raise NotEnoughData(
            f"{len(rows)} labelled rows are left to fit on; wait for labels, or choose a longer window"
        )
    signature = Signature(contract.features)
    table = make_table(rows, contract, signature, plan.half_life)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    model = trainer.fit(table, None, None)
    found[f"{as_}_seconds"] = time.perf_counter() - begun
    found[f"{as_}_cpu_seconds"] = time.process_time() - begun_cpu
    classes = getattr(trainer, "classes", lambda _: table.classes)(model)
    probe = rows.tail(PROBE_ROWS)[list(signature.names)]
    return write_bundle(
        folder,
        trainer,
        model,
        loop=plan.loop,
        signature=signature,
        task=contract.task,
        classes=classes,
        probe=probe,
        about={**plan.about, "rows": len(table), "seed": plan.seed, "half_life": plan.half_life, "role": as_},
    )

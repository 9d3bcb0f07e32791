"""DataDrift: the inputs no longer look like the ones the champion was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rekindle.drift.profile import Grid
from rekindle.drift.two_sample import Psi, psi_from_counts
from rekindle.errors import DeclarationError
from rekindle.records import Batch, Champion, Kind, Signal
from rekindle.triggers.state import Remembering, check_number

if TYPE_CHECKING:
    from rekindle.records import Frame

__all__ = ["DataDrift"]


@dataclass(kw_only=True)
class DataDrift(Remembering):
    """Speaks when features moved away from the champion's training window, by PSI (checklist rows 3 and 4).

    A feature has drifted above `feature_threshold`; the trigger speaks when the largest index is above
    `max_threshold` or more than `max_features` have drifted. Input drift alone is no loss of quality: a policy
    that weighs cost takes it as evidence, not as an order.

    Under `min_rows` rows, in the batch or in the reference, it never speaks: the report then holds
    `insufficient: True` and the reason, for the index of few rows is noise (without any drift it is about
    9 (1/n + 1/m); the report carries the corrected value too). Features that vanished, are new, or hold too few
    values are reported apart. Datetime columns are left out.

    Parameters: `bins` quantile bins for numbers; `features` the columns to watch (default: all).

    >>> DataDrift(max_threshold=0.3)
    DataDrift(feature_threshold=0.2, max_threshold=0.3, max_features=3, bins=10, min_rows=500, features=None)
    """

    feature_threshold: float = 0.2
    max_threshold: float = 0.25
    max_features: int = 3
    bins: int = 10
    min_rows: int = 500
    features: Sequence[str] | None = None
    _grids: dict[str, Grid] = field(default_factory=dict, init=False, repr=False, compare=False)
    _reference: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_number("feature_threshold", self.feature_threshold, 0)
        check_number("max_threshold", self.max_threshold, 0)
        check_number("max_features", self.max_features, 0, whole=True)
        check_number("bins", self.bins, 2, 1000, whole=True)
        check_number("min_rows", self.min_rows, 1, whole=True)
        if self.features is not None:
            self.features = _column_names(self.features)

    def reset(self, champion: Champion) -> None:
        """Lay the grids of the champion's training window; without one the trigger stays silent and says so."""
        self.report, self._grids, self._reference = {}, {}, {}
        if champion.reference is None:
            return
        columns = _columns(champion.reference)
        skipped = []
        for name in columns if self.features is None else self.features:
            try:
                self._grids[name] = Grid.fit(columns[name], self.bins)
            except (KeyError, DeclarationError):  # not there, or a column of times
                skipped.append(name)
        self._reference = {"rows": len(champion.reference), "skipped": skipped}

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when this batch's features have moved; `report` says what was seen either way."""
        rows = len(batch.features)
        why = self._insufficient(rows)
        self.report = {
            "insufficient": bool(why),
            "rows": rows,
            "reference_rows": self._reference.get("rows", 0),
        }
        if not why:
            self.report |= self._compare(_columns(batch.features))
            why = "" if self.report["psi_by_feature"] else "no_comparable_feature"
        if why:
            self.report |= {"insufficient": True, "reason": why}
            return None
        return self._judge(batch)

    def _insufficient(self, rows: int) -> str:
        if not self._reference:
            return "no_reference"
        if self._reference["rows"] < self.min_rows:
            return f"reference_rows_{self._reference['rows']}_below_{self.min_rows}"
        return f"rows_{rows}_below_{self.min_rows}" if rows < self.min_rows else ""

    def _compare(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Psi] = {}
        sparse, missing, unseen = [], {}, {}
        for name in self._grids.keys() & columns.keys():
            grid = self._grids[name]
            counts = grid.count(columns[name])
            share = counts / max(int(counts.sum()), 1)
            missing[name] = float(share[-1])
            if grid.kind != "bins" and share[-2]:
                unseen[name] = float(share[-2])
            valid = min(int(grid.counts[:-1].sum()), int(counts[:-1].sum()))
            if 2 * valid < self.min_rows:  # a column of mostly missing values has the noise of a small batch
                sparse.append(name)
                continue
            found[name] = psi_from_counts(*grid.compared(counts))
        watched = columns.keys() if self.features is None else set(self.features)
        return {
            "psi_by_feature": {name: float(found[name]) for name in sorted(found)},
            "psi_corrected_by_feature": {name: found[name].corrected for name in sorted(found)},
            "missing_by_feature": {name: share for name, share in sorted(missing.items()) if share},
            "unseen_by_feature": dict(sorted(unseen.items())),
            "too_few_values": sorted(sparse),
            "vanished": sorted(self._grids.keys() - columns.keys()),
            "new": sorted((watched & columns.keys()) - self._grids.keys() - set(self._reference["skipped"])),
            "skipped": sorted(self._reference["skipped"]),
        }

    def _judge(self, batch: Batch) -> Signal | None:
        index: dict[str, float] = self.report["psi_by_feature"]
        largest = max(index, key=lambda name: index[name])
        top, drifted = index[largest], sum(value > self.feature_threshold for value in index.values())
        self.report |= {"max_psi": top, "max_feature": largest, "n_drifted_features": drifted}
        if top > self.max_threshold:
            statistic, threshold = top, self.max_threshold
            reason = f"max_psi_{top:.3f}_above_{threshold:g}"
        elif drifted > self.max_features:
            statistic, threshold = float(drifted), float(self.max_features)
            reason = f"drifted_features_{drifted}_above_{self.max_features}"
        else:
            self.report["reason"] = "no_drift"
            return None
        self.report["reason"] = reason
        severity = 5 if top > 1.0 else 4 if top > 0.5 else 3
        evidence = dict(self.report)
        return Signal(
            Kind.DATA_DRIFT, "DataDrift", severity, statistic, threshold, reason, batch.span.start, evidence
        )

    def _measures(self) -> dict[str, Any]:
        return {"bins": self.bins, "features": None if self.features is None else list(self.features)}

    def _remember(self) -> dict[str, Any]:
        return {
            "grids": {name: grid.to_json() for name, grid in self._grids.items()},
            "reference": dict(self._reference),
        }

    def _recall(self, state: Mapping[str, Any]) -> None:
        self._grids = {name: Grid.from_json(written) for name, written in state["grids"].items()}
        self._reference = dict(state["reference"])


def _column_names(features: object) -> tuple[str, ...]:
    if isinstance(features, (str, bytes)) or not isinstance(features, Sequence) or not features:
        raise DeclarationError(
            "features", features, "give a list of columns, e.g. features=['age']; None: all"
        )
    if not all(isinstance(name, str) for name in features):
        raise DeclarationError("features", features, "give column names as text")
    return tuple(features)


def _columns(frame: Frame) -> dict[str, Any]:
    """Columns by name; of two with one name the first."""
    columns: dict[str, Any] = {}
    for position, name in enumerate(frame.columns):
        columns.setdefault(str(name), frame.iloc[:, position])
    return columns

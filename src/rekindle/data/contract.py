"""What rows must look like: learned from the first history, checked before anything is scored or trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.errors import NotEnoughData, SchemaError
from rekindle.records import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.protocols import Source

__all__ = ["Checked", "Contract"]

LEVELS = 250  # categories kept apart; rarer ones read as missing
CLASSES = 20  # a whole-number label with more distinct values than this is a quantity


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows after the check."""

    rows: pd.DataFrame  # rows that may be used, features converted to their kind
    quarantined: pd.DataFrame  # rows that may not, with a column `reason`
    notes: tuple[str, ...]  # what was seen but let through


@dataclass(frozen=True, slots=True)
class Contract:
    """The columns a loop relies on. Stored as JSON with the loop."""

    features: tuple[Column, ...]
    label: str
    task: str  # "classification" or "regression"
    left_out: tuple[str, ...] = field(default=())  # "column (why)"

    VERSION = 1

    @classmethod
    def learn(
        cls, rows: pd.DataFrame, source: Source, *, task: str | None = None, features: tuple[str, ...] = ()
    ) -> Contract:
        """Work out task and features from history. `features` names the columns to use; empty: all that can be.

        Raises NotEnoughData when no label is known or no feature is left, SchemaError when a named one is gone.
        """
        reserved = getattr(source, "reserved", (source.time, source.label))
        missing = [f for f in features if f not in rows.columns]
        if missing:
            raise SchemaError(f"features names {missing[0]!r}, which the source does not have")
        candidates = [c for c in rows.columns if c not in reserved and (not features or c in features)]
        kept, left_out = [], list(getattr(source, "left_out", ()))
        for name in candidates:
            column, why = _learn_column(str(name), rows[name])
            if column is None:
                left_out.append(f"{name} ({why})")
            else:
                kept.append(column)
        if not kept:
            raise NotEnoughData(f"no feature column is left: {'; '.join(left_out) or 'the source has none'}")
        return cls(
            tuple(kept), source.label, task or _task_of(rows[source.label], source.label), tuple(left_out)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(c.name for c in self.features)

    def check(self, rows: pd.DataFrame, source: Source) -> Checked:
        """Convert the features to their kinds; take out rows that cannot be, with a reason for each.

        Raises SchemaError when a column is gone. New categories pass and are noted.
        """
        for column in self.features:
            if column.name not in rows.columns:
                raise SchemaError(
                    f"column {column.name!r} is gone from the source; bring it back, or name the features to use in "
                    f"the declaration (features=[...]) and run `rekindle retrain`"
                )
        reasons = np.full(len(rows), "", dtype=object)
        converted: dict[str, Any] = {}
        notes: list[str] = []
        for column in self.features:
            converted[column.name] = self._convert(column, rows[column.name], reasons, notes)
        if self.label in rows.columns and self.task == "regression" and len(rows):
            converted[self.label] = _numbers(rows[self.label], self.label, reasons)
        if source.id is not None and source.id in rows.columns:
            _mark(
                reasons, rows[source.id].duplicated(keep="first").to_numpy(), f"duplicate id in {source.id!r}"
            )
        good = reasons == ""
        whole = rows.assign(**converted)
        if good.all():
            return Checked(whole, rows.iloc[:0].assign(reason=""), tuple(notes))
        bad = rows[~good].assign(reason=reasons[~good])
        return Checked(whole[good].reset_index(drop=True), bad.reset_index(drop=True), tuple(notes))

    def _convert(self, column: Column, values: pd.Series, reasons: NDArray[Any], notes: list[str]) -> Any:
        if column.kind in ("number", "boolean"):
            numbers = _numbers(values, column.name, reasons)
            if len(numbers) and np.isnan(numbers).all():
                notes.append(f"{column.name!r} is missing in every row")
            return numbers
        text = _as_text(values)
        fresh = sorted(set(text.dropna().unique()) - set(column.levels))
        if fresh and len(column.levels) < LEVELS:
            notes.append(f"{column.name!r} has {len(fresh)} new categories, e.g. {fresh[0]!r}")
        return text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with a version."""
        return {
            "version": self.VERSION,
            "features": [[c.name, c.kind, list(c.levels)] for c in self.features],
            "label": self.label,
            "task": self.task,
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Contract:
        """The reverse of `to_json`."""
        if stored.get("version") != cls.VERSION:
            raise SchemaError(
                f"a contract of version {stored.get('version')} cannot be read; upgrade rekindle"
            )
        columns = tuple(Column(n, k, tuple(levels)) for n, k, levels in stored["features"])
        return cls(columns, stored["label"], stored["task"], tuple(stored["left_out"]))


def _as_text(values: pd.Series) -> pd.Series:
    return values.astype(object).map(str, na_action="ignore").where(values.notna(), None)


def _learn_column(name: str, values: pd.Series) -> tuple[Column | None, str]:
    there = values.dropna()
    if there.empty:
        return None, "no value in any row"
    if values.dtype.kind == "M" or isinstance(there.iloc[0], pd.Timestamp):
        return None, "a date"
    if values.dtype.kind == "b" or set(map(type, there.head(50))) <= {bool, np.bool_}:
        return Column(name, "boolean"), ""
    if values.dtype.kind in "iuf":
        return Column(name, "number"), ""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        parsed = pd.to_numeric(there, errors="coerce")
        if parsed.notna().mean() >= 0.95:  # a few words among numbers are bad rows, not a category
            return Column(name, "number"), ""
    text = _as_text(there)
    counts = text.value_counts()
    if len(counts) > 1000 and len(counts) > 0.5 * len(there):
        return None, "nearly every value is different: an identifier?"
    return Column(name, "category", tuple(str(v) for v in counts.index[:LEVELS])), ""


def _task_of(label: pd.Series, name: str) -> str:
    known = label.dropna()
    if known.empty:
        raise NotEnoughData(f"no row has a known label in {name!r}; wait for labels, or check the column")
    if known.dtype.kind in "fiu" or (
        known.dtype == object and pd.to_numeric(known, errors="coerce").notna().all()
    ):
        numbers = pd.to_numeric(known)
        whole = bool((numbers == np.floor(numbers)).all())
        return "classification" if whole and numbers.nunique() <= CLASSES else "regression"
    return "classification"


def _numbers(values: pd.Series, name: str, reasons: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind in "biuf":
        numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        lost = np.isnan(numbers) & values.notna().to_numpy(dtype=bool)
        if lost.any():
            example = values[lost].iloc[0]
            _mark(reasons, lost, f"{name!r} holds text where a number was, e.g. {example!r}")
    endless = np.isinf(numbers)
    if endless.any():
        _mark(reasons, endless, f"{name!r} is infinite")
    return numbers


def _mark(reasons: NDArray[Any], where: NDArray[np.bool_], reason: str) -> None:
    reasons[where & (reasons == "")] = reason

"""What rows must look like: learned from the first history, checked before anything is scored or trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.data.columns import LEVELS, as_label, as_numbers, as_text, label_kind, learn_column, mark
from rekindle.data.snapshot import BATCH
from rekindle.errors import NotEnoughData, SchemaError, did_you_mean
from rekindle.records import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.protocols import Source

__all__ = ["Checked", "Contract"]

REASON = "reason"


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
    label_kind: str = ""  # "number", "whole", "boolean" or "text"; "": no label was known, or an old contract
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
            known = [str(c) for c in rows.columns if c not in reserved]
            raise SchemaError(
                f"features names {missing[0]!r}, which the source does not have. {did_you_mean(missing[0], known)}"
            )
        candidates = [c for c in rows.columns if c not in reserved and (not features or c in features)]
        kept, left_out = [], list(getattr(source, "left_out", ()))
        for name in candidates:
            told = (
                "a name that rekindle uses"
                if name == BATCH
                else "a NUL in its name"
                if "\x00" in name
                else ""
            )
            column, why = (None, told) if told else learn_column(name, rows[name])
            if column is None:
                left_out.append(f"{name} ({why})")
            else:
                kept.append(column)
        if not kept:
            raise NotEnoughData(f"no feature column is left: {'; '.join(left_out) or 'the source has none'}")
        told, kind = label_kind(rows[source.label], source.label, task)
        return cls(tuple(kept), source.label, told, kind, tuple(left_out))

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
                told = [c for c in getattr(source, "left_out", ()) if c.startswith(f"{column.name} (")]
                now = f"is no feature any more: {told[0]}" if told else "is gone from the source"
                raise SchemaError(
                    f"column {column.name!r} {now}; bring it back, or name the features to use in "
                    f"the declaration (features=[...]) and run `rekindle retrain`"
                )
        reasons = np.full(len(rows), "", dtype=object)
        converted: dict[str, Any] = {}
        notes: list[str] = []
        for column in self.features:
            converted[column.name] = self._convert(column, rows[column.name], reasons, notes)
        if self.label in rows.columns and len(rows):
            kind = self.label_kind or ("number" if self.task == "regression" else "")
            converted[self.label] = as_label(rows[self.label], kind, self.label, reasons)
        if source.id is not None and source.id in rows.columns:
            ids = rows[source.id]
            twice = (ids.duplicated(keep="first") & ids.notna()).to_numpy(dtype=bool)
            mark(reasons, twice, f"duplicate id in {source.id!r}")
        good = reasons == ""
        whole = rows.assign(**converted)
        bad = _with_reason(rows[~good], reasons[~good])
        return Checked(whole if good.all() else whole[good].reset_index(drop=True), bad, tuple(notes))

    def _convert(self, column: Column, values: pd.Series, reasons: NDArray[Any], notes: list[str]) -> Any:
        if column.kind in ("number", "boolean"):
            numbers = as_numbers(values, column.name, reasons, truths=column.kind == "boolean")
            if len(numbers) and np.isnan(numbers).all():
                notes.append(f"{column.name!r} is missing in every row")
            return numbers
        text = as_text(values)
        if len(text) and text.isna().all():
            notes.append(f"{column.name!r} is missing in every row")
        fresh = sorted(set(text.dropna().unique()) - set(column.levels))
        if fresh and len(column.levels) < LEVELS:
            notes.append(f"{column.name!r} has {len(fresh)} new categories, e.g. {fresh[0][:40]!r}")
        return text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with a version."""
        return {
            "version": self.VERSION,
            "features": [[c.name, c.kind, list(c.levels)] for c in self.features],
            "label": self.label,
            "task": self.task,
            "label_kind": self.label_kind,
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
        kind = stored.get("label_kind", "")
        return cls(columns, stored["label"], stored["task"], kind, tuple(stored["left_out"]))


def _with_reason(rows: pd.DataFrame, reasons: NDArray[Any]) -> pd.DataFrame:
    """Bad rows with a column that says why; a column of their own by that name steps aside."""
    if REASON in rows.columns:
        rows = rows.rename(columns={REASON: f"{REASON}_in_source"})
    return rows.assign(**{REASON: reasons}).reset_index(drop=True)

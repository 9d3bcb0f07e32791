"""Triggers that count: Schedule and Volume; and the two that never speak by themselves: Manual and Never."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rekindle.records import Batch, Champion, Kind, Signal
from rekindle.triggers.spans import parse_window
from rekindle.triggers.state import Remembering, check_number

__all__ = ["Manual", "Never", "Schedule", "Volume", "manual_signal"]

KEPT = 64  # batches counted one by one; older ones are added up


@dataclass(kw_only=True)
class Schedule(Remembering):
    """Speaks when the champion has served for `every`, and with each batch from then on (checklist row 6).

    Parameters: `every` as a span of time since its release ("7d"), or as a number of batches since the newest
    one it was trained on.

    >>> Schedule("7d")
    Schedule(every='7d')
    """

    every: str | int | timedelta = field(default="7d", kw_only=False)
    _released: datetime | None = field(default=None, init=False, repr=False, compare=False)
    _batch: int = field(default=-1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parse_window(self.every, "every")

    def reset(self, champion: Champion) -> None:
        """Count from this champion on."""
        self.report, self._released, self._batch = {}, champion.released_at, champion.batch

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when the champion's time is up."""
        if self._released is None:
            self.report = {"insufficient": True, "reason": "no_champion"}
            return None
        every = parse_window(self.every, "every")
        if isinstance(every, int):
            age, limit, unit = float(batch.span.seq - self._batch), float(every), "batches"
        else:
            day = timedelta(days=1)
            age, limit, unit = (batch.at - self._released) / day, every / day, "days"
        due = age >= limit
        reason = f"trained_{age:.3g}_{unit}_ago_every_{limit:.3g}" if due else "not_due"
        self.report = {"insufficient": False, "reason": reason, "age": age, "every": limit, "unit": unit}
        return (
            Signal(Kind.SCHEDULE, "Schedule", 3, age, limit, reason, None, dict(self.report)) if due else None
        )

    def _remember(self) -> dict[str, Any]:
        return {"released_at": self._released.isoformat() if self._released else None, "batch": self._batch}

    def _recall(self, state: Mapping[str, Any]) -> None:
        written = state["released_at"]
        self._released, self._batch = datetime.fromisoformat(written) if written else None, state["batch"]


@dataclass(kw_only=True)
class Volume(Remembering):
    """Speaks when `rows` new rows have come in since the newest batch the champion was trained on.

    >>> Volume(5_000)
    Volume(rows=5000)
    """

    rows: int = field(default=10_000, kw_only=False)
    _batches: list[list[int]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )  # [seq, rows]

    def __post_init__(self) -> None:
        check_number("rows", self.rows, 1, whole=True)

    def reset(self, champion: Champion) -> None:
        """Count from the newest batch it was trained on; later ones, seen while it was in training, count."""
        self.report, self._batches = {}, [b for b in self._batches if b[0] > champion.batch]

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when enough rows have come in."""
        self._batches.append([batch.span.seq, batch.rows])
        if len(self._batches) > KEPT:
            (_, first), (seq, second) = self._batches[:2]
            self._batches[:2] = [[seq, first + second]]
        seen = sum(rows for _, rows in self._batches)
        due = seen >= self.rows
        reason = f"rows_{seen}_reached_{self.rows}" if due else "not_due"
        self.report = {"insufficient": False, "reason": reason, "rows": seen, "needed": self.rows}
        if not due:
            return None
        return Signal(
            Kind.DATA_VOLUME, "Volume", 3, float(seen), float(self.rows), reason, None, dict(self.report)
        )

    def _remember(self) -> dict[str, Any]:
        return {"batches": [list(b) for b in self._batches]}

    def _recall(self, state: Mapping[str, Any]) -> None:
        self._batches = [list(b) for b in state["batches"]]


@dataclass(kw_only=True)
class Never(Remembering):
    """Never speaks: the null trigger, a baseline.

    >>> Never()
    Never()
    """

    def reset(self, champion: Champion) -> None:
        """Nothing to measure against."""
        self.report = {}

    def observe(self, batch: Batch) -> Signal | None:
        """None."""
        self.report = {"insufficient": False, "reason": "never"}
        return None


@dataclass(kw_only=True)
class Manual(Never):
    """Never speaks by itself: only a person does, through `manual_signal`."""

    def observe(self, batch: Batch) -> Signal | None:
        """None."""
        self.report = {"insufficient": False, "reason": "waits_for_a_person"}
        return None


def manual_signal(reason: str, priority: int = 3) -> Signal:
    """The signal of a person (or of a changed declaration) who wants a retraining.

    >>> manual_signal("new price list", priority=4).kind.value
    'manual'
    """
    check_number("priority", priority, 1, 5, whole=True)
    return Signal(Kind.MANUAL, "Manual", priority, 0.0, 0.0, reason)

"""A source seen through a curtain: rows later than a moment do not exist yet. Demo and backtest pull it aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rekindle.records import Extent, Moment, Window

if TYPE_CHECKING:
    import pandas as pd

    from rekindle.protocols import Source

__all__ = ["Replayed"]


@dataclass
class Replayed:
    """Wraps a source and shows only rows before `until`."""

    source: Source
    until: Moment  # first moment that cannot be seen yet

    def __post_init__(self) -> None:
        self.time, self.label = self.source.time, self.source.label
        self.label_time, self.id = self.source.label_time, self.source.id
        self.reserved = getattr(self.source, "reserved", (self.time, self.label))
        self.left_out = getattr(self.source, "left_out", ())

    def extent(self) -> Extent:
        """The visible part; its newest time is the last instant before the curtain."""
        whole = self.source.extent()
        step = timedelta(microseconds=1) if isinstance(self.until, datetime) else 1
        return Extent(whole.first, self.until - step, whole.rows)  # type: ignore[operator]

    def read(self, window: Window) -> pd.DataFrame:
        end = self.until if window.end is None or window.end > self.until else window.end  # type: ignore[operator]
        return self.source.read(Window(window.start, end, window.rule, window.half_life))

    def describe(self) -> dict[str, object]:
        """What the wrapped declaration says."""
        describe = getattr(self.source, "describe", None)
        return dict(describe()) if describe else {"kind": type(self.source).__name__}

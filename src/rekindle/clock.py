"""The only place that asks what time it is. All wall times are timezone-aware and in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from rekindle.errors import DeclarationError

__all__ = ["Clock", "ManualClock", "SystemClock", "parse_span"]

UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = 1000 * 365 * 86400  # seconds; a longer span would leave the calendar
SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d|w)\s*")


def parse_span(value: str | int | timedelta, field: str) -> timedelta | int:
    """A span of time written as "15min", "24h", "7d" or "1w"; whole numbers (index units, batches) pass.

    Raises DeclarationError naming `field` for anything else, and for spans that are not above zero.

    >>> parse_span("7d", "every").days
    7
    """
    span: Any = None
    if isinstance(value, str) and (match := SPAN.fullmatch(value)):
        seconds = float(match[1]) * UNITS[match[2]]
        span = timedelta(seconds=seconds) if seconds < LONGEST else None
    elif isinstance(value, timedelta) or (isinstance(value, int) and not isinstance(value, bool)):
        span = value
    if span is None or span <= (timedelta(0) if isinstance(span, timedelta) else 0):
        raise DeclarationError(field, value, "give a span above zero such as '15min', '24h', '7d' or '1w'")
    checked: timedelta | int = span
    return checked


class Clock(Protocol):
    """Tells the time; live code gets a SystemClock, replays and tests a ManualClock."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's own clock, read in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved.

    >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1)).hour
    1
    """

    def __init__(self, start: datetime) -> None:
        self._now = _aware(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward by a span and return the new time."""
        return self.set(self._now + by)

    def set(self, moment: datetime) -> datetime:
        """Move to a moment (never backwards) and return it."""
        moment = _aware(moment)
        if moment < self._now:
            raise ValueError(f"a ManualClock does not run backwards: {moment} < {self._now}")
        self._now = moment
        return moment


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no timezone; pass datetime(..., tzinfo=UTC)")
    return moment.astimezone(UTC)

"""Windows of a trigger, in time or in batches, and the batches that fall into one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rekindle.clock import parse_span
from rekindle.errors import DeclarationError
from rekindle.records import Moment, Span

__all__ = ["Entry", "began", "moment_from_json", "moment_to_json", "newest", "parse_window"]

BATCHES = re.compile(r"\s*(\d{1,9})\s*batch(?:es)?\s*")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a trigger keeps of one batch: a few numbers, whatever the number of rows."""

    seq: int  # number of the batch
    start: Moment  # its first moment: the tag that decides whether it is recent
    rows: int  # labelled rows behind the value
    value: float  # the metric

    def to_json(self) -> list[Any]:
        """Plain JSON."""
        return [self.seq, moment_to_json(self.start), self.rows, self.value]

    @classmethod
    def from_json(cls, written: list[Any]) -> Entry:
        """The reverse of `to_json`."""
        seq, start, rows, value = written
        return cls(seq, moment_from_json(start), rows, value)


def parse_window(value: str | int | timedelta, field: str) -> timedelta | int:
    """A window as a span of time ("24h", "7d", "1w") or a number of batches (10, "10 batches").

    Raises DeclarationError naming `field` for anything else.

    >>> parse_window("3 batches", "window")
    3
    """
    if isinstance(value, str) and (match := BATCHES.fullmatch(value)) and int(match[1]):
        return int(match[1])
    try:
        return parse_span(value, field)
    except (DeclarationError, OverflowError):
        instead = "give a span above zero such as '24h', '7d' or '1w', or a number of batches such as 10"
        raise DeclarationError(field, value, instead) from None


def put(entries: Iterable[Entry], entry: Entry) -> list[Entry]:
    """The entries in order of their batches, this one in place of an earlier one of its batch."""
    return sorted([*(e for e in entries if e.seq != entry.seq), entry], key=lambda e: e.seq)


def newest(entries: Iterable[Entry], span: Span, window: timedelta | int) -> list[Entry]:
    """The entries inside the window that ends with `span`.

    A window of batches holds the last so many that could be scored, none older than twice as many batches: one
    without labels must not silence a trigger for the whole window.

    Raises DeclarationError when the window is a span of time and the loop's axis an integer index.
    """
    if isinstance(window, int):
        return [e for e in entries if e.seq > span.seq - 2 * window][-window:]
    if not isinstance(span.end, datetime):
        instead = "the time of this loop is an integer index; give the window in batches, e.g. window=10"
        raise DeclarationError("window", str(window), instead)
    first = span.end - window
    return [e for e in entries if isinstance(e.start, datetime) and e.start >= first]


def began(entries: list[Entry], excess: list[float]) -> Moment | None:
    """Start of the batch from which on the excess, summed to the newest batch, is largest: where it likely began.

    Page, Continuous inspection schemes (1954).
    """
    best, total, start = float("-inf"), 0.0, None
    for entry, more in zip(reversed(entries), reversed(excess), strict=True):
        total += more
        if total >= best:
            best, start = total, entry.start
    return start


def moment_to_json(moment: Moment) -> str | int:
    """ISO text of a time, an index as it is."""
    return moment.isoformat() if isinstance(moment, datetime) else int(moment)


def moment_from_json(written: str | int) -> Moment:
    """The reverse of `moment_to_json`."""
    return datetime.fromisoformat(written) if isinstance(written, str) else written

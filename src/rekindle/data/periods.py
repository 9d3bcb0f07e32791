"""The present and the periods of one loop: which batches are complete, and what the clock reads on its axis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rekindle.clock import parse_span
from rekindle.data.cadence import Cadence, Edges, Period
from rekindle.errors import DeclarationError, NotEnoughData, SchemaError, SourceError

if TYPE_CHECKING:
    from rekindle.clock import Clock
    from rekindle.records import Extent, Moment

__all__ = ["cadence_of", "default_every", "every_text", "present", "refuse_leap"]

MOST_MISSED = 100_000  # batches due at once above which a time is taken for a mistake
HISTORY_BATCHES = 48  # an index without a declared cadence: its first history makes this many batches


def present(extent: Extent, clock: Clock) -> Moment:
    """Now, on the loop's own axis: the clock, or one past the newest index seen.

    An index counts as complete once its newest value is there, so `newest + 1` is the first moment not over.
    """
    if isinstance(extent.last, int):
        return extent.last + 1
    return clock.now()


def default_every(extent: Extent) -> timedelta | int:
    """One day, or on an index 1/48 of what is there."""
    if isinstance(extent.last, int) and isinstance(extent.first, int):
        return max(1, round((extent.last + 1 - extent.first) / HISTORY_BATCHES))
    return timedelta(days=1)


def every_text(every: timedelta | int | Edges) -> str:
    """A cadence as the store keeps it."""
    if isinstance(every, Edges):
        return f"{len(every)} given batches"
    if isinstance(every, timedelta):
        return f"{every / timedelta(seconds=1):.6f}".rstrip("0").rstrip(".") + "s"
    return str(every)


def cadence_of(
    every: timedelta | int | Edges | None, stored: str | None, origin: Moment | None, extent: Extent
) -> Cadence:
    """How this loop's axis is cut. Once numbered, the batches keep their numbers.

    Raises NotEnoughData while there is no row, DeclarationError when `every` changed after batches were numbered,
    SchemaError when the time column turned from dates to an index or back.
    """
    begin = every.edges[0] if isinstance(every, Edges) else origin
    if begin is not None:
        _same_axis(begin, extent)
    if origin is not None and stored is not None and every is not None and every_text(every) != stored:
        raise DeclarationError(
            "every",
            every_text(every),
            f"the batches of this loop are numbered by {stored}; keep that, or rename the loop",
        )
    if isinstance(every, Edges):
        return every
    if origin is not None and stored is not None:
        return Period(int(stored) if stored.isdigit() else parse_span(stored, "every"), origin)
    if extent.first is None:
        raise NotEnoughData("the source has no rows yet")
    return Period.aligned(every if every is not None else default_every(extent), extent.first)


def refuse_leap(seq: int, newest: int) -> None:
    """Raise SourceError when so many batches are due that a wrong time is likelier than a pause."""
    if newest - seq >= MOST_MISSED:
        raise SourceError(
            f"{newest - seq + 1:,} batches are due at once: is the newest time a mistake? Mend the source, "
            "or rename the loop to begin afresh"
        )


def _same_axis(begin: Moment, extent: Extent) -> None:
    if extent.last is None and isinstance(begin, int):
        raise NotEnoughData(
            "the source has no rows any more; bring them back, an index tells no time without them"
        )
    if extent.last is not None and isinstance(extent.last, int) != isinstance(begin, int):
        was, now = ("an index", "dates") if isinstance(begin, int) else ("dates", "an index")
        raise SchemaError(
            f"the time column held {was} and now holds {now}; bring it back, or rename the loop"
        )

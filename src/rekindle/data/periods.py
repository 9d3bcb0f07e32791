"""The present and the periods of one loop: which batches are complete, and what the clock reads on its axis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rekindle.clock import parse_span
from rekindle.data.cadence import Cadence, Edges, Period
from rekindle.errors import DeclarationError, NotEnoughData

if TYPE_CHECKING:
    from rekindle.clock import Clock
    from rekindle.records import Extent, Moment

__all__ = ["cadence_of", "default_every", "every_text", "present"]

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
    return f"{every // timedelta(seconds=1)}s" if isinstance(every, timedelta) else str(every)


def cadence_of(
    every: timedelta | int | Edges | None, stored: str | None, origin: Moment | None, extent: Extent
) -> Cadence:
    """How this loop's axis is cut. Once numbered, the batches keep their numbers.

    Raises NotEnoughData while there is no row, DeclarationError when `every` changed after batches were numbered.
    """
    if isinstance(every, Edges):
        return every
    if origin is not None and stored is not None:
        held = int(stored) if stored.isdigit() else parse_span(stored, "every")
        if every is not None and every != held:
            raise DeclarationError(
                "every",
                str(every),
                f"the batches of this loop are numbered by {held}; keep that, or rename the loop",
            )
        return Period(held, origin)
    if extent.first is None:
        raise NotEnoughData("the source has no rows yet")
    return Period.aligned(every if every is not None else default_every(extent), extent.first)

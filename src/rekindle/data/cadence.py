"""How a loop's time axis is cut into evaluation batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rekindle.errors import DeclarationError, SchemaError
from rekindle.records import Moment, Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "Cadence",
    "Edges",
    "Period",
    "axis_value",
    "axis_values",
    "equal_batches",
    "moment_json",
    "moment_of",
]

# Periods of whole days begin at 00:00 UTC, whole weeks on a Monday.
ANCHOR = datetime(1970, 1, 5, tzinfo=UTC)


class Cadence(Protocol):
    """Numbers the batches of a loop, 0 for the oldest."""

    def span(self, seq: int) -> Span:
        """The period of batch `seq`."""
        ...

    def numbers(self, times: pd.Series) -> NDArray[np.int64]:
        """The batch number of each time."""
        ...

    def newest_complete(self, now: Moment) -> int:
        """Number of the newest batch that ended by `now`; -1 when none has."""
        ...


def axis_values(times: pd.Series) -> NDArray[np.int64]:
    """Times as plain integers: microseconds since 1970 UTC, or the index itself."""
    if times.dtype.kind in "iu":
        return np.asarray(times.to_numpy(dtype=np.int64))
    return np.asarray(times.dt.as_unit("us").astype("int64").to_numpy())


def axis_value(moment: Moment) -> int:
    """A moment as a plain integer: microseconds since 1970 UTC, or the index itself."""
    if isinstance(moment, datetime):
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return int(moment)


@dataclass(frozen=True, slots=True)
class Period:
    """Batches of one length in time (or index units), laid from `origin` on.

    >>> Period.aligned(timedelta(days=1), datetime(2026, 3, 1, 15, tzinfo=UTC)).span(0).start
    datetime.datetime(2026, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """

    length: timedelta | int  # of one batch
    origin: Moment  # start of batch 0

    @classmethod
    def aligned(cls, length: timedelta | int, first: Moment) -> Period:
        """Periods such that `first` lies in batch 0; whole days begin at midnight UTC."""
        if isinstance(length, timedelta):
            if not isinstance(first, datetime):
                raise DeclarationError(
                    "every", length, f"the time column is an index; give index units, e.g. every={1000}"
                )
            try:
                return cls(length, ANCHOR + (first - ANCHOR) // length * length)
            except OverflowError:
                raise SchemaError(
                    f"the oldest time, {first:%Y-%m-%d}, is too near to the year 1 to lay batches from; mend it"
                ) from None
        if isinstance(first, datetime):
            raise DeclarationError(
                "every", length, "the time column holds dates; give a span, e.g. every='1d'"
            )
        return cls(length, first)

    def span(self, seq: int) -> Span:
        origin: Any = self.origin
        start = origin + seq * self.length
        return Span(seq, start, start + self.length)

    def numbers(self, times: pd.Series) -> NDArray[np.int64]:
        return (axis_values(times) - axis_value(self.origin)) // self._length_value()

    def newest_complete(self, now: Moment) -> int:
        return max(-1, (axis_value(now) - axis_value(self.origin)) // self._length_value() - 1)

    def _length_value(self) -> int:
        if isinstance(self.length, timedelta):
            return self.length // timedelta(microseconds=1)
        return self.length


@dataclass(frozen=True, slots=True)
class Edges:
    """Batches with given borders: batch k covers edges[k] <= t < edges[k + 1]. Used by demo and backtest."""

    edges: tuple[Moment, ...]  # strictly rising

    def __len__(self) -> int:
        return len(self.edges) - 1

    def span(self, seq: int) -> Span:
        return Span(seq, self.edges[seq], self.edges[seq + 1])

    def numbers(self, times: pd.Series) -> NDArray[np.int64]:
        borders = np.array([axis_value(e) for e in self.edges])
        return np.searchsorted(borders, axis_values(times), side="right").astype(np.int64) - 1

    def newest_complete(self, now: Moment) -> int:
        borders = [axis_value(e) for e in self.edges]
        return int(np.searchsorted(borders, axis_value(now), side="right")) - 2


def equal_batches(times: pd.Series, batches: int) -> Edges:
    """Cut sorted times into batches of equal row count; rows of one time stay together.

    Raises DeclarationError when there are too few distinct times.
    """
    distinct = times.nunique()
    if len(times) < 2 * batches or distinct < batches:
        raise DeclarationError(
            "batches",
            batches,
            f"{len(times)} rows at {distinct} distinct times make no {batches} batches of at least two rows; "
            f"give a longer file or fewer batches",
        )
    values = times.reset_index(drop=True)
    cuts = np.linspace(0, len(values), batches + 1).astype(int)[1:-1]
    inner = values.iloc[cuts].tolist()
    last = values.iloc[-1]
    end = last + (1 if values.dtype.kind in "iu" else timedelta(microseconds=1))
    edges = [_plain(m) for m in [values.iloc[0], *inner, end]]
    if len(set(edges)) != len(edges):
        raise DeclarationError("batches", batches, "too many rows share one time; give fewer batches")
    return Edges(tuple(edges))


def _plain(moment: object) -> Moment:
    to_datetime = getattr(moment, "to_pydatetime", None)
    if to_datetime is None:
        return int(moment)  # type: ignore[call-overload, no-any-return]
    stamp: datetime = to_datetime()
    return stamp.astimezone(UTC)


def moment_json(moment: Moment | None) -> str | int | None:
    """A moment as JSON: ISO 8601 text, or the index."""
    return moment.isoformat() if isinstance(moment, datetime) else moment


def moment_of(stored: str | int | None) -> Moment | None:
    """The reverse of `moment_json`."""
    return datetime.fromisoformat(stored) if isinstance(stored, str) else stored

"""A store in which everything can be tried and nothing stays: what `check` decides in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.clock import Clock
    from rekindle.store.database import Store

__all__ = ["Rehearsal", "rehearse"]


class _Undo(Exception):
    """Ends the rehearsal's transaction without keeping it."""


class Rehearsal:
    """Reads and writes go to one transaction that is rolled back at the end."""

    def __init__(self, conn: Connection, clock: Clock) -> None:
        self._conn, self.clock = conn, clock

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A savepoint: an error inside undoes only what this block did."""
        with self._conn.begin_nested():
            yield self._conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The same transaction, for reading."""
        yield self._conn


@contextmanager
def rehearse(store: Store) -> Iterator[Rehearsal]:
    """A stand-in for the store; the home is as it was when the block ends."""
    try:
        with store.begin() as conn:
            yield Rehearsal(conn, store.clock)
            raise _Undo
    except _Undo:
        return

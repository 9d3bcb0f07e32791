"""A store in which everything can be tried and nothing stays: what `check` decides in. Nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.store.database import Store, open_store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.clock import Clock

__all__ = ["Rehearsal", "rehearse"]


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
def rehearse(store: Store, aside: Path) -> Iterator[Store | Rehearsal]:
    """A stand-in for the store; the home is as it was when the block ends.

    A file has one writer at a time, so a copy in the folder `aside` stands in for it: a long look must not hold up
    the run beside it. A server tries in a transaction that it takes back.
    """
    if store.engine.dialect.name == "sqlite":
        with open_store(_copied(store, aside / "rehearsal.db"), store.clock) as twin:
            yield twin
        return
    with store.engine.connect() as conn:
        trying = conn.begin()
        try:
            yield Rehearsal(conn, store.clock)
        finally:
            trying.rollback()


def _copied(store: Store, file: Path) -> Path:
    import sqlite3

    with closing(store.engine.raw_connection()) as source, closing(sqlite3.connect(file)) as target:
        source.driver_connection.backup(target)  # type: ignore[union-attr]
    return file

"""Opens the control database and hands out its transactions; what went wrong inside becomes a StoreError here."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rekindle.clock import Clock
from rekindle.errors import StoreError
from rekindle.store.schema import ensure_schema

__all__ = ["Store", "open_store"]

_MODE = "rekindle_mode"  # execution option: what the transaction is for
_WRITERS = 0x72656B69  # PostgreSQL: key of the lock that writers take in turn


def open_store(url_or_path: str | Path, clock: Clock, *, wait: float = 30.0) -> Store:
    """Open a control database, creating or migrating it when needed.

    url_or_path: a file (SQLite), or a URL: sqlite:///... or postgresql://... (extra `postgres`)
    clock:       what the store's users ask for the time
    wait:        seconds a transaction waits for another one before it gives up

    Raises StoreError naming the file and the next action.
    """
    url = _url(url_or_path)
    backend = url.get_backend_name()
    place = url.database or "" if backend == "sqlite" else url.set(drivername=backend).render_as_string()
    store = Store(_engine(url, wait), clock, place, wait)
    try:
        if backend == "sqlite":
            with _translated(place, wait):
                _use_wal(store.engine, wait)
        ensure_schema(store.read, store.begin, place)
    except BaseException:
        store.close()
        raise
    return store


class Store:
    """An open control database: `begin()` to write, `read()` to read. Safe to share between threads."""

    def __init__(self, engine: Engine, clock: Clock, place: str, wait: float) -> None:
        self.engine = engine  # the durable run engine keeps its own tables through it
        self.clock = clock
        self.place = place  # file or URL without password
        self._wait = wait
        self._writing = threading.local()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction for reading and writing: all of it happens, or nothing.

        Writers take turns from the first statement on, so what was read still holds when it is written. Keep it
        short: train, score and call other systems outside.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("a write transaction is open in this thread; pass its connection on")
        self._writing.now = True
        try:
            with _translated(self.place, self._wait), self.engine.connect() as bare:
                connection = bare.execution_options(**{_MODE: "write"})
                with connection.begin():
                    yield connection
        finally:
            self._writing.now = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view for reading; it blocks nobody, waits for nobody, and cannot write."""
        with _translated(self.place, self._wait), self.engine.connect() as bare:
            connection = bare.execution_options(**{_MODE: "read"})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(Path(url_or_path).absolute()))
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError):
        raise StoreError(
            "the control database URL cannot be read; write postgresql://USER@HOST/NAME or a file"
        ) from None
    backend = url.get_backend_name()
    if backend == "postgres":
        url, backend = url.set(drivername="postgresql"), "postgresql"
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(
            f"a control database cannot live in {backend!r}; use a file (SQLite) or postgresql://..."
        )
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("a control database in memory would be lost; name a file")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL, wait: float) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    try:
        if sqlite:
            if url.database and not url.query.get("uri"):
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(url, connect_args={"timeout": wait}, max_overflow=-1)
        else:
            engine = create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"PostgreSQL needs a driver that is not installed ({error}): pip install 'rekindle[postgres]'"
        ) from error
    except OSError as error:
        raise StoreError(
            f"the control database {url.database} cannot be created: {error.strerror}; "
            "choose a folder that can be written"
        ) from error
    event.listen(engine, "connect", _on_connect_sqlite if sqlite else _on_connect_postgresql(wait))
    event.listen(engine, "begin", _on_begin_sqlite if sqlite else _on_begin_postgresql)
    return engine


def _on_connect_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # _on_begin_sqlite begins transactions, not the driver
    connection.execute("PRAGMA foreign_keys = ON")
    # with WAL: a power cut may undo the last commits, never corrupt
    connection.execute("PRAGMA synchronous = NORMAL")


def _on_begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_MODE) == "read"
    if connection.info.get("query_only", False) != reading:
        connection.exec_driver_sql(f"PRAGMA query_only = {int(reading)}")
        connection.info["query_only"] = reading
    # a deferred transaction that reads, then writes, loses updates or fails at the write
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _on_connect_postgresql(wait: float) -> Any:
    def limit_waiting(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(wait * 1000)}")
        connection.commit()

    return limit_waiting


def _on_begin_postgresql(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_MODE)
    if mode == "read":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    elif mode == "write":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


def _use_wal(engine: Engine, wait: float) -> None:
    """Switch the file to write-ahead logging; SQLite answers "locked" at once while another process does the same."""
    give_up = time.monotonic() + wait
    while True:
        raw = engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone() != ("wal",):
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        finally:
            raw.close()
        time.sleep(0.01)


@contextmanager
def _translated(place: str, wait: float) -> Iterator[None]:
    """The one place where a database's error becomes a sentence with a next action."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(_sentence(error.orig or error, place, wait)) from error
    except sqlite3.Error as error:
        raise StoreError(_sentence(error, place, wait)) from error
    except PoolTimeout as error:
        raise StoreError(
            f"the control database {place} gave no connection in time; start fewer threads"
        ) from error


# PostgreSQL's SQLSTATEs, whole or by class, told in SQLite's words
_SQLSTATES = {
    "55P03": sqlite3.SQLITE_BUSY,
    "40": sqlite3.SQLITE_LOCKED,
    "53100": sqlite3.SQLITE_FULL,
    "25006": sqlite3.SQLITE_READONLY,
    "42501": sqlite3.SQLITE_PERM,
    "23": sqlite3.SQLITE_CONSTRAINT,
}


def _code(error: BaseException) -> int:
    """SQLite's primary result code, or the one that says the same; -1 where there is none."""
    state = getattr(error, "sqlstate", None) or ""
    code: int = getattr(error, "sqlite_errorcode", _SQLSTATES.get(state, _SQLSTATES.get(state[:2], -1)))
    return code & 0xFF if code >= 0 else -1


def _sentence(error: BaseException, place: str, wait: float) -> str:
    what = " ".join(str(error).split())
    return f"the control database {place} " + {
        sqlite3.SQLITE_BUSY: f"stayed locked by another process for {wait:g} s; end that process or try again",
        sqlite3.SQLITE_LOCKED: "is locked by another connection; try again",
        sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free some space, nothing written so far is lost",
        sqlite3.SQLITE_READONLY: "cannot be written; give yourself write access to the file and its folder",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder exists and can be written",
        sqlite3.SQLITE_PERM: "may not be opened; give yourself access to the file and its folder",
        sqlite3.SQLITE_NOTADB: "is not a database file; move it away, or put back a copy from your backup",
        sqlite3.SQLITE_CORRUPT: "is damaged; move it away, or put back a copy from your backup",
        sqlite3.SQLITE_IOERR: f"cannot be read or written ({what}); check the disk it lies on",
        sqlite3.SQLITE_CONSTRAINT: f"refused a row ({what}); this is a mistake in the program, nothing was written",
    }.get(_code(error), f"answered: {what}; check that it is there and that you may use it")

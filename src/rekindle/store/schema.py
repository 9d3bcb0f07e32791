"""Brings a control database to the schema of this code, once, also when two processes open it together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, text
from sqlalchemy import inspect as inspect_database

from rekindle.errors import StoreError
from rekindle.store.tables import SCHEMA, VERSION_TABLE, metadata

__all__ = ["ensure_schema"]

Transaction: TypeAlias = Callable[[], AbstractContextManager[Connection]]

_FOLDER = Path(__file__).parent / "migrations"
_STEP = text(f"SELECT version_num FROM {VERSION_TABLE}")
_alembic = threading.Lock()  # alembic keeps its context in a module global


def ensure_schema(read: Transaction, begin: Transaction, place: str) -> None:
    """Migrate when needed. A current database costs one plain query; alembic is imported only to upgrade.

    read, begin: open a transaction for reading or writing; writers wait for each other, so the second of two
                 processes finds the work done
    place:       file or URL, for the sentences
    """
    with read() as connection:
        if _stored(connection) == SCHEMA:
            return
    with _alembic, begin() as connection:
        stored = _stored(connection)
        if stored != SCHEMA:
            _refuse(connection, stored, place)
            _upgrade(connection)


def _stored(connection: Connection) -> str | None:
    """The schema the database says it has; None when it never met rekindle."""
    if not inspect_database(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(_STEP).scalar()
    return found


def _refuse(connection: Connection, stored: str | None, place: str) -> None:
    if stored is None:
        taken = sorted(set(inspect_database(connection).get_table_names()) & set(metadata.tables))
        if taken:
            raise StoreError(
                f"the database {place} already holds tables named {', '.join(taken)} that rekindle did not make; "
                "give rekindle a database or schema of its own"
            )
    elif not list((_FOLDER / "versions").glob(f"{stored}_*.py")):
        raise StoreError(
            f"the control database {place} was written by a newer rekindle (schema {stored}); upgrade rekindle"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

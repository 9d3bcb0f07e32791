"""One in-process DuckDB, set up once; a cursor per query."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekindle.errors import SourceError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

__all__ = ["cursor", "frame", "quote", "run"]


def _owner() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "all"


@lru_cache(maxsize=1)
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",  # nothing is fetched at run time
            "autoload_known_extensions": "false",
            "temp_directory": str(
                Path(tempfile.gettempdir())
                / f"rekindle-duckdb-{os.getuid() if hasattr(os, 'getuid') else 'all'}"
            ),
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def cursor() -> duckdb.DuckDBPyConnection:
    """A fresh cursor; queries on different cursors may run in different threads."""
    return _connection().cursor()


def quote(name: str) -> str:
    """A column or file name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def run(sql: str, parameters: Sequence[Any] = (), *, reading: str) -> duckdb.DuckDBPyConnection:
    """Execute a query; a DuckDB error becomes a SourceError that names what was being read."""
    import duckdb

    open_cursor = cursor()
    try:
        open_cursor.execute("SET TimeZone = 'UTC'")
        return open_cursor.execute(sql, list(parameters))
    except duckdb.Error as error:
        raise _unreadable(reading, error) from error


def frame(sql: str, parameters: Sequence[Any] = (), *, reading: str) -> pd.DataFrame:
    """The rows of a query as a table; errors as in `run`, also those that show while rows are fetched."""
    import duckdb

    try:
        found: pd.DataFrame = run(sql, parameters, reading=reading).df()
    except duckdb.Error as error:
        raise _unreadable(reading, error) from error
    return found


def _unreadable(reading: str, error: Exception) -> SourceError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("LINE ", "Original Line", "^"))]
    told = "; ".join(lines[:2])[:300].rstrip(".;: ")
    if "parsing dialect" in told:
        told = "not every line has as many fields as the header"
    return SourceError(
        f"{reading} cannot be read: {told}. Is the file complete and of the declared kind? "
        "Write it to the side and rename it into place, then run the command again."
    )

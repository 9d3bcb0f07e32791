"""Loops and their revisions: what the home knows of each declaration, and where its batches begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select, true, update

from rekindle.errors import UnknownName
from rekindle.records import Evidence, Moment
from rekindle.store import tables

__all__ = [
    "Revision",
    "StoredLoop",
    "find",
    "get",
    "matching",
    "names",
    "newest",
    "paused",
    "register",
    "revisions",
    "set_origin",
    "set_paused",
    "set_settings",
    "set_task",
]

_LOOPS, _REVISIONS = tables.loops, tables.revisions
_BY_NAME = select(_LOOPS).where(_LOOPS.c.name == bindparam("key"))
_NAMES = select(_LOOPS.c.name)
_PAUSED = _NAMES.where(_LOOPS.c.paused.is_(True))
_CHANGE = update(_LOOPS).where(_LOOPS.c.name == bindparam("key"))
_HAS_REVISION = select(_REVISIONS.c.id).where(
    _REVISIONS.c.loop == bindparam("loop"), _REVISIONS.c.id == bindparam("revision")
)


@dataclass(frozen=True, slots=True)
class StoredLoop:
    """A loop as the home knows it; the declaration itself is the user's file."""

    name: str  # unique in this home
    revision: str  # the newest declaration registered
    file: str  # the loops file it came from
    task: str | None  # "classification" or "regression"; None until the first rows were seen
    every: str | None  # length of a batch as declared or worked out; None while unknown
    origin: Moment | None  # start of batch 0; None until the first rows were seen
    paused: bool  # a paused loop is not ticked
    created_at: datetime  # when it was first registered
    metric: str | None  # the metric people read
    settings: Evidence = field(
        default_factory=dict
    )  # what was worked out once and must not change (scales, columns)


@dataclass(frozen=True, slots=True)
class Revision:
    """One declaration of a loop, as a run pins it."""

    id: str  # hash of declaration and source text
    loop: str  # the loop's name
    declaration: Evidence  # the declaration in plain JSON
    source: str  # text of the loops file
    git_commit: str | None  # commit of the file's repository; None outside one
    git_dirty: bool | None  # were there changes not committed
    created_at: datetime  # when it was first registered


def register(
    conn: Connection,
    revision: Revision,
    *,
    file: str,
    every: str | None = None,
    task: str | None = None,
    metric: str | None = None,
) -> StoredLoop:
    """Make a declaration the current one of its loop; the loop is created when new.

    A known loop keeps its origin, pause and settings, and what is given as None. To notice a change, `find` the
    loop before and compare revisions.
    """
    known = find(conn, revision.loop)
    if known is None:
        fresh = {"name": revision.loop, "origin": None, "paused": False, "created_at": revision.created_at}
        words = {"revision": revision.id, "file": file, "every": every, "task": task, "metric": metric}
        conn.execute(insert(_LOOPS), {**fresh, **words, "settings": {}})
    else:
        words = {"every": every, "task": task, "metric": metric}
        given = {name: value for name, value in words.items() if value is not None}
        _change(conn, revision.loop, revision=revision.id, file=file, **given)
    if conn.execute(_HAS_REVISION, {"loop": revision.loop, "revision": revision.id}).first() is None:
        conn.execute(
            insert(_REVISIONS),
            {name: getattr(revision, name) for name in Revision.__dataclass_fields__},
        )
    return get(conn, revision.loop)


def find(conn: Connection, name: str) -> StoredLoop | None:
    """The loop of this name, or None."""
    row = conn.execute(_BY_NAME, {"key": name}).first()
    return None if row is None else _loop(row)


def get(conn: Connection, name: str) -> StoredLoop:
    """The loop of this name; UnknownName with the nearest one when there is none."""
    loop = find(conn, name)
    if loop is None:
        raise UnknownName("loop", name, names(conn))
    return loop


def names(conn: Connection, pattern: str = "*") -> list[str]:
    """Names that match a glob (`churn-*`, `eu-[ab]?`), in alphabetical order."""
    return sorted(name for name in conn.execute(_NAMES).scalars() if fnmatchcase(name, pattern))


def newest(conn: Connection, pattern: str = "*") -> list[StoredLoop]:
    """Loops whose name matches a glob, in alphabetical order."""
    rows = conn.execute(select(_LOOPS).where(matching(conn, _LOOPS.c.name, pattern)))
    return sorted((_loop(row) for row in rows), key=lambda loop: loop.name)


def matching(conn: Connection, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """A condition: the column names a loop that matches the glob."""
    if pattern == "*":
        return true()
    if not set("*?[") & set(pattern):
        return column == pattern
    return column.in_(names(conn, pattern))


def revisions(conn: Connection, loop: str) -> list[Revision]:
    """All declarations of a loop, newest first."""
    query = select(_REVISIONS).where(_REVISIONS.c.loop == loop)
    rows = conn.execute(query.order_by(_REVISIONS.c.created_at.desc(), _REVISIONS.c.id))
    return [Revision(**row._mapping) for row in rows]


def paused(conn: Connection) -> list[str]:
    """Names of the loops that are not ticked."""
    return list(conn.execute(_PAUSED).scalars())


def set_paused(conn: Connection, name: str, paused: bool) -> None:
    """Pause or resume a loop."""
    _change(conn, name, paused=paused)


def set_origin(conn: Connection, name: str, origin: Moment) -> None:
    """Fix where batch 0 begins."""
    _change(conn, name, origin=origin)


def set_task(conn: Connection, name: str, task: str) -> None:
    """Note the task that the rows revealed."""
    _change(conn, name, task=task)


def set_every(conn: Connection, name: str, every: str) -> None:
    """Fix the length of a batch."""
    _change(conn, name, every=every)


def set_settings(conn: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Add to the loop's settings; a name given again is replaced."""
    _change(conn, name, settings={**get(conn, name).settings, **settings})


def _change(conn: Connection, name: str, **values: Any) -> None:
    if conn.execute(_CHANGE.values(values), {"key": name}).rowcount == 0:
        raise UnknownName("loop", name, names(conn))


def _loop(row: Row[Any]) -> StoredLoop:
    return StoredLoop(**row._mapping)

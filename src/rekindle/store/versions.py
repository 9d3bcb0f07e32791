"""Versions of models and their aliases: which one is champion, and which one was."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from rekindle.errors import StaleSwap, UnknownName
from rekindle.records import Version
from rekindle.store import tables
from rekindle.store.loops import matching

__all__ = [
    "ANY",
    "Alias",
    "Expected",
    "add",
    "alias",
    "aliases",
    "drop_alias",
    "find",
    "get",
    "move_alias",
    "newest",
]
__all__ += ["next_label", "next_number", "promote", "rollback"]


class _Any(Enum):
    ANY = "any"


ANY: Final = _Any.ANY  # a swap that does not mind which version bears the alias
Expected: TypeAlias = int | Literal[_Any.ANY] | None

CHAMPION, PREVIOUS = "champion", "previous"
_VERSIONS, _ALIASES = tables.versions, tables.aliases
_NAMES = tuple(field.name for field in fields(Version))
_OF_LOOP = select(_VERSIONS).where(_VERSIONS.c.loop == bindparam("key"))
_ONE = _OF_LOOP.where(_VERSIONS.c.number == bindparam("model"))
_LARGEST = select(func.max(_VERSIONS.c.number)).where(_VERSIONS.c.loop == bindparam("key"))
_ALIASES_OF = select(_ALIASES).where(_ALIASES.c.loop == bindparam("key"))
_ALIAS = _ALIASES_OF.where(_ALIASES.c.alias == bindparam("name"))
_MOVE = update(_ALIASES).where(
    _ALIASES.c.loop == bindparam("key"),
    _ALIASES.c.alias == bindparam("name"),
    _ALIASES.c.generation == bindparam("seen"),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that a version bears for a while."""

    loop: str  # the loop's name
    alias: str  # champion, challenger or previous
    version: int  # number of the version that bears it
    since: datetime  # wall time of the last move
    generation: int  # how often it moved; grows for ever, so that followers notice a return too


def next_number(conn: Connection, loop: str) -> int:
    """Number of the loop's next version, from 1 on."""
    return int(conn.execute(_LARGEST, {"key": loop}).scalar() or 0) + 1


def next_label(previous: str | None) -> str:
    """The label after this one: its last number grows by one (checklist row 62).

    >>> next_label(None), next_label("v15"), next_label("1.4.9"), next_label("credit")
    ('v1', 'v16', '1.4.10', 'credit.1')
    """
    if not previous:
        return "v1"
    head, digits = re.fullmatch(r"(.*?)([0-9]*)", previous, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{head}{int(digits) + 1:0{len(digits)}d}" if digits else f"{previous}.1"


def add(conn: Connection, version: Version) -> Version:
    """Register a version; it has no alias yet."""
    conn.execute(insert(_VERSIONS), {name: getattr(version, name) for name in _NAMES})
    return version


def find(conn: Connection, loop: str, number: int) -> Version | None:
    """One version, or None."""
    row = conn.execute(_ONE, {"key": loop, "model": number}).first()
    return None if row is None else _version(row)


def get(conn: Connection, loop: str, number: int) -> Version:
    """One version; UnknownName when it does not exist."""
    found = find(conn, loop, number)
    if found is None:
        known = conn.execute(_OF_LOOP.order_by(_VERSIONS.c.number), {"key": loop})
        raise UnknownName(f"version of {loop!r}", number, (str(row.number) for row in known))
    return found


def newest(conn: Connection, pattern: str = "*", limit: int = 50) -> list[Version]:
    """Versions of the loops that match a glob, newest first."""
    query = select(_VERSIONS).where(matching(conn, _VERSIONS.c.loop, pattern))
    order = (_VERSIONS.c.created_at.desc(), _VERSIONS.c.loop, _VERSIONS.c.number.desc())
    return [_version(row) for row in conn.execute(query.order_by(*order).limit(limit))]


def alias(conn: Connection, loop: str, name: str = CHAMPION) -> Alias | None:
    """Which version bears an alias, or None."""
    row = conn.execute(_ALIAS, {"key": loop, "name": name}).first()
    return None if row is None or row.version is None else Alias(**row._mapping)


def aliases(conn: Connection, loop: str) -> dict[str, Alias]:
    """All aliases of a loop that some version bears."""
    rows = conn.execute(_ALIASES_OF.order_by(_ALIASES.c.alias), {"key": loop})
    return {row.alias: Alias(**row._mapping) for row in rows if row.version is not None}


def move_alias(
    conn: Connection, loop: str, name: str, version: int, at: datetime, *, expect: Expected = ANY
) -> Alias:
    """Give an alias to a version.

    expect: the version that must bear it now, None for nobody; StaleSwap when it is another one
    """
    get(conn, loop, version)
    return Alias(loop, name, version, at, _move(conn, loop, name, version, at, expect))


def drop_alias(conn: Connection, loop: str, name: str, at: datetime, *, expect: Expected = ANY) -> None:
    """Take an alias away from whoever bears it: a rollout ended."""
    _move(conn, loop, name, None, at, expect)


def promote(conn: Connection, loop: str, version: int, at: datetime, *, expect: Expected) -> Alias:
    """Make a version champion and its predecessor `previous`, both in the given transaction.

    expect: the champion that the version was judged against, None for the first; StaleSwap when another promotion
            came first. Promoting the champion once more changes nothing, so that a resumed run may.
    """
    standing = alias(conn, loop)
    if standing is not None and standing.version == version:
        return standing
    moved = move_alias(conn, loop, CHAMPION, version, at, expect=expect)
    if standing is not None:
        _move(conn, loop, PREVIOUS, standing.version, at, ANY)
    return moved


def rollback(conn: Connection, loop: str, at: datetime, *, expect: Expected = ANY) -> Alias:
    """Make `previous` champion again; the two change places. UnknownName when there is no previous one.

    expect: the champion to be rolled back; StaleSwap when it is another one
    """
    before = alias(conn, loop, PREVIOUS)
    if before is None:
        raise UnknownName(f"alias of {loop!r}", PREVIOUS, aliases(conn, loop))
    return promote(conn, loop, before.version, at, expect=expect)


def _move(conn: Connection, loop: str, name: str, version: int | None, at: datetime, expect: Expected) -> int:
    """Move an alias if it stands where expected; returns its new generation."""
    row = conn.execute(_ALIAS, {"key": loop, "name": name}).first()
    standing, seen = (None, 0) if row is None else (row.version, row.generation)
    if expect is not ANY and expect != standing:
        raise _stale(loop, name, expect, standing)
    values = {"version": version, "since": at, "generation": seen + 1}
    if row is None:
        conn.execute(insert(_ALIASES), {"loop": loop, "alias": name, **values})
    elif conn.execute(_MOVE.values(values), {"key": loop, "name": name, "seen": seen}).rowcount == 0:
        raise _stale(loop, name, standing, None)  # only without our own write lock
    return seen + 1


def _stale(loop: str, name: str, expect: int | None, standing: int | None) -> StaleSwap:
    wanted, found = ("nobody" if number is None else f"version {number}" for number in (expect, standing))
    return StaleSwap(
        f"{name} of {loop!r} was expected to be {wanted} but is {found}: a newer promotion came first; "
        "judge the candidate against the present one"
    )


def _version(row: Row[Any]) -> Version:
    return Version(**row._mapping)

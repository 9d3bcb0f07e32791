"""Commands that people queue and a tick takes: retrain, approve, reject, rollback, pause ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from rekindle.errors import UnknownName
from rekindle.records import Evidence
from rekindle.store import tables
from rekindle.store.ids import new_id

__all__ = ["Command", "add", "finish", "get", "newest", "requeue", "take"]

_COMMANDS = tables.commands
_QUEUED, _TAKEN, _DONE, _FAILED = "queued", "taken", "done", "failed"
_OLDEST = select(_COMMANDS).where(_COMMANDS.c.state == _QUEUED).order_by(_COMMANDS.c.id).limit(1)
_CHANGE = update(_COMMANDS).where(_COMMANDS.c.id == bindparam("key"))
_BY_ID = select(_COMMANDS).where(_COMMANDS.c.id == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asked the home to do."""

    id: str  # sorts by time
    loop: str  # the model concerned; "" for all
    verb: str  # e.g. "retrain"
    args: Evidence  # its arguments: plain JSON
    actor: str  # who asked
    created_at: datetime  # when
    taken_at: datetime | None = None  # when a tick took it
    finished_at: datetime | None = None  # when it was carried out
    state: str = _QUEUED  # queued, taken, done or failed
    result: Evidence | None = None  # what came of it


def add(conn: Connection, loop: str, verb: str, args: Mapping[str, Any], actor: str, at: datetime) -> Command:
    """Queue a command."""
    command = Command(new_id("cmd-", at), loop, verb, dict(args), actor, at)
    conn.execute(insert(_COMMANDS), {name: getattr(command, name) for name in Command.__dataclass_fields__})
    return command


def take(conn: Connection, at: datetime, loop: str | None = None) -> Command | None:
    """Take the oldest queued command, of one loop if named; each goes to one caller. None when there is none."""
    query = _OLDEST if loop is None else _OLDEST.where(_COMMANDS.c.loop == loop)
    while (row := conn.execute(query).first()) is not None:
        mine = _CHANGE.where(_COMMANDS.c.state == _QUEUED).values(state=_TAKEN, taken_at=at)
        if conn.execute(mine, {"key": row.id}).rowcount == 1:
            return get(conn, row.id)
    return None


def finish(
    conn: Connection, command: str, result: Mapping[str, Any], at: datetime, *, failed: bool = False
) -> None:
    """Note that a command was carried out, or that it could not be."""
    values = {"state": _FAILED if failed else _DONE, "finished_at": at, "result": dict(result)}
    if conn.execute(_CHANGE.values(values), {"key": command}).rowcount == 0:
        raise UnknownName("command", command)


def requeue(conn: Connection) -> int:
    """Put back what a process that died had taken; only for who alone acts on the home. Returns how many."""
    taken = update(_COMMANDS).where(_COMMANDS.c.state == _TAKEN)
    return conn.execute(taken.values(state=_QUEUED, taken_at=None)).rowcount


def get(conn: Connection, command: str) -> Command:
    """One command; UnknownName when there is none."""
    row = conn.execute(_BY_ID, {"key": command}).first()
    if row is None:
        raise UnknownName("command", command)
    return _command(row)


def newest(conn: Connection, limit: int = 50, *, state: str | None = None) -> list[Command]:
    """Commands, newest first; only those in a state if named."""
    query = select(_COMMANDS) if state is None else select(_COMMANDS).where(_COMMANDS.c.state == state)
    return [_command(row) for row in conn.execute(query.order_by(_COMMANDS.c.id.desc()).limit(limit))]


def _command(row: Row[Any]) -> Command:
    return Command(**row._mapping)

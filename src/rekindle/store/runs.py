"""Runs: durable attempts to replace a champion. The database keeps each loop to one that is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from rekindle.errors import UnknownName
from rekindle.records import Outcome, Run, RunState
from rekindle.store import tables
from rekindle.store.loops import matching

__all__ = [
    "add",
    "claim",
    "counts",
    "expired",
    "expires_at",
    "find",
    "finish",
    "get",
    "last_finished",
    "newest",
]
__all__ += ["open_run", "opened", "set_outcome", "set_state"]

_RUNS = tables.runs
_NAMES = tuple(field.name for field in fields(Run))
_FINAL = [state.value for state in RunState if state.final]
_WAITING = [RunState.QUEUED.value, RunState.PENDING.value]
_OPEN = _RUNS.c.state.not_in(_FINAL)
_BY_ID = select(_RUNS).where(_RUNS.c.id == bindparam("key"))
_CHANGE = update(_RUNS).where(_RUNS.c.id == bindparam("key"))
_OPEN_OF = select(_RUNS).where(_RUNS.c.loop == bindparam("key"), _OPEN)
_FINISHED_OF = select(_RUNS).where(_RUNS.c.loop == bindparam("key"), _RUNS.c.state.in_(_FINAL))
_LAST = _FINISHED_OF.order_by(_RUNS.c.finished_at.desc(), _RUNS.c.id.desc()).limit(1)
_LAST_ALIVE = _LAST.where(_RUNS.c.state != RunState.ERROR.value)


def add(conn: Connection, run: Run) -> Run:
    """Store a run and return it. When its loop has an open one already, nothing is stored and that one is returned.

    So `add(conn, run).id == run.id` tells whether the run was taken. In any case the database refuses a second one.
    """
    standing = open_run(conn, run.loop)
    if standing is not None:
        return standing
    values = {name: getattr(run, name) for name in _NAMES}
    outcome = None if run.outcome is None else run.outcome.value
    conn.execute(insert(_RUNS), {**values, "state": run.state.value, "outcome": outcome, "expires_at": None})
    return run


def find(conn: Connection, run: str) -> Run | None:
    """The run of this id, or None."""
    row = conn.execute(_BY_ID, {"key": run}).first()
    return None if row is None else _run(row)


def get(conn: Connection, run: str) -> Run:
    """The run of this id; UnknownName when there is none."""
    found = find(conn, run)
    if found is None:
        raise UnknownName("run", run, (other.id for other in newest(conn, limit=5)))
    return found


def claim(conn: Connection, run: str, at: datetime) -> bool:
    """Take a waiting run into work; True for the one caller who got it."""
    waiting = _CHANGE.where(_RUNS.c.state.in_(_WAITING))
    return (
        conn.execute(waiting.values(state=RunState.RUNNING.value, started_at=at), {"key": run}).rowcount == 1
    )


def set_state(conn: Connection, run: str, state: RunState, *, expires_at: datetime | None = None) -> bool:
    """Move an open run to another open state; False when it has ended.

    expires_at: when an approval that nobody gave lapses; forgotten with every other state
    """
    if state.final:
        raise ValueError(f"{state.value} ends a run: use finish()")
    change = _CHANGE.where(_OPEN).values(state=state.value, expires_at=expires_at)
    return conn.execute(change, {"key": run}).rowcount == 1


def finish(
    conn: Connection,
    run: str,
    state: RunState,
    outcome: Outcome,
    *,
    at: datetime,
    cause: str = "",
    version: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> bool:
    """End a run; False (and nothing changes) when it had ended before.

    cause: why it ended so; version: the one it registered; metadata: added to what the run holds already
    """
    if not state.final:
        raise ValueError(f"{state.value} does not end a run: use set_state()")
    values: dict[str, Any] = {
        "state": state.value,
        "outcome": outcome.value,
        "cause": cause,
        "finished_at": at,
        "expires_at": None,
    }
    if version is not None:
        values["version"] = version
    if metadata:
        values["metadata"] = {**get(conn, run).metadata, **metadata}
    return conn.execute(_CHANGE.where(_OPEN).values(values), {"key": run}).rowcount == 1


def set_decision(conn: Connection, run: str, decision: str) -> None:
    """Name the decision that ordered a run; decisions get their id when they are stored, after the run."""
    conn.execute(_CHANGE.values(decision=decision), {"key": run})


def set_outcome(conn: Connection, run: str, outcome: Outcome, cause: str = "") -> None:
    """Say how the rollout of a released run ended: PROMOTED or ROLLED_BACK."""
    if conn.execute(_CHANGE.values(outcome=outcome.value, cause=cause), {"key": run}).rowcount == 0:
        raise UnknownName("run", run)


def open_run(conn: Connection, loop: str) -> Run | None:
    """The loop's run that has not ended, if any; one that waits for approval counts."""
    row = conn.execute(_OPEN_OF, {"key": loop}).first()
    return None if row is None else _run(row)


def opened(conn: Connection, pattern: str = "*") -> list[Run]:
    """All runs that have not ended, oldest first: what a restarted process resumes."""
    query = select(_RUNS).where(_OPEN, matching(conn, _RUNS.c.loop, pattern)).order_by(_RUNS.c.id)
    return [_run(row) for row in conn.execute(query)]


def newest(conn: Connection, pattern: str = "*", limit: int = 50) -> list[Run]:
    """Runs of the loops that match a glob, newest first."""
    query = (
        select(_RUNS).where(matching(conn, _RUNS.c.loop, pattern)).order_by(_RUNS.c.id.desc()).limit(limit)
    )
    return [_run(row) for row in conn.execute(query)]


def last_finished(conn: Connection, loop: str, *, died: bool = True) -> Run | None:
    """The run that ended last.

    died: count those that ended in an error, too; a cooldown does not, so that they may be repeated
    """
    row = conn.execute(_LAST if died else _LAST_ALIVE, {"key": loop}).first()
    return None if row is None else _run(row)


def expired(conn: Connection, now: datetime) -> list[Run]:
    """Runs whose approval has lapsed."""
    waiting = _RUNS.c.state == RunState.AWAITING_APPROVAL.value
    rows = conn.execute(select(_RUNS).where(waiting, _RUNS.c.expires_at <= now).order_by(_RUNS.c.id))
    return [_run(row) for row in rows]


def expires_at(conn: Connection, run: str) -> datetime | None:
    """When the run's approval lapses; None when it waits for none."""
    return conn.execute(select(_RUNS.c.expires_at).where(_RUNS.c.id == run)).scalar()


def counts(conn: Connection, pattern: str = "*") -> dict[str, Any]:
    """How many runs are queued, active and completed (failed ones too), and how many per strategy."""
    query = select(_RUNS.c.state, _RUNS.c.strategy, func.count().label("runs"))
    query = query.where(matching(conn, _RUNS.c.loop, pattern)).group_by(_RUNS.c.state, _RUNS.c.strategy)
    found: dict[str, Any] = {"queued": 0, "active": 0, "completed": 0}
    strategies: dict[str, int] = {}
    for state, strategy, number in conn.execute(query):
        place = "completed" if state in _FINAL else "queued" if state in _WAITING else "active"
        found[place] += number
        strategies[strategy] = strategies.get(strategy, 0) + number
    return {**found, "by_strategy": dict(sorted(strategies.items()))}


def _run(row: Row[Any]) -> Run:
    values = {name: getattr(row, name) for name in _NAMES}
    outcome = None if row.outcome is None else Outcome(row.outcome)
    return Run(**{**values, "state": RunState(row.state), "outcome": outcome})

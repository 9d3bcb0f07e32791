"""Steps of runs: each is recorded when it begins and when it ends, so that a killed run resumes where it died."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from rekindle.errors import UnknownName
from rekindle.records import Step
from rekindle.store import tables

__all__ = ["begin_step", "end_step", "fail_step", "steps"]

_STEPS = tables.steps
_OF_RUN = select(_STEPS).where(_STEPS.c.run == bindparam("key"))
_ONE = _OF_RUN.where(_STEPS.c.name == bindparam("step"))
_COUNT = select(func.count()).select_from(_STEPS).where(_STEPS.c.run == bindparam("key"))
_CHANGE = update(_STEPS).where(_STEPS.c.run == bindparam("key"), _STEPS.c.name == bindparam("step"))
_RUNNING, _DONE, _ERROR = "running", "done", "error"


def begin_step(conn: Connection, run: str, name: str, at: datetime) -> Step:
    """Note that a step begins, once more if it did before.

    A step that is done is returned as it is, with state "done" and its result: do not carry it out again.
    """
    row = conn.execute(_ONE, {"key": run, "step": name}).first()
    if row is not None and row.state == _DONE:
        return _step(row)
    began = {"state": _RUNNING, "started_at": at, "finished_at": None, "error": ""}
    if row is not None:
        conn.execute(_CHANGE.values(**began, attempt=_STEPS.c.attempt + 1), {"key": run, "step": name})
    else:
        place = {"run": run, "name": name, "position": conn.execute(_COUNT, {"key": run}).scalar_one()}
        conn.execute(insert(_STEPS), {**place, **began, "attempt": 1, "result": {}})
    return _step(conn.execute(_ONE, {"key": run, "step": name}).one())


def end_step(conn: Connection, run: str, name: str, result: Mapping[str, Any], at: datetime) -> None:
    """Note that a step is done, and what it found."""
    _change(conn, run, name, state=_DONE, result=dict(result), finished_at=at, error="")


def fail_step(conn: Connection, run: str, name: str, error: str, at: datetime) -> None:
    """Note that a step failed, and why."""
    _change(conn, run, name, state=_ERROR, error=error, finished_at=at)


def steps(conn: Connection, run: str) -> list[Step]:
    """The steps of a run in the order they were first begun."""
    return [_step(row) for row in conn.execute(_OF_RUN.order_by(_STEPS.c.position), {"key": run})]


def _change(conn: Connection, run: str, name: str, **values: Any) -> None:
    if conn.execute(_CHANGE.values(**values), {"key": run, "step": name}).rowcount == 0:
        raise UnknownName(f"begun step of run {run}", name, (step.name for step in steps(conn, run)))


def _step(row: Row[Any]) -> Step:
    times = (row.started_at, row.finished_at)
    return Step(row.run, row.name, row.state, row.attempt, *times, result=row.result, error=row.error)

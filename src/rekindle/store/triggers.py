"""The triggers' memory between two ticks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from rekindle.store import tables

__all__ = ["load_states", "save_states"]

_STATES = tables.trigger_states
_LOAD = select(_STATES.c.trigger, _STATES.c.state).where(_STATES.c.loop == bindparam("key"))
_FORGET = delete(_STATES).where(_STATES.c.loop == bindparam("key"))


def load_states(conn: Connection, loop: str) -> dict[str, dict[str, Any]]:
    """Trigger -> its state; empty before the first tick."""
    return {row.trigger: row.state for row in conn.execute(_LOAD, {"key": loop})}


def save_states(conn: Connection, loop: str, states: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
    """Replace all states of a loop, so that a trigger taken out of the declaration leaves nothing behind."""
    conn.execute(_FORGET, {"key": loop})
    if states:
        rows = [{"loop": loop, "trigger": name, "state": state, "at": at} for name, state in states.items()]
        conn.execute(insert(_STATES), rows)

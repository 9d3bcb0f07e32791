"""Events to be told to the outside: stored with what caused them, delivered later, at least once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rekindle.records import Event
from rekindle.store import tables
from rekindle.store.ids import new_id

__all__ = ["add", "attempts", "delivered", "failed", "pending", "purge"]

_OUTBOX = tables.outbox
_FIELDS = (_OUTBOX.c.id, _OUTBOX.c.kind, _OUTBOX.c.loop, _OUTBOX.c.at, _OUTBOX.c.payload)
_PENDING = select(*_FIELDS).where(_OUTBOX.c.delivered_at.is_(None)).order_by(_OUTBOX.c.id)
_CHANGE = update(_OUTBOX).where(_OUTBOX.c.id == bindparam("key"))


def add(conn: Connection, kind: str, loop: str, payload: Mapping[str, Any], at: datetime) -> Event:
    """Store an event in the transaction that makes it true."""
    event = Event(new_id("evt-", at), kind, loop, at, dict(payload))
    values = {"id": event.id, "kind": kind, "loop": loop, "at": at, "payload": event.payload}
    conn.execute(insert(_OUTBOX), {**values, "delivered_at": None, "attempts": 0, "error": ""})
    return event


def pending(conn: Connection, limit: int = 100, *, max_attempts: int | None = None) -> list[Event]:
    """Events not delivered yet, oldest first; without those that failed `max_attempts` times."""
    query = _PENDING if max_attempts is None else _PENDING.where(_OUTBOX.c.attempts < max_attempts)
    return [Event(**row._mapping) for row in conn.execute(query.limit(limit))]


def delivered(conn: Connection, ids: Iterable[str], at: datetime) -> None:
    """Note that events reached everyone."""
    keys = [{"key": event} for event in ids]
    if keys:
        conn.execute(_CHANGE.values(delivered_at=at), keys)


def failed(conn: Connection, event: str, error: str) -> None:
    """Note an attempt that failed, and why; the event stays pending."""
    conn.execute(_CHANGE.values(attempts=_OUTBOX.c.attempts + 1, error=error), {"key": event})


def attempts(conn: Connection, event: str) -> int:
    """How many attempts to deliver an event failed."""
    return int(conn.execute(select(_OUTBOX.c.attempts).where(_OUTBOX.c.id == event)).scalar() or 0)


def purge(conn: Connection, before: datetime) -> int:
    """Forget events delivered before a moment; returns how many."""
    return conn.execute(delete(_OUTBOX).where(_OUTBOX.c.delivered_at < before)).rowcount

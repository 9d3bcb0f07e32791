"""Decisions with the signals they weighed: every one is kept, `wait` too."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, insert, select, update

from rekindle.errors import UnknownName
from rekindle.records import Action, Decision, Kind, Signal
from rekindle.store import tables
from rekindle.store.ids import new_id
from rekindle.store.loops import matching

__all__ = ["add", "attach_run", "get", "newest", "saved_if_acted"]

_DECISIONS, _SIGNALS = tables.decisions, tables.signals
_WORDS = ("rule", "reason", "would_change", "id", "loop", "run")
_FIELDS = (*_WORDS, "evidence", "expected_saving", "price", "priority", "at")
_ATTACH = update(_DECISIONS).where(_DECISIONS.c.id == bindparam("key"))
_SAVED = select(func.sum(_DECISIONS.c.expected_saving)).where(
    _DECISIONS.c.loop == bindparam("key"),
    _DECISIONS.c.action == Action.RETRAIN.value,
    _DECISIONS.c.acted.is_(False),
)


def add(conn: Connection, decision: Decision) -> Decision:
    """Store a decision and its signals; returns it with its id. `loop`, `batch` and `at` must be set.

    It counts as acted on when it names a run; `attach_run` says so later.
    """
    if decision.at is None or not decision.loop:
        raise ValueError("a decision is stored with its loop and time; set loop, batch and at")
    stored = replace(decision, id=decision.id or new_id("dec-", decision.at))
    values = {name: getattr(stored, name) for name in _FIELDS}
    acted = stored.run is not None
    conn.execute(
        insert(_DECISIONS), {**values, "action": stored.action.value, "seq": stored.batch, "acted": acted}
    )
    if stored.signals:
        conn.execute(
            insert(_SIGNALS), [_signal_values(signal, stored, decision.at) for signal in stored.signals]
        )
    return stored


def attach_run(conn: Connection, decision: str, run: str) -> None:
    """Note the run that a decision started: it was acted on."""
    if conn.execute(_ATTACH.values(run=run, acted=True), {"key": decision}).rowcount == 0:
        raise UnknownName("decision", decision)


def get(conn: Connection, decision: str) -> Decision:
    """One decision with its signals."""
    found = _read(conn, _DECISIONS.c.id == decision, limit=1)
    if not found:
        raise UnknownName("decision", decision)
    return found[0]


def newest(
    conn: Connection, pattern: str = "*", limit: int = 50, *, action: Action | None = None, since: int = 0
) -> list[Decision]:
    """Decisions of the loops that match a glob, newest first.

    action: only these; since: only from this batch number on
    """
    wanted = [matching(conn, _DECISIONS.c.loop, pattern)]
    if since:
        wanted.append(_DECISIONS.c.seq >= since)
    if action is not None:
        wanted.append(_DECISIONS.c.action == action.value)
    return _read(conn, and_(*wanted), limit)


def saved_if_acted(conn: Connection, loop: str) -> float:
    """Sum of the expected savings of retrain decisions nobody acted on, in loss x batches: an estimate."""
    return float(conn.execute(_SAVED, {"key": loop}).scalar() or 0.0)


def _read(conn: Connection, wanted: ColumnElement[bool], limit: int) -> list[Decision]:
    query = select(_DECISIONS).where(wanted).order_by(_DECISIONS.c.id.desc()).limit(limit)
    rows = conn.execute(query).all()
    signals = _signals(conn, query.with_only_columns(_DECISIONS.c.id)) if rows else {}
    return [_decision(row, tuple(signals.get(row.id, ()))) for row in rows]


def _signals(conn: Connection, ids: Select[tuple[str]]) -> dict[str, list[Signal]]:
    found: dict[str, list[Signal]] = defaultdict(list)
    for row in conn.execute(select(_SIGNALS).where(_SIGNALS.c.decision.in_(ids)).order_by(_SIGNALS.c.id)):
        found[row.decision].append(_signal(row))
    return found


def _signal_values(signal: Signal, decision: Decision, at: datetime) -> dict[str, Any]:
    names = ("trigger", "severity", "statistic", "threshold", "reason", "since", "evidence")
    values = {name: getattr(signal, name) for name in names}
    place = {
        "id": new_id("sig-", at),
        "loop": decision.loop,
        "seq": decision.batch,
        "at": at,
        "decision": decision.id,
    }
    return {**values, **place, "kind": signal.kind.value}


def _signal(row: Row[Any]) -> Signal:
    statistic = math.nan if row.statistic is None else row.statistic
    threshold = math.nan if row.threshold is None else row.threshold
    what = (row.severity, statistic, threshold, row.reason, row.since, row.evidence)
    return Signal(Kind(row.kind), row.trigger, *what)


def _decision(row: Row[Any], signals: tuple[Signal, ...]) -> Decision:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Decision(action=Action(row.action), batch=row.seq, signals=signals, **values)

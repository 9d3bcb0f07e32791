"""Batches and their losses: counts and scores per evaluation period, never the rows themselves."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from rekindle.errors import UnknownName
from rekindle.records import Evidence, Span
from rekindle.store import tables

__all__ = [
    "BatchLoss",
    "StoredBatch",
    "add",
    "find",
    "get",
    "history",
    "last",
    "losses",
    "open_batches",
    "put_loss",
]
__all__ += ["since", "update_labelled", "update_rows"]

_BATCHES, _LOSSES = tables.batches, tables.losses
_OF_LOOP = select(_BATCHES).where(_BATCHES.c.loop == bindparam("key"))
_ONE = _OF_LOOP.where(_BATCHES.c.seq == bindparam("number"))
_LAST = _OF_LOOP.order_by(_BATCHES.c.seq.desc()).limit(1)
_OPEN = _OF_LOOP.where(
    (_BATCHES.c.labelled < _BATCHES.c.rows - _BATCHES.c.quarantined) | (_BATCHES.c.rows == 0),
    _BATCHES.c.seq > bindparam("after"),
)
_SCORED = select(_LOSSES).where(_LOSSES.c.loop == bindparam("key"), _LOSSES.c.seq >= bindparam("since"))
_LABELLED = update(_BATCHES).where(_BATCHES.c.loop == bindparam("key"), _BATCHES.c.seq == bindparam("number"))
_SCORE = update(_LOSSES).where(
    _LOSSES.c.loop == bindparam("key"),
    _LOSSES.c.seq == bindparam("number"),
    _LOSSES.c.version == bindparam("model"),
)


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One evaluation period as the control database keeps it."""

    loop: str  # the loop's name
    span: Span  # which period
    rows: int  # rows in the period, quarantined ones included
    labelled: int  # rows whose label is known so far
    quarantined: int  # rows set aside with a reason
    at: datetime  # wall time of the tick
    note: Evidence = field(default_factory=dict)  # what else the tick saw: late rows, new categories


@dataclass(frozen=True, slots=True)
class BatchLoss:
    """One version scored on one batch."""

    loop: str  # the loop's name
    seq: int  # number of the batch
    version: int  # number of the version
    loss: float  # mean row loss on the rows labelled so far
    rows: int  # number of those rows
    metric: float | None  # the loop's metric there; None while it cannot be computed
    at: datetime  # wall time of the scoring


def add(conn: Connection, batch: StoredBatch) -> None:
    """Store a batch; each number exists once per loop."""
    span = {"seq": batch.span.seq, "start": batch.span.start, "end": batch.span.end}
    counts = {"rows": batch.rows, "labelled": batch.labelled, "quarantined": batch.quarantined}
    conn.execute(insert(_BATCHES), {"loop": batch.loop, **span, **counts, "at": batch.at, "note": batch.note})


def get(conn: Connection, loop: str, seq: int) -> StoredBatch:
    """One batch; UnknownName when it was never stored."""
    row = conn.execute(_ONE, {"key": loop, "number": seq}).first()
    if row is None:
        raise UnknownName(f"batch of {loop!r}", seq)
    return _batch(row)


def find(conn: Connection, loop: str, seq: int) -> StoredBatch | None:
    """One batch, or None."""
    row = conn.execute(_ONE, {"key": loop, "number": seq}).first()
    return None if row is None else _batch(row)


def since(conn: Connection, loop: str, seq: int) -> list[StoredBatch]:
    """The batches after batch `seq`, oldest first."""
    rows = conn.execute(
        _OF_LOOP.where(_BATCHES.c.seq > bindparam("after")).order_by(_BATCHES.c.seq),
        {"key": loop, "after": seq},
    )
    return [_batch(row) for row in rows]


def last(conn: Connection, loop: str) -> StoredBatch | None:
    """The newest batch, or None before the first."""
    row = conn.execute(_LAST, {"key": loop}).first()
    return None if row is None else _batch(row)


def open_batches(conn: Connection, loop: str, limit: int, after: int = -1) -> list[StoredBatch]:
    """The newest `limit` batches behind batch `after` that still wait for labels or rows, oldest first."""
    rows = conn.execute(_OPEN.order_by(_BATCHES.c.seq.desc()).limit(limit), {"key": loop, "after": after})
    return [_batch(row) for row in rows][::-1]


def update_labelled(conn: Connection, loop: str, seq: int, labelled: int) -> None:
    """Note how many labels of a batch are known now."""
    conn.execute(_LABELLED.values(labelled=labelled), {"key": loop, "number": seq})


def update_rows(conn: Connection, loop: str, seq: int, rows: int, quarantined: int) -> None:
    """Note rows that landed after their batch was stored."""
    conn.execute(_LABELLED.values(rows=rows, quarantined=quarantined), {"key": loop, "number": seq})


def put_loss(conn: Connection, score: BatchLoss) -> None:
    """Store a score, or replace the one that fewer labels gave. The loss must be finite."""
    if not math.isfinite(score.loss):
        raise ValueError(
            f"the loss of version {score.version} on batch {score.seq} is {score.loss}, not a number"
        )
    fields = asdict(score)
    values = {name: fields[name] for name in ("loss", "rows", "metric", "at")}
    key = {"key": score.loop, "number": score.seq, "model": score.version}
    if conn.execute(_SCORE.values(values), key).rowcount == 0:
        conn.execute(insert(_LOSSES), fields)


def losses(conn: Connection, loop: str, since: int = 0) -> dict[int, dict[int, float]]:
    """Mean losses as policies read them: version -> batch -> loss, from batch `since` on."""
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for row in conn.execute(_SCORED.order_by(_LOSSES.c.seq), {"key": loop, "since": since}):
        found[row.version][row.seq] = row.loss
    return dict(found)


def history(conn: Connection, loop: str, since: int = 0, version: int | None = None) -> list[BatchLoss]:
    """Scores in the order of their batches, of all versions or one: the metric's history."""
    query = _SCORED if version is None else _SCORED.where(_LOSSES.c.version == version)
    rows = conn.execute(query.order_by(_LOSSES.c.seq, _LOSSES.c.version), {"key": loop, "since": since})
    return [BatchLoss(**row._mapping) for row in rows]


def _batch(row: Row[Any]) -> StoredBatch:
    span = Span(row.seq, row.start, row.end)
    return StoredBatch(row.loop, span, row.rows, row.labelled, row.quarantined, row.at, row.note)

"""The tables of the control database. Changing one needs a new file in migrations/versions (a test compares)."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    text,
)

from rekindle.store.types import Instant, Json, MomentType, Number, Whole, Words

__all__ = [
    "SCHEMA",
    "VERSION_TABLE",
    "aliases",
    "batches",
    "commands",
    "decisions",
    "loops",
    "losses",
    "metadata",
    "outbox",
    "revisions",
    "runs",
    "signals",
    "steps",
    "trigger_states",
    "versions",
]

SCHEMA = "0001"  # the newest migration this code knows
VERSION_TABLE = "rekindle_schema"  # not alembic's default name: MLflow uses that one in a shared database

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _loop() -> Column[str]:
    return Column("loop", Words, ForeignKey("loops.name"), nullable=False)


loops = Table(
    "loops",
    metadata,
    Column("name", Words, primary_key=True),
    Column("revision", Words, nullable=False),
    Column("file", Words, nullable=False),
    Column("task", Words),
    Column("every", Words),
    Column("origin", MomentType),  # start of batch 0
    Column("paused", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("metric", Words),
    Column("settings", Json, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Words, nullable=False),
    _loop(),
    Column("declaration", Json, nullable=False),
    Column("source", Words, nullable=False),
    Column("git_commit", Words),
    Column("git_dirty", Boolean),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("loop", "id"),
)

batches = Table(
    "batches",
    metadata,
    _loop(),
    Column("seq", Whole, nullable=False),
    Column("start", MomentType, nullable=False),
    Column("end", MomentType, nullable=False),
    Column("rows", Whole, nullable=False),
    Column("labelled", Whole, nullable=False),
    Column("quarantined", Whole, nullable=False),
    Column("at", Instant, nullable=False),
    Column("note", Json, nullable=False),
    PrimaryKeyConstraint("loop", "seq"),
)

losses = Table(
    "losses",
    metadata,
    _loop(),
    Column("seq", Whole, nullable=False),
    Column("version", Whole, nullable=False),
    Column("loss", Number, nullable=False),
    Column("rows", Whole, nullable=False),
    Column("metric", Number),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("loop", "seq", "version"),
)

trigger_states = Table(
    "trigger_states",
    metadata,
    _loop(),
    Column("trigger", Words, nullable=False),
    Column("state", Json, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("loop", "trigger"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Words, primary_key=True),
    _loop(),
    Column("seq", Whole, nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", Words, nullable=False),
    Column("rule", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("expected_saving", Number),
    Column("price", Number),
    Column("would_change", Words, nullable=False),
    Column("priority", Whole, nullable=False),
    Column("run", Words),  # no foreign key: a decision and its run are written in either order
    Column("acted", Boolean, nullable=False),
    Index(None, "loop", "id"),
)

signals = Table(
    "signals",
    metadata,
    Column("id", Words, primary_key=True),
    _loop(),
    Column("seq", Whole, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", Words, nullable=False),
    Column("trigger", Words, nullable=False),
    Column("severity", Whole, nullable=False),
    Column("statistic", Number),
    Column("threshold", Number),
    Column("reason", Words, nullable=False),
    Column("since", MomentType),
    Column("evidence", Json, nullable=False),
    Column("decision", Words, ForeignKey("decisions.id"), nullable=False),
    Index(None, "decision"),
)

_OPEN = text("state NOT IN ('completed', 'failed', 'error')")

runs = Table(
    "runs",
    metadata,
    Column("id", Words, primary_key=True),
    _loop(),
    Column("revision", Words, nullable=False),
    Column("strategy", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("trigger", Words, nullable=False),
    Column("priority", Whole, nullable=False),
    Column("batch", Whole, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", Words, nullable=False),
    Column("outcome", Words),
    Column("cause", Words, nullable=False),
    Column("decision", Words),
    Column("since", MomentType),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("version", Whole),
    Column("metadata", Json, nullable=False),
    Column("expires_at", Instant),  # when an approval that nobody gave lapses
    Index(None, "loop", "id"),
    # the database itself keeps a loop to one open run
    Index("uq_runs_open", "loop", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
)

steps = Table(
    "steps",
    metadata,
    Column("run", Words, ForeignKey("runs.id"), nullable=False),
    Column("name", Words, nullable=False),
    Column("position", Whole, nullable=False),  # order in which the steps were first begun
    Column("state", Words, nullable=False),
    Column("attempt", Whole, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("result", Json, nullable=False),
    Column("error", Words, nullable=False),
    PrimaryKeyConstraint("run", "name"),
)

versions = Table(
    "versions",
    metadata,
    _loop(),
    Column("number", Whole, nullable=False),
    Column("label", Words, nullable=False),
    Column("folder", Words, nullable=False),
    Column("run", Words),
    Column("batch", Whole, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("trained_through", MomentType),
    Column("metadata", Json, nullable=False),
    PrimaryKeyConstraint("loop", "number"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("loop", Words, nullable=False),
    Column("alias", Words, nullable=False),
    Column("version", Whole),  # NULL: nobody bears it now, but its generation goes on
    Column("since", Instant, nullable=False),
    Column("generation", Whole, nullable=False),
    PrimaryKeyConstraint("loop", "alias"),
    ForeignKeyConstraint(["loop", "version"], ["versions.loop", "versions.number"]),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Words, primary_key=True),
    Column("loop", Words, nullable=False),  # no foreign key: a command may name a loop not met yet
    Column("verb", Words, nullable=False),
    Column("args", Json, nullable=False),
    Column("actor", Words, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("taken_at", Instant),
    Column("finished_at", Instant),
    Column("state", Words, nullable=False),
    Column("result", Json),
    Index(None, "state", "id"),
)

_UNDELIVERED = text("delivered_at IS NULL")

outbox = Table(
    "outbox",
    metadata,
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("loop", Words, nullable=False),  # no foreign key: some events concern the home, not a loop
    Column("at", Instant, nullable=False),
    Column("payload", Json, nullable=False),
    Column("delivered_at", Instant),
    Column("attempts", Whole, nullable=False),
    Column("error", Words, nullable=False),  # why the last attempt failed
    Index("ix_outbox_undelivered", "id", sqlite_where=_UNDELIVERED, postgresql_where=_UNDELIVERED),
)

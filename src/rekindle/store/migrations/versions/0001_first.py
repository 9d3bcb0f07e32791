"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

# Written out, not shared with tables.py: a migration stays as it was when it ran.
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
OPEN = sa.text("state NOT IN ('completed', 'failed', 'error')")
UNDELIVERED = sa.text("delivered_at IS NULL")


def upgrade() -> None:
    _loops()
    _batches()
    _decisions()
    _runs()
    _versions()
    _doors()


def _loops() -> None:
    op.create_table(
        "loops",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("task", sa.Text()),
        sa.Column("every", sa.Text()),
        sa.Column("origin", sa.Text()),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("metric", sa.Text()),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_loops"),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("declaration", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("git_commit", sa.Text()),
        sa.Column("git_dirty", sa.Boolean()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("loop", "id", name="pk_revisions"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_revisions_loop"),
    )


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("end", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("loop", "seq", name="pk_batches"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_batches_loop"),
    )
    op.create_table(
        "losses",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("metric", sa.Double()),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("loop", "seq", "version", name="pk_losses"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_losses_loop"),
    )
    op.create_table(
        "trigger_states",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("loop", "trigger", name="pk_trigger_states"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_trigger_states_loop"),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("expected_saving", sa.Double()),
        sa.Column("price", sa.Double()),
        sa.Column("would_change", sa.Text(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Text()),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_decisions_loop"),
    )
    op.create_index("ix_decisions_loop_id", "decisions", ["loop", "id"])
    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("severity", sa.BigInteger(), nullable=False),
        sa.Column("statistic", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Text()),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_signals_loop"),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name="fk_signals_decision"),
    )
    op.create_index("ix_signals_decision", "signals", ["decision"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text()),
        sa.Column("since", sa.Text()),
        sa.Column("started_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("version", sa.BigInteger()),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_runs_loop"),
    )
    op.create_index("ix_runs_loop_id", "runs", ["loop", "id"])
    op.create_index("uq_runs_open", "runs", ["loop"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "steps",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "name", name="pk_steps"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_steps_run"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("run", sa.Text()),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("trained_through", sa.Text()),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("loop", "number", name="pk_versions"),
        sa.ForeignKeyConstraint(["loop"], ["loops.name"], name="fk_versions_loop"),
    )
    op.create_table(
        "aliases",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger()),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("loop", "alias", name="pk_aliases"),
        sa.ForeignKeyConstraint(
            ["loop", "version"], ["versions.loop", "versions.number"], name="fk_aliases_loop"
        ),
    )


def _doors() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("taken_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("result", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
    )
    op.create_index("ix_commands_state_id", "commands", ["state", "id"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("delivered_at", INSTANT),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_undelivered", "outbox", ["id"], sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED
    )

"""Runs the migrations inside the transaction that `rekindle.store.schema` has opened."""

from __future__ import annotations

from typing import Any

from alembic import context

from rekindle.store.tables import VERSION_TABLE, metadata


def _ours(name: str | None, kind: str, parents: Any) -> bool:
    """Leave alone what others keep in the same database (the run engine, MLflow)."""
    return kind != "table" or name in metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=_ours,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

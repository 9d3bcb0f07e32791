"""The control database: loops, batches, decisions, runs, versions. One module of plain functions per table group."""

from __future__ import annotations

from rekindle.store.database import Store, open_store
from rekindle.store.ids import new_id

__all__ = ["Store", "new_id", "open_store"]

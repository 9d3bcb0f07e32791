"""The engine of one machine without a queue: a run is carried out where it is submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rekindle.store import runs

if TYPE_CHECKING:
    from rekindle.records import Run, RunState
    from rekindle.store import Store

__all__ = ["InlineEngine"]


class InlineEngine:
    """Carries out a run at once, in the caller's thread. What a crash cut off, `submit` takes up again.

    Parameters: `store` tells the state; `work` carries out one run from its first unfinished step.
    """

    def __init__(self, store: Store, work: Callable[[Run], None]) -> None:
        self._store, self._work = store, work
        self._cancelled: set[str] = set()

    def submit(self, run: Run) -> None:
        """Carry out the run now."""
        self._work(run)

    def cancel(self, run: str) -> None:
        """Ask a run to stop at its next step; its training's process group ends at once."""
        self._cancelled.add(run)

    def cancelled(self, run: str) -> bool:
        """Was this run asked to stop?"""
        return run in self._cancelled

    def status(self, run: str) -> RunState:
        """Where the run stands."""
        with self._store.read() as conn:
            return runs.get(conn, run).state

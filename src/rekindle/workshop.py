"""What a tick and a run need around them: the store, the models, a clock, a folder, and hands that train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.engine.watchdog import Limits

if TYPE_CHECKING:
    from rekindle.clock import Clock
    from rekindle.engine.nursery import Nursery
    from rekindle.models.registry import Registry
    from rekindle.store import Store
    from rekindle.store.loops import StoredLoop

__all__ = ["Workshop"]


@dataclass
class Workshop:
    """The surroundings of a loop; made by the app, the same for live, demo and backtest."""

    store: Store  # control database
    registry: Registry  # versions and their bundles
    clock: Clock  # wall time
    folder: Path  # home: snapshots, quarantine, runs
    nursery: Nursery  # where trainings happen
    limits: Limits = field(default_factory=Limits)  # of one training
    stop: Callable[[], bool] = lambda: False  # true: finish the step and leave the rest for later
    hurry: Callable[[], bool] = lambda: (
        False
    )  # true: do not even finish the training, it is begun again later
    say: Callable[[str, float], None] = lambda text, share: None  # progress of long work
    approval_days: float = 7.0  # an approval nobody gave lapses after this
    revisions: Mapping[str, str] = field(default_factory=dict)  # of the declarations this process holds

    def revision(self, stored: StoredLoop) -> str:
        """The revision of the declaration at hand; the stored one may be newer, registered by another process."""
        return self.revisions.get(stored.name, stored.revision)

    def run_folder(self, run: str) -> Path:
        """Scratch and logs of one run."""
        return self.folder / "runs" / run

    def snapshots(self, loop: str) -> Path:
        """Frozen rows of one loop."""
        return self.folder / "snapshots" / loop

    def quarantine(self, loop: str) -> Path:
        """Rows of one loop that may not be used."""
        return self.folder / "quarantine" / loop

"""Following a champion: look at a steady pace, swap when it changed, serve on when it cannot be seen."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekindle.serving.slot import Slot

__all__ = ["Follower"]

log = logging.getLogger("rekindle.serving")

RETRY_SECONDS = 60.0  # longest pause between two tries to load a champion that cannot be loaded


class Follower:
    """Looks for the champion at a steady pace and swaps; a weak reference lets the slot go when its user does."""

    def __init__(self, slot: Slot, current: Callable[[], tuple[int, int] | None], every: float) -> None:
        self.bell: SimpleQueue[object] = SimpleQueue()
        self._slot = weakref.ref(slot, self.bell.put)
        self._current, self._every = current, every
        self._seen: tuple[int, int] | None = None
        self._failed: tuple[tuple[int, int] | None, int, float] = (None, 0, 0.0)  # what, how often, next try
        self.good_at = time.monotonic()
        self.error: str | None = None

    def run(self) -> None:
        while True:
            try:
                self.bell.get(timeout=self._every)
            except Empty:
                self.look()
            else:
                return  # the bell means: closed, replaced or garbage-collected

    def look(self) -> None:
        """Ask once; on any failure the slot serves on and says so."""
        champion: tuple[int, int] | None = None
        try:
            champion = self._current()
            if champion is not None and champion != self._seen and not self._reach(champion):
                return
        except Exception as exc:  # noqa: BLE001 - whatever the source or the load raises, the old version serves on
            self._note(champion, exc)
            return
        if self.error is not None:
            log.info("the champion can be followed again")
        self._seen, self.error, self.good_at = champion, None, time.monotonic()
        self._failed = (None, 0, 0.0)

    def _reach(self, champion: tuple[int, int]) -> bool:
        what, _, next_try = self._failed
        slot = self._slot()
        if slot is None or (what == champion and time.monotonic() < next_try):
            return False
        slot.reach(champion[0])
        return True

    def _note(self, champion: tuple[int, int] | None, exc: Exception) -> None:
        what, times, _ = self._failed
        times = times + 1 if what == champion else 1
        pause = min(RETRY_SECONDS, self._every * 2**times) if champion is not None else 0.0
        self._failed = (champion, times, time.monotonic() + pause)
        if self.error is None:
            slot = self._slot()
            log.warning(
                "cannot follow the champion: %s: %s. Version %s serves on and may be stale",
                type(exc).__name__,
                exc,
                slot and slot.version,
            )
        self.error = f"{type(exc).__name__}: {exc}"  # the text only: a traceback would keep models alive

"""Old versions: kept while a call still runs on them, then freed on a thread of their own.

A reader calls through a small `Live` that it holds for the length of the call. The interpreter's own reference
count of that `Live` is the count of calls in flight; its end rings a bell, and the reaper frees the model.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from rekindle.errors import RekindleError

if TYPE_CHECKING:
    from rekindle.serving.slot import Servable, Slot

__all__ = ["Held", "Live", "Reaper", "refusing", "release"]

log = logging.getLogger("rekindle.serving")

ROOM_SECONDS = 0.5  # how long a swap waits for old versions to go before it is refused


class Live:
    """What readers hold: small, and its end tells that the last call has returned."""

    __slots__ = ("__weakref__", "inline_rows", "label", "predict", "version")

    def __init__(
        self, version: int | None, label: str, predict: Callable[[Any], Any], inline_rows: int
    ) -> None:
        self.version, self.label, self.predict = version, label, predict
        self.inline_rows = inline_rows  # most rows an event loop may predict itself

    def call(self, rows: Any) -> Any:
        """The same prediction, holding this `Live`: a thread keeps the model even if its caller is cancelled."""
        return self.predict(rows)


def refusing(sentence: str) -> Live:
    """Stands in where there is no model: every call raises this sentence."""

    def refuse(rows: Any) -> NoReturn:
        raise RekindleError(sentence)

    return Live(None, "none", refuse, sys.maxsize)


class Held:
    """A loaded model, and weak references to the `Live`s it is read through."""

    def __init__(self, servable: Servable, inline_rows: int) -> None:
        self.servable: Servable | None = servable
        self.version, self.label, self.inline_rows = servable.version, servable.label, inline_rows
        self.lives: tuple[weakref.ref[Live], ...] = ()
        self.old_since = 0.0  # monotonic seconds; meaningful once another version serves
        self.warned = False

    def live(self, bell: SimpleQueue[object]) -> Live:
        """A fresh `Live`; the bell rings in C, without a Python frame, when the last reader lets go of it."""
        assert self.servable is not None, f"version {self.version} was freed"
        live = Live(self.version, self.label, self.servable.predict, self.inline_rows)
        self.lives = (*(ref for ref in self.lives if ref() is not None), weakref.ref(live, bell.put))
        return live

    @property
    def in_use(self) -> bool:
        return any(ref() is not None for ref in self.lives)

    def free(self) -> None:
        """Close the model and drop it on the calling thread, whoever else still holds this record."""
        servable, self.servable = self.servable, None
        release(servable, self.version)


def release(servable: Servable | None, version: int) -> None:
    """Close a model that is no longer needed, if it can be closed."""
    close = getattr(servable, "close", None)
    try:
        if close is not None:
            close()
    except Exception:  # a model that closes badly must not stop the reaper
        log.exception("version %s did not close cleanly", version)
    log.debug("version %s released", version)


class Reaper:
    """Keeps old versions until nobody reads them, then frees them on a thread of its own."""

    def __init__(self, owner: Slot, warn_after: float) -> None:
        # A SimpleQueue, because its put may run inside a garbage collection where taking a lock could deadlock.
        self.bell: SimpleQueue[object] = SimpleQueue()
        self._owner = weakref.ref(owner, self.bell.put)
        self._warn_after = warn_after
        self._changed = threading.Condition()
        self._held: list[Held] = []
        self._pins: tuple[Held, ...] = ()  # the serving version, then the previous one
        self._closed = False
        self._thread: threading.Thread | None = None

    def pin(self, current: Held, previous: Held | None) -> None:
        """From now on these two stay; all others go once nobody reads them."""
        with self._changed:
            self._start()  # first: if no thread can be had, nothing has changed yet
            self._unpin()
            self._pins = (current,) if previous is None else (current, previous)
            if current not in self._held:
                self._held.append(current)
        self.bell.put(None)

    def _unpin(self) -> None:
        for served in self._pins[:1]:
            served.old_since, served.warned = time.monotonic(), False
        self._pins = ()

    def close(self) -> None:
        """All versions may go now; the thread ends with the last of them."""
        self._closed = True
        self.bell.put(None)

    def make_room(self, version: int, keep: int) -> None:
        """Wait a moment until fewer than `keep` old versions are held, or refuse."""
        with self._changed:
            self._start()
            if self._changed.wait_for(lambda: len(self._in_the_way()) < keep, ROOM_SECONDS):
                return
            names = ", ".join(str(held.version) for held in self._in_the_way())
        raise RekindleError(
            f"swap to version {version} refused: calls are still running on {keep} old versions ({names}). "
            "Swap again when they have returned, or allow more with keep="
        )

    def _in_the_way(self) -> list[Held]:
        current = self._pins[:1]
        return [h for h in self._held if h not in current and (h.in_use or h not in self._pins)]

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="rekindle-reaper", daemon=True)
            self._thread.start()
            self.bell.put(None)

    def _run(self) -> None:
        done = False
        while not done:
            with suppress(Empty):
                self.bell.get(timeout=self._until_next_warning())
            with self._changed:
                done = self._closed or self._owner() is None
                if done:
                    self._unpin()
                drained = [held for held in self._held if held not in self._pins and not held.in_use]
            for held in drained:
                held.free()
            with self._changed:
                self._held = [held for held in self._held if held not in drained]
                done = done and not self._held
                self._changed.notify_all()
            self._warn()

    def _slow(self) -> list[Held]:
        with self._changed:
            return [h for h in self._held if h not in self._pins[:1] and h.in_use and not h.warned]

    def _until_next_warning(self) -> float | None:
        due = [held.old_since + self._warn_after for held in self._slow()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _warn(self) -> None:
        for held in self._slow():
            if time.monotonic() >= held.old_since + self._warn_after:
                held.warned = True
                log.warning(
                    "version %s still held after %g s: a call still runs on it, or a traceback, a cancelled task "
                    "or a debugger keeps that call; its memory comes back when they let go",
                    held.version,
                    self._warn_after,
                )

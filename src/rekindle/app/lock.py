"""One process acts on a home at a time. Who holds the lock stands in the lock file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rekindle.errors import HomeBusy, StoreError

__all__ = ["Holder", "HomeLock"]

LOOKING = 0.2  # seconds after which it is no mere look of somebody who asks for the holder


@dataclass(frozen=True, slots=True)
class Holder:
    """Who acts on the home now."""

    pid: int
    verb: str  # "up", "tick", "retrain" ...


class HomeLock:
    """An advisory lock on `home/lock`; the system lets go of it when the process dies, however it dies."""

    def __init__(self, home: Path) -> None:
        self.path = home / "lock"
        self._held = 0

    @contextmanager
    def held(self, verb: str, wait: float = 0.0) -> Iterator[None]:
        """Hold the lock while the block runs; nested blocks of one process share it.

        Raises HomeBusy, naming the other process, when it is not free within `wait` seconds.
        """
        if self._held:
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
            return
        descriptor = self._open()
        try:
            self._acquire(descriptor, wait)
            _write_holder(descriptor, json.dumps({"pid": os.getpid(), "verb": verb}))
            self._held = 1
            yield
        finally:
            if self._held:
                _write_holder(descriptor, "")
            self._held = 0
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """Who holds it; None when nobody does."""
        if self._held:
            return Holder(os.getpid(), "this process")
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if _try_lock(descriptor):
                return None
            return _read_holder(descriptor)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"the home {self.path.parent} cannot be written: {error.strerror}. "
                "Give a folder you may write: --home FOLDER or REKINDLE_HOME"
            ) from error

    def _acquire(self, descriptor: int, wait: float) -> None:
        until = time.monotonic() + max(wait, LOOKING)
        while not _try_lock(descriptor):
            if time.monotonic() >= until:
                other = _read_holder(descriptor)
                raise HomeBusy(
                    f"`rekindle {other.verb}` (process {other.pid}) acts on the home {self.path.parent}; "
                    "stop it first, or use another --home"
                )
            time.sleep(0.02)


def _try_lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_holder(descriptor: int, text: str) -> None:
    with suppress(OSError):  # a full disk: the lock is held all the same, only without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _read_holder(descriptor: int) -> Holder:
    try:
        told = json.loads(os.pread(descriptor, 1000, 0))
        return Holder(int(told["pid"]), str(told["verb"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "?")

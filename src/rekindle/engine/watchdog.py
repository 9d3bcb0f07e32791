"""Watches one training: time, memory of its whole process group, and whether somebody wants it stopped.

Memory is PSS (proportional set size: pages shared with the nursery count in proportion) plus its share of swap,
summed over the group. RLIMIT_AS counts reserved addresses and kills healthy BLAS and Arrow code; ru_maxrss counts
shared pages in full and is inherited. Where the system has no PSS (macOS) resident memory stands in.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from rekindle.errors import DeclarationError

__all__ = ["Cause", "Limits", "Training", "group_of", "kill_group", "memory_mb", "watch"]

PERIOD = 0.1  # seconds between two looks


@dataclass(frozen=True)
class Limits:
    """How much one training may use; going over ends it, the champion keeps serving.

    seconds: wall time. memory_mb: MB of its process group at any look (10 a second, so a very fast allocation
    overshoots before it is seen); None: no limit. threads: OpenMP and BLAS threads, one per slot.
    """

    seconds: float = 3600.0
    memory_mb: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise DeclarationError("seconds", self.seconds, "a training needs a time above 0.")
        if self.memory_mb is not None and self.memory_mb <= 0:
            raise DeclarationError("memory_mb", self.memory_mb, "write MB above 0, or None for no limit.")
        if self.threads < 1:
            raise DeclarationError("threads", self.threads, "a training needs at least 1 thread.")


class Cause(Enum):
    """Why the watchdog ended a training."""

    STOPPED = "stopped"
    TIME = "time"
    MEMORY = "memory"


class Training(Protocol):
    """A training process as its parent sees it."""

    @property
    def pid(self) -> int:
        """Its process id, which is its group's id too."""
        ...

    def wait(self, seconds: float) -> bool:
        """True once it has ended."""
        ...

    def kill(self) -> None:
        """End the whole group and wait until it is gone."""
        ...


def watch(
    training: Training, limits: Limits, tick: Callable[[], None], stop: Callable[[], bool] | None
) -> tuple[Cause | None, float]:
    """Wait for a training and end it when it must not go on; returns why, and the highest MB seen."""
    now = next_look = time.monotonic()
    deadline = now + limits.seconds
    peak = 0.0
    cause = None
    while not training.wait(max(0.0, min(PERIOD, deadline - now))):
        tick()
        now = time.monotonic()
        if stop is not None and stop():
            cause = Cause.STOPPED
        elif now >= deadline:
            cause = Cause.TIME
        elif now >= next_look:
            peak = max(peak, memory_mb(group_of(training.pid)))
            if limits.memory_mb is not None and peak > limits.memory_mb:
                cause = Cause.MEMORY
            # The kernel walks every page to answer; never spend more than a twentieth of a core on asking.
            next_look = now + 20 * (time.monotonic() - now)
        if cause is not None:
            training.kill()
            break
    tick()
    return cause, peak


def group_of(group: int) -> list[int]:
    """Ids of all processes in a process group."""
    import psutil

    if not hasattr(os, "getpgid"):
        with suppress(psutil.Error):
            return [group, *(child.pid for child in psutil.Process(group).children(recursive=True))]
        return [group]
    return [pid for pid in psutil.pids() if _group(pid) == group]


def memory_mb(pids: Iterable[int]) -> float:
    """Proportional memory of these processes in MB (10^6 bytes); those that are gone count 0."""
    return sum(map(_memory_bytes, pids)) / 1e6


def kill_group(group: int) -> None:
    """SIGKILL a whole process group; no error when it is gone."""
    if sys.platform == "win32":
        import psutil

        for pid in reversed(group_of(group)):
            with suppress(psutil.Error):
                psutil.Process(pid).kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(group, signal.SIGKILL)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _memory_bytes(pid: int) -> int:
    if sys.platform == "linux":
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
        except ProcessLookupError:
            return 0
        except OSError:  # not ours to read: resident memory will do
            pass
        else:
            return sum(
                1024 * int(line.split()[1]) for line in lines if line.startswith((b"Pss:", b"SwapPss:"))
            )
    return _resident_bytes(pid)


def _resident_bytes(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0

"""The nursery process: preloads libraries once, then forks one child per training (0.02 s instead of 1 s).

It speaks JSON lines: a hello and orders come in on stdin, answers leave on stdout.

    hello   {"parent": pid, "path": [...], "preload": [...]}
    orders  {"id": 1, "order": {...}}   {"id": 1, "kill": true}
    answers {"ready": seconds, "missing": [...]}   {"id": 1, "started": pid}   {"id": 1, "refused": why}
            {"id": 1, "ended": pid, "code": exit code or -signal, "cpu_seconds": of the child and those it waited for}

It has one thread, because a fork copies only one. When its stdin ends (the parent died, even by kill -9) it kills
every child's group and leaves. When it dies itself, the kernel or a thread in each child does the same.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from rekindle.engine.child import work
from rekindle.engine.job import Order
from rekindle.engine.watchdog import kill_group

__all__ = ["main"]

_PATIENCE = 1.0  # seconds between two looks at the parent's pid, and for the last children to go


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve as a nursery, or with `--once` read one order and carry it out in this very process."""
    orders, answers = _take_channels()
    lines = _Lines(orders)
    hello = lines.first()
    sys.path[:] = hello["path"]
    if "--once" in arguments:
        work(Order(**hello), orders)
    _Nursery(lines, answers, hello["parent"]).serve(hello["preload"])


def _take_channels() -> tuple[int, int]:
    """Keep stdin and stdout for the protocol alone: neither a library nor a training may disturb it."""
    orders, answers = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return orders, answers


class _Lines:
    """JSON lines from a pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.waiting: list[dict[str, Any]] = []  # read already, not yet taken
        self._rest = b""

    def read(self) -> list[dict[str, Any]] | None:
        """What has come; None when the other end is closed."""
        if not self.waiting:
            fresh = os.read(self.pipe, 1 << 16)
            if not fresh:
                return None
            *whole, self._rest = (self._rest + fresh).split(b"\n")
            return [json.loads(line) for line in whole]
        taken, self.waiting = self.waiting, []
        return taken

    def first(self) -> dict[str, Any]:
        """The first line; the others keep waiting."""
        while (found := self.read()) == []:
            pass
        if found is None:
            os._exit(0)
        first, *self.waiting = found
        return first


class _Nursery:
    """Forks, kills and reaps."""

    def __init__(self, lines: _Lines, answers: int, parent: int) -> None:
        self._lines, self._answers, self._parent = lines, answers, parent
        self._ids: dict[int, int] = {}  # pid -> id of the order
        self._lives: dict[int, int] = {}  # pid -> the pipe whose end the child watches
        self._wake, self._woken = os.pipe()
        self._pools: Any = None

    def serve(self, preload: Sequence[str]) -> NoReturn:
        try:
            self._listen_to_signals()
            self._preload(preload)
            while self._step():
                pass
        except BrokenPipeError:  # the parent no longer reads
            pass
        finally:
            self._end_all()
            os._exit(0)

    def _listen_to_signals(self) -> None:
        # The parent decides when to end: a SIGTERM to all of a service's processes must not take the training.
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        _adopt_orphans()

    def _preload(self, names: Sequence[str]) -> None:
        begun = time.perf_counter()
        missing = []
        for name in names:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  (a broken library must not stop trainings without it)
                missing.append(f"{name}: {type(error).__name__}: {error}")
        with suppress(ImportError):
            import threadpoolctl

            self._pools = threadpoolctl.ThreadpoolController()
        gc.collect()
        gc.freeze()  # a child's collector must not touch, and so copy, these pages
        self._answer(ready=time.perf_counter() - begun, missing=missing)

    def _step(self) -> bool:
        patience = 0.0 if self._lines.waiting else _PATIENCE
        ready, _, _ = select.select([self._lines.pipe, self._wake], [], [], patience)
        if self._wake in ready:
            os.read(self._wake, 4096)
        self._reap()
        if self._lines.pipe in ready or self._lines.waiting:
            orders = self._lines.read()
            if orders is None:
                return False
            for order in orders:
                self._obey(order)
        # The pipe alone is not enough: another process forked by the parent may hold a copy of its end.
        return os.getppid() == self._parent

    def _obey(self, message: dict[str, Any]) -> None:
        if "order" in message:
            self._fork(message["id"], Order(**message["order"]))
        else:
            for pid in [pid for pid, known in self._ids.items() if known == message["id"]]:
                kill_group(pid)

    def _fork(self, number: int, order: Order) -> None:
        life, hold = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(life)
            os.close(hold)
            self._answer(id=number, refused=str(error))
            return
        if pid == 0:
            try:
                self._leave(hold)
                work(order, life, self._pools)
            finally:
                os._exit(1)
        os.close(life)
        with suppress(OSError):  # the child does it too; whoever comes first
            os.setpgid(pid, pid)
        self._ids[pid], self._lives[pid] = number, hold
        self._answer(id=number, started=pid)

    def _leave(self, hold: int) -> None:
        """In the child: give up everything that belongs to the nursery."""
        signal.set_wakeup_fd(-1)
        for changed in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(changed, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for pipe in (hold, self._lines.pipe, self._answers, self._wake, self._woken, *self._lives.values()):
            os.close(pipe)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            if pid not in self._ids:  # an orphan
                continue
            kill_group(pid)  # what the training started ends with it
            os.close(self._lives.pop(pid))
            code = os.waitstatus_to_exitcode(status)
            seconds = usage.ru_utime + usage.ru_stime
            self._answer(id=self._ids.pop(pid), ended=pid, code=code, cpu_seconds=seconds)
        if not self._ids:  # those left are nobody's: they had moved to a group of their own
            _kill_orphans()

    def _end_all(self) -> None:
        for pid in self._ids:
            kill_group(pid)
        deadline = time.monotonic() + _PATIENCE
        with suppress(ChildProcessError):
            while time.monotonic() < deadline:
                if os.wait4(-1, os.WNOHANG)[0] == 0:
                    _kill_orphans()
                    time.sleep(0.005)

    def _answer(self, **words: Any) -> None:
        os.write(self._answers, json.dumps(words).encode() + b"\n")


def _adopt_orphans() -> None:
    """Grandchildren whose parent died become ours to reap, not those of a pid 1 that may never do it."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _kill_orphans() -> None:
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        for pid in map(int, file.read().split()):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

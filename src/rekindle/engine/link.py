"""The parent's end of a nursery process, and the trainings it started."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from rekindle.engine.child import THREAD_VARIABLES
from rekindle.engine.job import LOG, Order
from rekindle.engine.watchdog import Training, kill_group
from rekindle.errors import Stopped, TrainingError

__all__ = ["Link", "Lost", "Refused", "Started", "begin_once"]

_START_SECONDS = 120.0  # how long a nursery may preload before it is given up
_END_SECONDS = 5.0  # how long anything that was killed may take to be gone


class Lost(Exception):
    """The nursery process died before the training began."""


class Refused(Exception):
    """The nursery could not fork."""


class Started(Training, Protocol):
    """A training process, and how it ended."""

    @property
    def code(self) -> int | None:
        """Exit code, or minus the signal; None when nobody could tell."""
        ...

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time of the process and those it waited for; None when nobody could tell."""
        ...

    @property
    def closed(self) -> bool:
        """True when it ended because its nursery was closed."""
        ...


class _Forked:
    """A training that was forked by the nursery; filled by the thread that listens to it."""

    def __init__(self, number: int, link: Link) -> None:
        self.number, self._link = number, link
        self.pid = 0
        self.code: int | None = None
        self.cpu_seconds: float | None = None
        self.refused = ""
        self.closed = False
        self.begun, self.ended = threading.Event(), threading.Event()

    def wait(self, seconds: float) -> bool:
        return self.ended.wait(seconds)

    def kill(self) -> None:
        if self.ended.is_set():
            return
        with suppress(OSError):
            self._link.send({"id": self.number, "kill": True})
        if not self.ended.wait(_END_SECONDS):  # the nursery itself hangs
            self._link.kill()
            if self.pid:
                kill_group(self.pid)


class Link:
    """One nursery process: sends it orders, and a thread of its own hears its answers."""

    def __init__(self, path: Sequence[str], preload: Sequence[str]) -> None:
        # A file, not a pipe: nobody reads it unless the nursery dies.
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = _spawn([], subprocess.PIPE, self._complaints)
        self._numbers = itertools.count(1)
        self._trainings: dict[int, _Forked] = {}
        self._lock = threading.Lock()  # of the trainings
        self._sending = threading.Lock()
        self._gone = self._closing = False
        self._last_words = ""
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()
        with suppress(OSError):  # it died at once: the first order will say so
            self.send({"parent": os.getpid(), "path": list(path), "preload": list(preload)})

    @property
    def dead(self) -> bool:
        """True once no training can be started here."""
        return self._closing or self._gone

    def begin(self, order: Order, stop: Callable[[], bool] | None) -> _Forked:
        """Have a child forked and wait until it exists."""
        training = _Forked(next(self._numbers), self)
        with self._lock:
            self._trainings[training.number] = training
        try:
            self.send({"id": training.number, "order": order.to_json()})
        except OSError as error:
            self._listener.join(_END_SECONDS)
            raise Lost(self._last_words) from error
        try:
            self._await_begin(training, stop)
        except BaseException:
            training.kill()
            raise
        return training

    def send(self, message: dict[str, Any]) -> None:
        """Write one line to the nursery; OSError when it is gone."""
        assert self._process.stdin is not None
        line = json.dumps(message).encode() + b"\n"
        with self._sending:
            if self._process.stdin.closed:
                raise BrokenPipeError("the nursery is closed")
            while line:
                line = line[self._process.stdin.write(line) :]

    def kill(self) -> None:
        """Kill the nursery process; its children end with it."""
        self._process.kill()

    def close(self) -> None:
        """End the nursery process and all its trainings, and free everything that belongs to it."""
        self._closing = True
        assert self._process.stdin is not None
        with self._sending, suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._listener:
            self._listener.join(_END_SECONDS)
        self._complaints.close()

    def _await_begin(self, training: _Forked, stop: Callable[[], bool] | None) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not training.begun.wait(0.1):
            if stop is not None and stop():
                raise Stopped("asked to stop before the training began; the run resumes at this step.")
            if time.monotonic() > deadline:
                self.kill()
                raise TrainingError(
                    f"the nursery process was not ready after {_START_SECONDS:g} s: "
                    "a module it preloads hangs, or the machine is overloaded."
                )
        if training.refused:
            raise Refused(training.refused)
        if not training.pid:
            if self._closing:
                raise Stopped("the nursery was closed before the training began.")
            raise Lost(self._last_words)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        with self._process.stdout as answers:
            while fresh := os.read(answers.fileno(), 1 << 16):
                *whole, rest = (rest + fresh).split(b"\n")
                for line in whole:
                    self._hear(json.loads(line))
        closing, self._gone = self._closing, True
        self._last_words = self._read_last_words()
        with self._lock:
            lost, self._trainings = self._trainings, {}
        for training in lost.values():
            training.closed = closing
            if training.pid and not closing:
                kill_group(training.pid)  # on Linux the kernel has done it already
            training.ended.set()
            training.begun.set()

    def _hear(self, answer: dict[str, Any]) -> None:
        if "ready" in answer:  # nobody waits for it: the first order does
            return
        over = "started" not in answer
        with self._lock:
            training = self._trainings.pop(answer["id"]) if over else self._trainings[answer["id"]]
        training.pid = answer.get("started", training.pid)
        training.code = answer.get("code")
        training.cpu_seconds = answer.get("cpu_seconds")
        training.refused = answer.get("refused", "")
        if over:
            training.ended.set()
        training.begun.set()

    def _read_last_words(self) -> str:
        """What the nursery wrote to its standard error."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        words = os.pread(self._complaints.fileno(), 4000, 0).decode(errors="replace").strip()
        return f"It said: {words[-2000:]}" if words else f"Exit code {self._process.returncode}."


class _Once:
    """A training in a fresh process of its own."""

    cpu_seconds: float | None = None
    closed = False

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def wait(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def kill(self) -> None:
        kill_group(self.pid)  # after its end too: what the training started ends with it
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


def begin_once(order: Order) -> _Once:
    """A training without a nursery: slower to start, but it needs no fork."""
    with (Path(order.folder) / LOG).open("ab") as log:
        process = _spawn(["--once", order.folder], subprocess.DEVNULL, log)
    assert process.stdin is not None
    with suppress(OSError):  # it died at once: its exit code will tell
        process.stdin.write(json.dumps(order.to_json()).encode() + b"\n")
    return _Once(process)


def _spawn(arguments: Sequence[str], answers: int, complaints: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """A Python without this process's `__main__`, in a session of its own, its libraries on one thread."""
    home = str(Path(__file__).parents[2])
    others = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, "1"),  # one thread, or it could not be forked safely
        "PYTHONPATH": home + os.pathsep + others if others else home,
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),  # the order of sets is the same every time
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rekindle.engine.nursery", *arguments],
        stdin=subprocess.PIPE,
        stdout=answers,
        stderr=complaints,
        env=environment,
        bufsize=0,
        start_new_session=True,  # Ctrl-C in the terminal is the parent's to answer
    )

"""Runs trainings in child processes forked from a preloaded nursery process, and brings back what they return.

Why not multiprocessing: its forkserver and spawn import the parent's `__main__` again in every child, which
re-runs a user's script or fails in a notebook. Here nothing of `__main__` is imported: functions and classes
defined there travel by value (cloudpickle).

`python -m rekindle.engine.nursery` is the nursery process itself (forking.py); with `--once` it carries out one
order in a fresh process, which is how trainings run where there is no fork (Windows).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rekindle.engine import job
from rekindle.engine.child import MUTE
from rekindle.engine.job import Order, ProgressTail
from rekindle.engine.link import Link, Lost, Refused, Started, begin_once
from rekindle.engine.watchdog import Cause, Limits, watch
from rekindle.errors import Stopped, TrainingError, TrainingKilled, TrainingTimeout

__all__ = ["DEFAULT_PRELOAD", "Limits", "Nursery", "Report"]

# What trainings usually import. Names that cannot be imported are passed over.
DEFAULT_PRELOAD = (
    "numpy",
    "pandas",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "duckdb",
    "skops.io",
    "cloudpickle",
    "threadpoolctl",
    "rekindle.data",
    "rekindle.models",
    "rekindle.training",
    "rekindle.validation",
)


@dataclass(frozen=True)
class Report:
    """What a finished training cost and brought."""

    result: Any  # what the function returned
    seconds: float  # wall time from the child's start to its end
    cpu_seconds: float  # CPU time of the child and of the processes it waited for
    peak_mb: float  # highest proportional memory (PSS) of its group seen, in MB


class Nursery:
    """Runs functions in child processes, several at a time when called from several threads.

    preload: names of modules the nursery process imports once, so that children have them at once.
    python_path: folders put before this process's sys.path in the children.
    by_value: modules whose functions and classes travel by value, because a child cannot import them.
    fork: False starts a fresh process per training (0.5 to 1 s each); None: fork where the system can.

    The process starts with the first run, or with `warm()`, and again by itself if it dies. Trainings end with
    this process, even when it is killed by kill -9.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Nursery(preload=()) as nursery:
    ...     nursery.run(sum, [1, 2, 3], folder=Path(folder)).result
    6
    """

    def __init__(
        self,
        preload: Sequence[str] = DEFAULT_PRELOAD,
        python_path: Sequence[str] = (),
        *,
        by_value: Sequence[ModuleType] = (),
        fork: bool | None = None,
    ) -> None:
        self._preload = tuple(preload)
        self._python_path = tuple(python_path)
        self._by_value = tuple(by_value)
        self._fork = hasattr(os, "fork") if fork is None else fork
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._owner = os.getpid()
        self._closed = False
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm(self) -> None:
        """Start the nursery process without waiting for it."""
        if self._fork:
            self._living_link()

    def close(self) -> None:
        """End the nursery process and every training that still runs in it (those raise Stopped)."""
        with self._lock:
            self._closed = True
            finalizer, self._finalizer, self._link = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        folder: Path,
        limits: Limits = Limits(),
        on_progress: Callable[[float, str], None] | None = None,
        stop: Callable[[], bool] | None = None,
        by_value: Sequence[ModuleType] = (),
        **kwargs: Any,
    ) -> Report:
        """Call function(*args, **kwargs) in a child process and wait for it.

        folder: the job folder, one per training; it is cleared first; log, progress and error stay in it afterwards.
        on_progress: gets what the function passes to `rekindle.engine.progress`; called on this thread.
        stop: asked ten times a second; once true the training ends. by_value: as for the class.

        Raises TrainingError (the function raised, cannot travel, or left no result), TrainingTimeout,
        TrainingKilled (a signal, or the memory limit) or Stopped. Whatever happens, no process of it is left.
        """
        if stop is not None and stop():
            raise Stopped("asked to stop before the training began; the run resumes at this step.")
        folder = Path(folder).resolve()
        try:
            try:
                job.clear(folder)
                job.pack(folder, function, args, kwargs, (*self._by_value, *by_value))
            except OSError as error:
                raise TrainingError(f"the job folder {folder} cannot be written: {error}") from error
            return self._train(folder, limits, on_progress, stop)
        finally:
            job.tidy(folder)

    def _train(
        self,
        folder: Path,
        limits: Limits,
        on_progress: Callable[[float, str], None] | None,
        stop: Callable[[], bool] | None,
    ) -> Report:
        training = self._begin(self._order(folder, limits), stop)
        begun = time.monotonic()
        tail = ProgressTail(folder)

        def tick() -> None:
            job.trim_log(folder)
            for share, text in tail.read():
                if on_progress is not None:
                    on_progress(share, text)

        try:
            cause, peak = watch(training, limits, tick, stop)
        finally:
            training.kill()
        seconds = time.monotonic() - begun
        return _report(_Ending(folder, training, cause, limits, seconds, peak, stop))

    def _order(self, folder: Path, limits: Limits) -> Order:
        try:
            cwd = os.getcwd()
        except OSError:  # it was removed under our feet
            cwd = ""
        path = [os.path.abspath(entry) for entry in (*self._python_path, *sys.path)]
        return Order(str(folder), limits.threads, dict(os.environ), cwd, path)

    def _begin(self, order: Order, stop: Callable[[], bool] | None) -> Started:
        """A child at work; a nursery that died before it could fork is replaced once."""
        if not self._fork:
            return begin_once(order)
        last_words = ""
        for _ in range(2):
            try:
                return self._living_link().begin(order, stop)
            except Lost as lost:
                last_words = str(lost)
            except Refused as refused:
                raise TrainingError(
                    f"the training could not start: no process can be forked ({refused}). "
                    "Free memory, or raise the limit of processes."
                ) from refused
        raise TrainingError(f"the training could not start: its nursery process died twice. {last_words}")

    def _living_link(self) -> Link:
        with self._lock:
            if self._closed:
                raise Stopped("this nursery is closed; open a new one to train.")
            if self._owner != os.getpid():  # we are a fork: the link belongs to the process we came from
                self._link, self._owner = None, os.getpid()
            if self._link is None or self._link.dead:
                if self._finalizer is not None:
                    self._finalizer()
                path = [os.path.abspath(entry) for entry in (*self._python_path, *sys.path)]
                self._link = Link(path, self._preload)
                # Without a close() the process ends with this object, at the latest when Python exits.
                self._finalizer = weakref.finalize(self, self._link.close)
            return self._link


@dataclass(frozen=True)
class _Ending:
    """All that is known when a training is over."""

    folder: Path
    training: Started
    cause: Cause | None
    limits: Limits
    seconds: float
    peak_mb: float
    stop: Callable[[], bool] | None


def _report(ending: _Ending) -> Report:
    """The report, or the error that says why there is none."""
    found = job.load_result(ending.folder)
    if found is not None:
        result, cpu_seconds, memory_mb = found
        cpu_seconds = ending.training.cpu_seconds or cpu_seconds
        return Report(result, ending.seconds, cpu_seconds, max(memory_mb, ending.peak_mb))
    if ending.cause is Cause.STOPPED or _stopped_from_outside(ending):
        raise Stopped("asked to stop during the training; the run resumes at this step.")
    error = _failure(ending)
    error.log = str(ending.folder / job.LOG)
    raise error


def _stopped_from_outside(ending: _Ending) -> bool:
    """A closed nursery, or a SIGTERM to all processes of a service (systemd) that reached the child first."""
    if ending.training.closed:
        return True
    if ending.training.code != -signal.SIGTERM or ending.stop is None:
        return False
    time.sleep(0.1)
    return ending.stop()


def _failure(ending: _Ending) -> TrainingError:
    log = f"Its output is in {ending.folder / job.LOG}."
    code, limits = ending.training.code, ending.limits
    if ending.cause is Cause.MEMORY:
        return TrainingKilled(
            f"the training used {ending.peak_mb:.0f} MB, more than its limit of {limits.memory_mb} MB, and was "
            f"stopped: raise train_memory_mb or train on fewer rows. {log}"
        )
    if ending.cause is Cause.TIME:
        return TrainingTimeout(
            f"the training ran longer than its limit of {limits.seconds:g} s and was stopped: "
            f"raise train_seconds or train on fewer rows. {log}"
        )
    told = job.load_error(ending.folder)
    if told is not None:
        return TrainingError(f"{told}. {log}" if told[-1:].isalnum() else f"{told} {log}")
    if code is None:
        return TrainingKilled(f"the nursery process died and the training with it; run it again. {log}")
    if code < 0:
        return TrainingKilled(_killed(-code, ending) + " " + log)
    if code == MUTE:
        return TrainingError(
            f"the training could write nothing into {ending.folder}: is the disk full? {log}"
        )
    return TrainingError(
        f"the training ended with exit code {code} and left no result: something in it left the process "
        f"(os._exit, or a library that does). {log}"
    )


def _killed(number: int, ending: _Ending) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    sentence = f"the training was killed by {name} after {ending.seconds:.1f} s"
    if name == "SIGKILL":
        return (
            f"{sentence} at {ending.peak_mb:.0f} MB; if the machine ran out of memory, train on fewer rows."
        )
    return f"{sentence}; a library crashed, or somebody sent it."


if __name__ == "__main__":
    from rekindle.engine.forking import main

    main(sys.argv[1:])

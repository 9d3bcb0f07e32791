"""Models, loaders and registries that do as told; shared by the tests of this room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rekindle.errors import RekindleError
from rekindle.serving import Slot

SECONDS = 10.0  # no wait in here ever takes this long unless something hangs


class Toy:
    """Predicts its own version; may be told to wait, to fail, or to answer something else."""

    def __init__(self, version: int, **traits: Any) -> None:
        self.version, self.label = version, f"v{version}"
        self.probe: Any = traits.get("probe", [0, 0])
        self.answers: Callable[[Any], Any] = traits.get("answers", lambda rows: [version] * len(rows))
        self.predicted_on: list[str] = []
        self.closed_on: str | None = None
        self.closed = threading.Event()

    def predict(self, rows: Any) -> Any:
        self.predicted_on.append(threading.current_thread().name)
        return self.answers(rows)

    def close(self) -> None:
        self.closed_on = threading.current_thread().name
        self.closed.set()


class Loader:
    """Makes toys by number, and counts."""

    def __init__(self, **traits: dict[str, Any]) -> None:
        self.traits = traits  # "v3": what is special about version 3
        self.toys: dict[int, Toy] = {}
        self.calls: list[int] = []
        self.threads: list[str] = []

    def __call__(self, version: int) -> Toy:
        self.calls.append(version)
        self.threads.append(threading.current_thread().name)
        self.toys[version] = Toy(version, **self.traits.get(f"v{version}", {}))
        return self.toys[version]


class Waiting:
    """A predict that waits for a word, once it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, rows: Any) -> Any:
        if self.armed:
            self.entered.set()
            assert self.go_on.wait(SECONDS)
        return [0] * len(rows)


def in_flight(slot: Slot, waiting: Waiting) -> threading.Thread:
    """A call that hangs in the version which serves now."""
    waiting.armed = True
    call = threading.Thread(target=slot.predict, args=([0],), name="request")
    call.start()
    assert waiting.entered.wait(SECONDS)
    return call


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()


def raising(rows: Any) -> Any:
    raise KeyError("column gone")


def hanging(
    load: Callable[[int], Toy], version: int
) -> tuple[Callable[[int], Toy], threading.Event, threading.Event]:
    """Loads one version only when told to: the loader, "it has begun", "go on"."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(asked: int) -> Toy:
        if asked == version:
            begun.set()
            assert go_on.wait(SECONDS)
        return load(asked)

    return slow, begun, go_on


def beside(slot: Slot, *args: Any, **kwargs: Any) -> tuple[threading.Thread, list[BaseException]]:
    """A swap on another thread, and the error it ended with."""
    errors: list[BaseException] = []

    def job() -> None:
        try:
            slot.swap(*args, **kwargs)
        except RekindleError as exc:
            errors.append(exc)

    thread = threading.Thread(target=job)
    thread.start()
    return thread, errors

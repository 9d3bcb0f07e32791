"""One fresh control database per test, and records to fill it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.clock import ManualClock
from rekindle.records import Run, Version
from rekindle.store import Store, loops, new_id, open_store

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    with open_store(tmp_path / "control.db", clock) as opened:
        with opened.begin() as conn:
            for name in ("churn", "fraud-eu", "fraud-us"):
                loops.register(conn, loops.Revision("r1", name, {}, "", None, None, START), file="loops.py")
        yield opened


@pytest.fixture
def make_run(clock: ManualClock) -> Callable[..., Run]:
    def make(loop: str = "churn", **changes: object) -> Run:
        base = {"revision": "r1", "strategy": "triggered", "reason": "loss rose", "trigger": "data_drift"}
        numbers = {"priority": 3, "batch": 7, "created_at": clock.now(), "id": new_id("run-", clock.now())}
        return Run(loop=loop, **{**base, **numbers, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_version(clock: ManualClock) -> Callable[..., Version]:
    def make(number: int, loop: str = "churn", **changes: object) -> Version:
        base = {"label": f"v{number}", "folder": f"models/{number}", "run": None, "batch": number}
        times = {"created_at": clock.now(), "trained_through": clock.now()}
        return Version(loop=loop, number=number, **{**base, **times, **changes})  # type: ignore[arg-type]

    return make

"""`kill -9` of a real `rekindle up` in every step; whoever comes next finishes the same run once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from killing import Yard

from rekindle import retrain
from rekindle.app.config import Settings
from rekindle.app.home import Home
from rekindle.app.loading import load_loops
from rekindle.engine.nursery import Nursery
from rekindle.records import Outcome, RunState
from rekindle.retrain import STEPS
from rekindle.store import outbox, runs, steps, versions

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills process groups")


@pytest.fixture
def yard(tmp_path: Path, stream_frame: Callable[..., pd.DataFrame]) -> Iterator[Yard]:
    yard = Yard(tmp_path, stream_frame(900))
    yield yard
    yard.close()


@pytest.fixture
def opened(yard: Yard, nursery: Nursery) -> Iterator[Callable[[], Home]]:
    homes: list[Home] = []
    kept = {step: getattr(retrain, step) for step in STEPS}  # the loops file changes them

    def open_again() -> Home:
        homes.append(
            Home([load_loops(yard.folder / "loops.py")], Settings(home=yard.folder / "home"), nursery=nursery)
        )
        return homes[-1]

    yield open_again
    for home in homes:
        home.close()
    for step, act in kept.items():
        setattr(retrain, step, act)


def promotions(home: Home) -> list[str]:
    """Runs of all promotion events that were ever written."""
    from sqlalchemy import select

    from rekindle.store.tables import outbox as table

    with home.store.read() as conn:
        assert outbox.pending(conn) == []
        rows = conn.execute(select(table.c.payload).where(table.c.kind == "promoted")).scalars()
        return [row["run"] for row in rows]


def state(home: Home) -> tuple[list[str], dict[str, int], list[str]]:
    """Run ids, aliases, version labels."""
    with home.store.read() as conn:
        return (
            [r.id for r in runs.newest(conn, "toy")][::-1],
            {a.alias: a.version for a in versions.aliases(conn, "toy").values()},
            [v.label for v in versions.newest(conn, "toy")][::-1],
        )


@pytest.fixture
def trained(yard: Yard, opened: Callable[[], Home]) -> Yard:
    """Champion v1 serves, and batch 4 is complete."""
    yard.rows(400)
    assert opened().tick("toy").outcome == "PROMOTED"
    yard.rows(500)
    return yard


def kill_at(yard: Yard, place: str) -> None:
    yard.hold(place)
    up = yard.begin("up", "--poll", "0.05")
    yard.await_reached(up)
    yard.family(up)
    up.kill()
    assert up.wait(10) == -signal.SIGKILL
    yard.until(yard.gone)
    yard.let_go()


@pytest.mark.parametrize("step", [*STEPS, "inside train", "inside validate", "inside judge"])
def test_a_run_killed_in_a_step_is_finished_once(
    step: str, trained: Yard, opened: Callable[[], Home]
) -> None:
    kill_at(trained, step)
    home = opened()
    ids, aliases, labels = state(home)
    assert aliases == {"champion": 1}
    assert labels == ["v1"]
    with home.store.read() as conn:
        left = runs.get(conn, ids[-1])
        begun = {s.name: (s.state, s.attempt) for s in steps.steps(conn, left.id)}
    name = step.removeprefix("inside ")
    assert left.state is RunState.RUNNING
    assert begun == {s: ("done" if s != name else "running", 1) for s in STEPS[: STEPS.index(name) + 1]}
    report = home.tick("toy")
    assert report.decisions == ()
    again, aliases, labels = state(home)
    assert again == ids  # the same run, and no other
    with home.store.read() as conn:
        ended = runs.get(conn, left.id)
        told = {s.name: (s.state, s.attempt) for s in steps.steps(conn, left.id)}
    assert (ended.state, ended.outcome, ended.version) == (RunState.COMPLETED, Outcome.PROMOTED, 2)
    assert told == {s: ("done", 2 if s == name else 1) for s in STEPS}
    assert aliases == {"champion": 2, "previous": 1}
    assert labels == ["v1", "v2"]
    assert promotions(home) == ids
    assert home.tick("toy").run is None
    assert len(home.champion("toy").predict(trained.frame)) == len(trained.frame)


def test_the_first_run_killed_and_taken_up_by_up_itself(yard: Yard, opened: Callable[[], Home]) -> None:
    yard.rows(400)
    kill_at(yard, "release")
    home = opened()
    (run,), aliases, _ = state(home)
    assert aliases == {}
    up = yard.begin("up", "--poll", "0.05")
    yard.until(lambda: state(home)[1], up)
    yard.family(up)
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    yard.until(yard.gone)
    assert state(home) == ([run], {"champion": 1}, ["v1"])
    assert promotions(home) == [run]


def test_killed_again_and_again_it_is_still_one_run(trained: Yard, opened: Callable[[], Home]) -> None:
    for step in ("snapshot", "release"):
        kill_at(trained, step)
    home = opened()
    ids = state(home)[0]
    home.tick("toy")
    with home.store.read() as conn:
        attempts = {s.name: s.attempt for s in steps.steps(conn, ids[-1])}
    assert attempts == {s: 2 if s in ("snapshot", "release") else 1 for s in STEPS}
    assert state(home) == (ids, {"champion": 2, "previous": 1}, ["v1", "v2"])
    assert len(ids) == 2

"""Steps: what was done is not done again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.errors import UnknownName
from rekindle.records import Run, Step
from rekindle.store import Store, runs, steps

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(store: Store, make_run: Callable[..., Run]) -> str:
    with store.begin() as conn:
        return runs.add(conn, make_run()).id


def test_steps_in_the_order_they_were_begun(store: Store, run: str) -> None:
    with store.begin() as conn:
        for name in ("select", "check", "snapshot"):
            steps.begin_step(conn, run, name, START)
            steps.end_step(conn, run, name, {"rows": 5}, START)
        assert [step.name for step in steps.steps(conn, run)] == ["select", "check", "snapshot"]
        assert steps.steps(conn, "run-x") == []


def test_a_killed_step_begins_again_and_a_done_one_does_not(
    store: Store, run: str, clock: ManualClock
) -> None:
    with store.begin() as conn:
        assert steps.begin_step(conn, run, "train", START).attempt == 1
        later = clock.advance(timedelta(minutes=1))
        assert steps.begin_step(conn, run, "train", later) == Step(
            run, "train", "running", 2, later, None, {}
        )
        steps.end_step(conn, run, "train", {"seconds": 3.5}, later)
        done = Step(run, "train", "done", 2, later, later, {"seconds": 3.5})
        assert steps.begin_step(conn, run, "train", clock.advance(timedelta(minutes=1))) == done


def test_a_failed_step_says_why_and_may_begin_again(store: Store, run: str) -> None:
    with store.begin() as conn:
        steps.begin_step(conn, run, "train", START)
        steps.fail_step(conn, run, "train", "out of memory", START)
        assert steps.steps(conn, run) == [Step(run, "train", "error", 1, START, START, {}, "out of memory")]
        again = steps.begin_step(conn, run, "train", START)
        assert (again.state, again.attempt, again.error) == ("running", 2, "")


def test_a_step_ends_only_after_it_began(store: Store, run: str) -> None:
    with store.begin() as conn:
        steps.begin_step(conn, run, "train", START)
        with pytest.raises(UnknownName, match="Did you mean 'train'"):
            steps.end_step(conn, run, "trian", {}, START)

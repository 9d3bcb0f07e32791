"""Runs: one open per loop, claimed once, ended once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from rekindle.clock import ManualClock
from rekindle.errors import StoreError, UnknownName
from rekindle.records import Outcome, Run, RunState
from rekindle.store import Store, runs, tables

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

Make = Callable[..., Run]


def test_a_run_comes_back(store: Store, make_run: Make) -> None:
    run = make_run(since=42, decision="dec-1", metadata={"seed": 1})
    with store.begin() as conn:
        assert runs.add(conn, run) == run
        assert runs.get(conn, run.id) == run
        assert runs.find(conn, "run-x") is None
        with pytest.raises(UnknownName, match="no run named 'run-x'"):
            runs.get(conn, "run-x")


def test_a_second_open_run_is_not_taken(store: Store, make_run: Make) -> None:
    first, second = make_run(), make_run()
    with store.begin() as conn:
        runs.add(conn, first)
        assert runs.add(conn, second) == first
        assert runs.open_run(conn, "churn") == first
        assert runs.add(conn, make_run("fraud-eu")).loop == "fraud-eu"
        runs.finish(conn, first.id, RunState.FAILED, Outcome.KEPT_CHAMPION, at=START)
        assert runs.open_run(conn, "churn") is None
        assert runs.add(conn, second) == second


@pytest.mark.parametrize("state", [state for state in RunState if not state.final])
def test_the_database_itself_refuses_a_second_open_run(store: Store, make_run: Make, state: RunState) -> None:
    with store.begin() as conn:
        runs.add(conn, make_run(state=state))
    second = make_run()
    values = {name: getattr(second, name) for name in Run.__dataclass_fields__}
    with pytest.raises(StoreError, match="refused a row"), store.begin() as conn:
        conn.execute(insert(tables.runs), {**values, "state": "queued"})


def test_a_waiting_run_is_claimed_once(store: Store, make_run: Make, clock: ManualClock) -> None:
    run = make_run()
    with store.begin() as conn:
        runs.add(conn, run)
        assert runs.claim(conn, run.id, clock.advance(timedelta(seconds=5)))
        assert not runs.claim(conn, run.id, clock.advance(timedelta(seconds=5)))
        found = runs.get(conn, run.id)
        assert (found.state, found.started_at) == (RunState.RUNNING, START + timedelta(seconds=5))
        assert not runs.claim(conn, "run-x", START)


def test_an_approval_lapses(store: Store, make_run: Make) -> None:
    run, lapse = make_run(), START + timedelta(days=3)
    with store.begin() as conn:
        runs.add(conn, run)
        assert runs.set_state(conn, run.id, RunState.AWAITING_APPROVAL, expires_at=lapse)
        assert runs.expires_at(conn, run.id) == lapse
        assert runs.expired(conn, lapse - timedelta(microseconds=1)) == []
        assert [found.id for found in runs.expired(conn, lapse)] == [run.id]
        assert runs.add(conn, make_run()).id == run.id  # it still counts as open
        assert runs.set_state(conn, run.id, RunState.RUNNING)
        assert runs.expires_at(conn, run.id) is None


def test_a_run_ends_once(store: Store, make_run: Make) -> None:
    run = make_run(metadata={"seed": 1})
    with store.begin() as conn:
        runs.add(conn, run)
        assert runs.finish(
            conn,
            run.id,
            RunState.COMPLETED,
            Outcome.RELEASED,
            at=START,
            cause="all gates passed",
            version=2,
            metadata={"rows": 10},
        )
        assert not runs.finish(conn, run.id, RunState.ERROR, Outcome.ERROR, at=START, cause="late")
        assert not runs.set_state(conn, run.id, RunState.RUNNING)
        expected = replace(run, state=RunState.COMPLETED, outcome=Outcome.RELEASED, cause="all gates passed")
        expected = replace(expected, finished_at=START, version=2, metadata={"seed": 1, "rows": 10})
        assert runs.get(conn, run.id) == expected
        runs.set_outcome(conn, run.id, Outcome.PROMOTED, "canary won")
        assert runs.get(conn, run.id).outcome is Outcome.PROMOTED
        with pytest.raises(UnknownName):
            runs.set_outcome(conn, "run-x", Outcome.PROMOTED)


def test_ending_and_moving_are_two_things(store: Store) -> None:
    with store.begin() as conn:
        with pytest.raises(ValueError, match=r"use finish\(\)"):
            runs.set_state(conn, "run-x", RunState.COMPLETED)
        with pytest.raises(ValueError, match=r"use set_state\(\)"):
            runs.finish(conn, "run-x", RunState.RUNNING, Outcome.RELEASED, at=START)


def test_lists_and_the_last_finished(store: Store, make_run: Make, clock: ManualClock) -> None:
    with store.begin() as conn:
        assert runs.last_finished(conn, "churn") is None
        ids = []
        for minutes in (30, 10, 20):  # the one begun first ends last
            run = runs.add(conn, make_run())
            ids.append(run.id)
            runs.finish(conn, run.id, RunState.FAILED, Outcome.ERROR, at=START + timedelta(minutes=minutes))
            clock.advance(timedelta(minutes=1))
        standing = [runs.add(conn, make_run(loop)).id for loop in ("fraud-us", "fraud-eu")]
        last = runs.last_finished(conn, "churn")
        assert last is not None
        assert last.id == ids[0]
        assert [run.id for run in runs.newest(conn, "churn", limit=2)] == [ids[2], ids[1]]
        assert [run.id for run in runs.newest(conn)][:2] == standing[::-1]
        assert [run.id for run in runs.opened(conn)] == standing
        assert [run.id for run in runs.opened(conn, "*-eu")] == standing[1:]


def test_job_sets_and_jobs_by_strategy(store: Store, make_run: Make) -> None:
    with store.begin() as conn:
        for state in (RunState.COMPLETED, RunState.FAILED, RunState.ERROR, RunState.RUNNING):
            runs.add(conn, make_run(state=state))
        runs.add(conn, make_run("fraud-eu", strategy="scheduled"))
        runs.add(conn, make_run("fraud-us", strategy="manual", state=RunState.AWAITING_APPROVAL))
        strategies = {"manual": 1, "scheduled": 1, "triggered": 4}
        assert runs.counts(conn) == {"queued": 1, "active": 2, "completed": 3, "by_strategy": strategies}
        fraud = {"queued": 1, "active": 1, "completed": 0, "by_strategy": {"manual": 1, "scheduled": 1}}
        assert runs.counts(conn, "fraud-*") == fraud
        assert runs.counts(conn, "nobody") == {"queued": 0, "active": 0, "completed": 0, "by_strategy": {}}

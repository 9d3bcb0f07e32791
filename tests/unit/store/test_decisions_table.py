"""Decisions: stored with their signals, read newest first, and the estimate of what was not saved."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.errors import UnknownName
from rekindle.records import Action, Decision, Kind, Signal
from rekindle.store import Store, decisions

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

DRIFT = Signal(
    Kind.DATA_DRIFT, "DataDrift", 4, 0.31, 0.25, "max_psi_0.31", START, {"psi_by_feature": {"ü": 0.31}}
)
DECAY = Signal(Kind.PERFORMANCE_DECAY, "PerformanceDecay", 2, math.nan, 0.05, "insufficient_data", 17)
WAIT = Decision(Action.WAIT, "SkiRental", "wait: paid 0.7 of a price", loop="churn", batch=3, at=START)


def test_a_decision_comes_back_with_its_signals_in_order(store: Store) -> None:
    made = replace(
        WAIT,
        evidence={"paid": 0.7},
        expected_saving=1.5,
        price=2.0,
        would_change="0.3 more",
        signals=(DRIFT, DECAY),
    )
    with store.begin() as conn:
        stored = decisions.add(conn, made)
        found = decisions.get(conn, stored.id)
    assert stored == replace(made, id=stored.id)
    assert stored.id.startswith("dec-")
    assert found.signals[0] == DRIFT
    assert math.isnan(found.signals[1].statistic)
    assert replace(found, signals=()) == replace(stored, signals=())


def test_a_decision_needs_its_loop_and_time(store: Store) -> None:
    with store.begin() as conn:
        for broken in (replace(WAIT, at=None), replace(WAIT, loop="")):
            with pytest.raises(ValueError, match="loop and time"):
                decisions.add(conn, broken)
        with pytest.raises(UnknownName):
            decisions.get(conn, "dec-none")
        with pytest.raises(UnknownName):
            decisions.attach_run(conn, "dec-none", "run-1")


def test_newest_first_within_limit_and_glob(store: Store, clock: ManualClock) -> None:
    with store.begin() as conn:
        for seq in range(4):
            for loop in ("churn", "fraud-eu", "fraud-us"):
                action = Action.RETRAIN if seq == 2 else Action.WAIT
                made = replace(
                    WAIT, action=action, loop=loop, batch=seq, at=clock.now(), signals=(DRIFT,) * seq
                )
                decisions.add(conn, made)
            clock.advance(timedelta(days=1))
        found = decisions.newest(conn, "fraud-*", limit=3)
        assert [(one.loop, one.batch, len(one.signals)) for one in found] == [
            ("fraud-us", 3, 3),
            ("fraud-eu", 3, 3),
            ("fraud-us", 2, 2),
        ]
        assert [one.batch for one in decisions.newest(conn, "churn")] == [3, 2, 1, 0]
        assert [one.batch for one in decisions.newest(conn, "churn", since=2)] == [3, 2]
        assert len(decisions.newest(conn, action=Action.RETRAIN)) == 3
        assert decisions.newest(conn, "nobody-*") == []


def test_savings_of_decisions_nobody_acted_on(store: Store) -> None:
    retrain = replace(WAIT, action=Action.RETRAIN, expected_saving=2.0)
    with store.begin() as conn:
        assert decisions.saved_if_acted(conn, "churn") == 0.0
        ids = [decisions.add(conn, retrain).id for _ in range(3)]
        decisions.add(conn, replace(retrain, expected_saving=None))
        decisions.add(conn, replace(WAIT, expected_saving=50.0))
        decisions.add(conn, replace(retrain, run="run-1"))
        assert decisions.saved_if_acted(conn, "churn") == 6.0
        decisions.attach_run(conn, ids[0], "run-2")
        assert decisions.saved_if_acted(conn, "churn") == 4.0
        assert decisions.get(conn, ids[0]).run == "run-2"
        assert decisions.saved_if_acted(conn, "fraud-eu") == 0.0

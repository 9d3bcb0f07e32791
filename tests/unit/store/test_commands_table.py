"""Commands: taken once, oldest first, and back in the queue when their taker died."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.errors import UnknownName
from rekindle.store import Store, commands

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_oldest_first_and_each_once(store: Store, clock: ManualClock) -> None:
    with store.begin() as conn:
        queued = [
            commands.add(conn, "churn", "retrain", {"reason": "ü"}, "anna", clock.now()) for _ in range(3)
        ]
        assert commands.newest(conn) == queued[::-1]
        later = clock.advance(timedelta(minutes=1))
        taken = [commands.take(conn, later) for _ in range(4)]
    assert [command and command.id for command in taken] == [command.id for command in queued] + [None]
    assert taken[0] is not None
    assert (taken[0].state, taken[0].taken_at, taken[0].args) == ("taken", later, {"reason": "ü"})


def test_a_loop_takes_its_own(store: Store) -> None:
    with store.begin() as conn:
        commands.add(conn, "churn", "pause", {}, "anna", START)
        mine = commands.add(conn, "fraud-eu", "pause", {}, "anna", START)
        found = commands.take(conn, START, "fraud-eu")
        assert found is not None
        assert found.id == mine.id
        assert commands.take(conn, START, "fraud-eu") is None


def test_results_are_kept(store: Store) -> None:
    with store.begin() as conn:
        good, bad = (commands.add(conn, "churn", "retrain", {}, "anna", START).id for _ in range(2))
        commands.finish(conn, good, {"run": "run-1"}, START)
        commands.finish(conn, bad, {"error": "approval open"}, START, failed=True)
        assert [(commands.get(conn, one).state, commands.get(conn, one).result) for one in (good, bad)] == [
            ("done", {"run": "run-1"}),
            ("failed", {"error": "approval open"}),
        ]
        assert [command.id for command in commands.newest(conn, state="failed")] == [bad]
        with pytest.raises(UnknownName):
            commands.finish(conn, "cmd-x", {}, START)
        with pytest.raises(UnknownName):
            commands.get(conn, "cmd-x")


def test_what_a_dead_process_had_taken_comes_back(store: Store) -> None:
    with store.begin() as conn:
        first = commands.add(conn, "churn", "retrain", {}, "anna", START)
        commands.add(conn, "churn", "pause", {}, "anna", START)
        commands.take(conn, START)
        assert commands.requeue(conn) == 1
        assert commands.take(conn, START + timedelta(hours=1)) is not None
        assert commands.get(conn, first.id).taken_at == START + timedelta(hours=1)

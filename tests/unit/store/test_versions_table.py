"""Versions and aliases: a promotion is whole or nothing, and a late one is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.errors import StaleSwap, UnknownName
from rekindle.records import Outcome, Run, RunState, Version
from rekindle.store import Store, outbox, runs, versions

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

Make = Callable[..., Version]


@pytest.fixture
def three(store: Store, make_version: Make) -> Store:
    with store.begin() as conn:
        for number in (1, 2, 3):
            versions.add(conn, make_version(number))
    return store


def _bearers(store: Store, loop: str = "churn") -> dict[str, int]:
    with store.read() as conn:
        return {name: found.version for name, found in versions.aliases(conn, loop).items()}


def test_a_version_comes_back(store: Store, make_version: Make) -> None:
    version = make_version(1, trained_through=900, run="run-1", metadata={"auc": 0.9})
    with store.begin() as conn:
        assert versions.next_number(conn, "churn") == 1
        assert versions.add(conn, version) == version
        assert versions.get(conn, "churn", 1) == version
        assert versions.next_number(conn, "churn") == 2
        assert versions.next_number(conn, "fraud-eu") == 1
        assert versions.find(conn, "churn", 2) is None
        with pytest.raises(UnknownName, match="version of 'churn' named '2'"):
            versions.get(conn, "churn", 2)


def test_newest_versions_first(three: Store, make_version: Make, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1))
    with three.begin() as conn:
        versions.add(conn, make_version(1, "fraud-eu"))
        assert [(one.loop, one.number) for one in versions.newest(conn, limit=3)] == [
            ("fraud-eu", 1),
            ("churn", 3),
            ("churn", 2),
        ]
        assert [one.number for one in versions.newest(conn, "ch*")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "v1"),
        ("", "v1"),
        ("v15", "v16"),
        ("1.4.2", "1.4.3"),
        ("1.4.9", "1.4.10"),
        ("007", "008"),
        ("2026-q1", "2026-q2"),
        ("best model", "best model.1"),
        ("a\n1", "a\n2"),
    ],
)
def test_the_last_part_of_a_label_is_bumped(before: str | None, after: str) -> None:
    assert versions.next_label(before) == after


def test_promote_moves_both_aliases(three: Store) -> None:
    with three.begin() as conn:
        assert versions.alias(conn, "churn") is None
        first = versions.promote(conn, "churn", 1, START, expect=None)
        assert (first.version, first.generation) == (1, 1)
        second = versions.promote(conn, "churn", 2, START, expect=1)
        assert second == versions.alias(conn, "churn") == versions.Alias("churn", "champion", 2, START, 2)
    assert _bearers(three) == {"champion": 2, "previous": 1}


def test_a_promotion_judged_against_an_older_champion_is_refused(three: Store) -> None:
    with three.begin() as conn:
        versions.promote(conn, "churn", 1, START, expect=None)
        versions.promote(conn, "churn", 2, START, expect=1)
    for expect in (1, None):
        with pytest.raises(StaleSwap, match="but is version 2"), three.begin() as conn:
            versions.promote(conn, "churn", 3, START, expect=expect)
    assert _bearers(three) == {"champion": 2, "previous": 1}


def test_a_resumed_promotion_changes_nothing(three: Store) -> None:
    with three.begin() as conn:
        versions.promote(conn, "churn", 1, START, expect=None)
        once = versions.promote(conn, "churn", 2, START, expect=1)
        assert versions.promote(conn, "churn", 2, START + timedelta(hours=1), expect=1) == once
    assert _bearers(three) == {"champion": 2, "previous": 1}


def test_a_promotion_is_whole_or_nothing(three: Store, make_run: Callable[..., Run]) -> None:
    run = make_run()
    with three.begin() as conn:
        versions.promote(conn, "churn", 1, START, expect=None)
        runs.add(conn, run)

    def promote_and_die() -> None:
        with three.begin() as conn:
            versions.promote(conn, "churn", 2, START, expect=1)
            runs.finish(conn, run.id, RunState.COMPLETED, Outcome.PROMOTED, at=START, version=2)
            outbox.add(conn, "promoted", "churn", {"version": 2}, START)
            raise KeyError("killed")

    with pytest.raises(KeyError):
        promote_and_die()
    assert _bearers(three) == {"champion": 1}
    with three.read() as conn:
        assert runs.open_run(conn, "churn") == run
        assert outbox.pending(conn) == []


def test_rollback_changes_places(three: Store) -> None:
    with three.begin() as conn:
        versions.promote(conn, "churn", 1, START, expect=None)
        with pytest.raises(UnknownName, match="named 'previous'"):
            versions.rollback(conn, "churn", START)
        versions.promote(conn, "churn", 2, START, expect=1)
        with pytest.raises(StaleSwap):
            versions.rollback(conn, "churn", START, expect=1)
        assert versions.rollback(conn, "churn", START, expect=2).generation == 3
    assert _bearers(three) == {"champion": 1, "previous": 2}


def test_an_alias_moves_only_to_what_exists(three: Store) -> None:
    with three.begin() as conn:
        with pytest.raises(UnknownName):
            versions.move_alias(conn, "churn", "challenger", 9, START)
        with pytest.raises(UnknownName):
            versions.promote(conn, "fraud-eu", 1, START, expect=None)


def test_an_alias_may_be_dropped_and_its_generation_goes_on(three: Store) -> None:
    with three.begin() as conn:
        versions.move_alias(conn, "churn", "challenger", 2, START, expect=None)
        with pytest.raises(StaleSwap, match="expected to be version 3 but is version 2"):
            versions.drop_alias(conn, "churn", "challenger", START, expect=3)
        versions.drop_alias(conn, "churn", "challenger", START, expect=2)
        assert versions.alias(conn, "churn", "challenger") is None
        assert versions.aliases(conn, "churn") == {}
        assert versions.move_alias(conn, "churn", "challenger", 3, START, expect=None).generation == 3

"""Loops: registering twice, looking up, globs, and what survives a new revision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.errors import UnknownName
from rekindle.store import Store, loops

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

REVISION = loops.Revision("r2", "churn", {"every": "1d", "drop": 0.05}, "source = 'ü'", "abc", True, START)


def test_a_new_revision_keeps_what_the_home_learnt(store: Store, clock: ManualClock) -> None:
    later = replace(REVISION, created_at=clock.advance(timedelta(hours=1)))
    with store.begin() as conn:
        loops.set_origin(conn, "churn", START)
        loops.set_paused(conn, "churn", True)
        loops.set_task(conn, "churn", "classification")
        loops.set_settings(conn, "churn", {"scale": 2.0})
        loops.set_settings(conn, "churn", {"unit": "h"})
        loop = loops.register(conn, later, file="other.py", every="1d", metric="roc_auc")
    assert (loop.revision, loop.file, loop.every, loop.metric) == ("r2", "other.py", "1d", "roc_auc")
    assert (loop.origin, loop.paused, loop.task, loop.created_at) == (START, True, "classification", START)
    assert loop.settings == {"scale": 2.0, "unit": "h"}


def test_a_revision_is_stored_once_and_an_old_one_may_return(store: Store, clock: ManualClock) -> None:
    with store.begin() as conn:
        for revision in ("r2", "r1", "r2"):
            made = replace(REVISION, id=revision, created_at=clock.advance(timedelta(hours=1)))
            loops.register(conn, made, file="loops.py")
        assert [revision.id for revision in loops.revisions(conn, "churn")] == ["r2", "r1"]
        assert loops.revisions(conn, "churn")[0] == replace(REVISION, created_at=START + timedelta(hours=1))
        assert loops.get(conn, "churn").revision == "r2"


def test_two_loops_may_share_a_revision_id(store: Store) -> None:
    with store.read() as conn:
        assert [loops.revisions(conn, name)[0].id for name in loops.names(conn)] == ["r1"] * 3


def test_names_take_globs(store: Store) -> None:
    with store.read() as conn:
        assert loops.names(conn) == ["churn", "fraud-eu", "fraud-us"]
        assert loops.names(conn, "fraud-*") == ["fraud-eu", "fraud-us"]
        assert loops.names(conn, "fraud-[!e]?") == ["fraud-us"]
        assert [loop.name for loop in loops.newest(conn, "c*")] == ["churn"]
        assert loops.newest(conn, "nobody") == []


def test_an_unknown_name_suggests_the_nearest(store: Store) -> None:
    with store.begin() as conn:
        assert loops.find(conn, "chrun") is None
        with pytest.raises(UnknownName, match="Did you mean 'churn'"):
            loops.get(conn, "chrun")
        with pytest.raises(UnknownName, match="Did you mean 'churn'"):
            loops.set_paused(conn, "chrun", True)


def test_an_index_may_be_the_origin(store: Store) -> None:
    with store.begin() as conn:
        loops.set_origin(conn, "churn", 1200)
        assert loops.get(conn, "churn").origin == 1200


def test_a_fleet_is_matched_by_one_glob(store: Store) -> None:
    with store.begin() as conn:
        for number in range(1000):
            loops.register(conn, replace(REVISION, loop=f"symbol-{number:04d}"), file="fleet.py")
        assert len(loops.newest(conn, "symbol-0*")) == 1000

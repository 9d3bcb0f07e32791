"""Trigger states: all of a loop, replaced together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rekindle.store import Store, triggers

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_states_are_replaced_together(store: Store) -> None:
    with store.begin() as conn:
        assert triggers.load_states(conn, "churn") == {}
        triggers.save_states(
            conn, "churn", {"DataDrift": {"version": 1, "edges": [0.5]}, "Volume": {}}, START
        )
        triggers.save_states(conn, "fraud-eu", {"Volume": {"version": 1}}, START)
        triggers.save_states(conn, "churn", {"DataDrift": {"version": 1, "edges": [1.5]}}, START)
        assert triggers.load_states(conn, "churn") == {"DataDrift": {"version": 1, "edges": [1.5]}}
        triggers.save_states(conn, "churn", {}, START)
        assert triggers.load_states(conn, "churn") == {}
        assert triggers.load_states(conn, "fraud-eu") == {"Volume": {"version": 1}}


def test_a_state_that_would_not_come_back_is_refused(store: Store) -> None:
    with store.begin() as conn, pytest.raises(ValueError, match="plain JSON"):
        triggers.save_states(conn, "churn", {"DataDrift": {"model": object()}}, START)

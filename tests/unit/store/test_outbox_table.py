"""The outbox: at least once, in order, and a failure is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rekindle.records import Event
from rekindle.store import Store, outbox

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_events_wait_in_order_until_delivered(store: Store) -> None:
    with store.begin() as conn:
        events = [outbox.add(conn, "decision", "churn", {"batch": number}, START) for number in range(5)]
        assert events[0] == Event(events[0].id, "decision", "churn", START, {"batch": 0})
        assert outbox.pending(conn) == events
        assert outbox.pending(conn, limit=2) == events[:2]
        outbox.delivered(conn, [events[0].id, events[2].id], START)
        outbox.delivered(conn, [], START)
        assert outbox.pending(conn) == [events[1], events[3], events[4]]


def test_a_failed_attempt_is_counted_and_the_event_stays(store: Store) -> None:
    with store.begin() as conn:
        event = outbox.add(conn, "promoted", "", {}, START)
        for _ in range(2):
            outbox.failed(conn, event.id, "no route to host")
        assert outbox.attempts(conn, event.id) == 2
        assert outbox.pending(conn) == [event]
        assert outbox.pending(conn, max_attempts=2) == []


def test_delivered_events_are_forgotten_later(store: Store) -> None:
    with store.begin() as conn:
        old, new, waiting = (outbox.add(conn, "k", "churn", {}, START) for _ in range(3))
        outbox.delivered(conn, [old.id], START)
        outbox.delivered(conn, [new.id], START + timedelta(days=2))
        assert outbox.purge(conn, START + timedelta(days=1)) == 1
        assert outbox.pending(conn) == [waiting]

"""The embedded bus: in order, by kind, and no subscriber stops another."""

import logging
from datetime import UTC, datetime

import pytest

from rekindle.events.bus import LocalBus
from rekindle.protocols import EventBus
from rekindle.records import Event

SECRET = "https://hooks.example/T0K3N"


def event(kind="promoted", number=1):
    return Event(f"evt-{number}", kind, "churn", datetime(2026, 1, 1, tzinfo=UTC), {})


def test_it_keeps_the_protocol():
    assert isinstance(LocalBus(), EventBus)


def test_subscribers_are_called_in_order_for_their_kinds():
    bus, heard = LocalBus(), []
    bus.subscribe(lambda e: heard.append(("all", e.kind)))
    bus.subscribe(lambda e: heard.append(("some", e.kind)), "promoted", "rolled_back")
    bus.subscribe(lambda e: heard.append(("none", e.kind)), "other")
    bus.publish(event("promoted"))
    bus.publish(event("decision"))
    assert heard == [("all", "promoted"), ("some", "promoted"), ("all", "decision")]


def test_one_that_raises_stops_nobody_and_tells_no_secret(caplog):
    bus, heard = LocalBus(), []

    def failing(told):
        raise ConnectionError(f"cannot reach {SECRET}")

    bus.subscribe(failing)
    bus.subscribe(heard.append)
    with caplog.at_level(logging.DEBUG):
        bus.publish(event())
    assert len(heard) == 1
    assert "evt-1 (promoted): ConnectionError at" in caplog.text
    assert "test_bus.py:" in caplog.text, "where it failed can be found"
    assert "T0K3N" not in caplog.text


def test_a_subscriber_may_subscribe_another():
    bus, heard = LocalBus(), []
    bus.subscribe(lambda e: bus.subscribe(heard.append))
    bus.publish(event(number=1))
    assert heard == [], "it hears what comes later"
    bus.publish(event(number=2))
    assert [e.id for e in heard] == ["evt-2"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_let_through(stop):
    bus = LocalBus()

    def ending(told):
        raise stop

    bus.subscribe(ending)
    with pytest.raises(stop):
        bus.publish(event())

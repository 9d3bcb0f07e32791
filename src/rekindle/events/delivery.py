"""Delivery from the outbox: each event reaches its loop's notifiers at least once, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rekindle.store import outbox

if TYPE_CHECKING:
    from rekindle.protocols import EventBus, Notifier
    from rekindle.records import Event
    from rekindle.store import Store

__all__ = ["deliver", "sentence", "worth_telling"]

log = logging.getLogger("rekindle.events")
ATTEMPTS = 10  # after so many failures an event is given up, with a log line
TOLD = {"promoted", "run_finished", "approval_wanted", "rolled_back"}


def worth_telling(event: Event) -> bool:
    """Does a person want to be told? Every promotion and failure, no routine decision."""
    return event.kind in TOLD or (event.kind == "decision" and event.payload.get("action") == "escalate")


def sentence(event: Event) -> str:
    """The event in one line, e.g. "churn: model updated: v15 -> v16"."""
    told = event.payload
    if event.kind == "promoted":
        return f"{event.loop}: model updated: {told.get('cause', '')}"
    if event.kind == "run_finished":
        return f"{event.loop}: run ended {told.get('outcome')}: {told.get('cause', '')}"
    if event.kind == "approval_wanted":
        return f"{event.loop}: a candidate waits for you: rekindle approve {told.get('run')}"
    if event.kind == "rolled_back":
        return f"{event.loop}: rolled back: {told.get('cause', '')}"
    return f"{event.loop}: {told.get('action', event.kind)}: {told.get('reason', '')}"


def deliver(store: Store, bus: EventBus, notifiers_of: Callable[[str], Sequence[Notifier]]) -> int:
    """Tell everybody what is waiting in the outbox; returns how many events were delivered.

    `notifiers_of(loop)` gives the loop's own notifiers. One that raises leaves the event for the next delivery,
    ten times at most.
    """
    with store.read() as conn:
        waiting = outbox.pending(conn, max_attempts=ATTEMPTS)
    done = []
    for event in waiting:
        bus.publish(event)
        try:
            if worth_telling(event):
                for notify in notifiers_of(event.loop):
                    notify(event)
        except Exception as error:  # noqa: BLE001 - a notifier is anybody's code
            log.warning("event %s of %s could not be told: %s", event.kind, event.loop, type(error).__name__)
            with store.begin() as conn:
                outbox.failed(conn, event.id, f"{type(error).__name__}")
            continue
        done.append(event.id)
    if done:
        with store.begin() as conn:
            outbox.delivered(conn, done, store.clock.now())
    return len(done)

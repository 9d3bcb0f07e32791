"""Delivery from the outbox: each event reaches its loop's notifiers at least once, in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rekindle.store import outbox

if TYPE_CHECKING:
    from rekindle.protocols import EventBus, Notifier
    from rekindle.records import Event
    from rekindle.store import Store

__all__ = ["Delivery", "sentence", "worth_telling"]

log = logging.getLogger("rekindle.events")
ATTEMPTS = 10  # after so many failures an event is given up, with a log line
PAUSE = 5.0  # seconds before the second attempt, doubled before each further one: all ten take 85 minutes
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


class Delivery:
    """Tells everybody what waits in the outbox: the bus everything, a loop's own notifiers what people want to know.

    A notifier that raises leaves the event for a later delivery, ten times at most; meanwhile later events of the
    loop wait, and those who have been told are not told again as long as this object lives.

    Parameters: `notifiers_of(loop)` gives the loop's own notifiers, None when the loop is not known here (its events
    are left for a process that knows it); `pause` seconds before a second attempt, doubled before each further one.
    """

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        notifiers_of: Callable[[str], Sequence[Notifier] | None],
        *,
        pause: float = PAUSE,
    ) -> None:
        self._store, self._bus, self._notifiers_of, self._pause = store, bus, notifiers_of, pause
        self._published: set[str] = set()
        self._told: dict[str, set[int]] = {}  # event -> places of the notifiers that have it
        self._next_try: dict[str, float] = {}  # event -> not before

    def deliver(self) -> int:
        """Tell what is waiting; returns how many events are done with."""
        with self._store.read() as conn:
            waiting = outbox.pending(conn, 1000, max_attempts=ATTEMPTS)
        done: list[str] = []
        stuck: set[str] = set()
        for event in waiting:
            self._publish(event)
            if not worth_telling(event) or (event.loop not in stuck and self._tell(event)):
                done.append(event.id)
            else:
                stuck.add(event.loop)  # its later events wait, too
        if done:
            with self._store.begin() as conn:
                outbox.delivered(conn, done, self._store.clock.now())
        for event_id in done:
            self._forget(event_id)
        return len(done)

    def _publish(self, event: Event) -> None:
        if event.id not in self._published:
            self._bus.publish(event)
            self._published.add(event.id)

    def _tell(self, event: Event) -> bool:
        """Have all notifiers of its loop got it?"""
        if time.monotonic() < self._next_try.get(event.id, 0.0):
            return False
        told = self._told.setdefault(event.id, set())
        try:
            notifiers = self._notifiers_of(event.loop)
        except Exception as error:  # noqa: BLE001 - it may import an optional package
            self._note_failure(event, error)
            return False
        if notifiers is None:
            return False
        failure: Exception | None = None
        for place, notify in enumerate(notifiers):
            try:
                if place not in told:
                    notify(event)
                    told.add(place)
            except Exception as error:  # noqa: BLE001 - a notifier is anybody's code
                failure = error
        if failure is not None:
            self._note_failure(event, failure)
        return failure is None

    def _note_failure(self, event: Event, error: Exception) -> None:
        kind = type(error).__name__  # never its text: a notifier's error may hold its URL, and that a secret
        with self._store.begin() as conn:
            outbox.failed(conn, event.id, kind)
            failed = outbox.attempts(conn, event.id)
        if failed >= ATTEMPTS:
            log.error(
                "event %s of %s is given up after %d attempts: %s", event.kind, event.loop, failed, kind
            )
            self._forget(event.id)
        else:
            log.warning("event %s of %s could not be told: %s", event.kind, event.loop, kind)
            self._next_try[event.id] = time.monotonic() + self._pause * 2 ** (failed - 1)

    def _forget(self, event_id: str) -> None:
        self._published.discard(event_id)
        self._told.pop(event_id, None)
        self._next_try.pop(event_id, None)

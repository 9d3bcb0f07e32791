"""The embedded event bus: subscribers in this process, called in order."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekindle.protocols import Notifier
    from rekindle.records import Event

__all__ = ["LocalBus"]

log = logging.getLogger("rekindle.events")


class LocalBus:
    """Calls every subscriber at once, in the publisher's thread; one that raises does not stop the others."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[Notifier, frozenset[str]]] = []

    def publish(self, event: Event) -> None:
        """Hand the event to all who subscribed to its kind."""
        for subscriber, kinds in tuple(self._subscribers):
            if kinds and event.kind not in kinds:
                continue
            try:
                subscriber(event)
            except Exception as error:  # noqa: BLE001 - a subscriber is anybody's code
                # Where, but not what: an error's text may hold a URL, and that a secret.
                last = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{last.filename}:{last.lineno}"
                log.error("a subscriber failed on event %s (%s): %s at %s", event.id, event.kind,
                          type(error).__name__, place)  # fmt: skip

    def subscribe(self, handler: Notifier, *kinds: str) -> None:
        """Call the subscriber for these kinds; none given: for all."""
        self._subscribers.append((handler, frozenset(kinds)))

"""The triggers of one loop, with their state taken from the store and given back."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle.protocols import Trigger
    from rekindle.records import Batch, Champion, Signal

__all__ = ["Watch"]

log = logging.getLogger("rekindle.triggers")


class Watch:
    """Copies of a loop's triggers, each under a key that stays the same while the declaration does.

    Parameters: `triggers` as declared; `states` what the store holds; `champion` makes what a trigger without
    usable state is reset with (called only then; None: there is no champion yet).
    """

    def __init__(
        self,
        triggers: Sequence[Trigger],
        states: Mapping[str, Mapping[str, Any]],
        champion: Callable[[], Champion | None],
    ) -> None:
        self._triggers: dict[str, Trigger] = {}
        fresh: list[Trigger] = []
        for trigger in triggers:
            key = self._key(trigger)
            live = copy.deepcopy(trigger)
            self._triggers[key] = live
            if not self._restored(live, states.get(key), key):
                fresh.append(live)
        known = champion() if fresh else None
        for trigger in fresh:
            if known is not None:
                trigger.reset(known)

    def observe(self, batch: Batch) -> tuple[Signal, ...]:
        """What the triggers say of a batch, strongest first."""
        said = [t.observe(batch) for t in self._triggers.values()]
        return tuple(sorted((s for s in said if s is not None), key=lambda s: -s.severity))

    def relabel(self, batch: Batch) -> None:
        """Labels of an older batch have arrived: tell the triggers that live on labels (those with `relabel`)."""
        for trigger in self._triggers.values():
            tell = getattr(trigger, "relabel", None)
            if tell is not None:
                tell(batch)

    def reset(self, champion: Champion) -> None:
        """A new champion serves."""
        for trigger in self._triggers.values():
            trigger.reset(champion)

    def states(self) -> dict[str, dict[str, Any]]:
        """What the store should hold."""
        return {key: trigger.get_state() for key, trigger in self._triggers.items()}

    def reports(self) -> dict[str, Any]:
        """What each trigger saw last, for people."""
        return {key: getattr(t, "report", {}) for key, t in self._triggers.items()}

    def _key(self, trigger: Trigger) -> str:
        name = type(trigger).__name__
        taken = sum(key.split("#")[0] == name for key in self._triggers)
        return name if not taken else f"{name}#{taken + 1}"

    def _restored(self, trigger: Trigger, state: Mapping[str, Any] | None, key: str) -> bool:
        if state is None:
            return False
        try:
            trigger.set_state(state)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("the state of trigger %s cannot be read (%s); it starts afresh", key, error)
            return False
        return True

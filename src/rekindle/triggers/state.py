"""What all triggers share: the report of what was seen last, a versioned state, and checks of their settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rekindle.errors import DeclarationError

__all__ = ["Remembering", "check_number"]

# Raise it when a trigger's state changes its layout; set_state then has to read the old one as well.
VERSION = 1


@dataclass(kw_only=True)
class Remembering:
    """A trigger with memory: settings are dataclass fields, everything learnt is left out of repr and ==.

    A class that extends it names what it keeps in `_remember` and takes it back in `_recall`.
    """

    report: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # plain JSON

    def get_state(self) -> dict[str, Any]:
        """Plain JSON with a "version"."""
        return {
            "version": VERSION,
            "measures": self._measures(),
            "report": dict(self.report),
            **self._remember(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The reverse of get_state.

        Raises DeclarationError (a ValueError) for a version it does not know, and for the memory of a trigger
        that was set to measure something else.
        """
        name, measures = type(self).__name__, self._measures()
        if state.get("version") != VERSION:
            instead = f"{name} reads states of version {VERSION}; reset it to a champion instead"
            raise DeclarationError("version", state.get("version"), instead)
        if state.get("measures") != measures:
            instead = f"{name} now measures {measures!r}; reset it to a champion instead"
            raise DeclarationError("measures", state.get("measures"), instead)
        self.report = dict(state["report"])
        self._recall(state)

    def _measures(self) -> dict[str, Any]:
        """The settings without which the memory means nothing: it is refused when they changed."""
        return {}

    def _remember(self) -> dict[str, Any]:
        return {}

    def _recall(self, state: Mapping[str, Any]) -> None:
        pass


def check_number(field: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False) -> None:
    """Raise DeclarationError unless low <= value <= high, and whole where asked."""
    kinds = int if whole else (int, float)
    if (
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    ):
        return
    reach = (
        f" between {low:g} and {high:g}"
        if high < math.inf
        else f" of {low:g} or more"
        if low > -math.inf
        else ""
    )
    raise DeclarationError(field, value, f"give a {'whole ' if whole else 'finite '}number{reach}")

"""Guards: reasons not to retrain now although the policy would. Each returns None or a `wait`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rekindle.clock import parse_span
from rekindle.declaration import whole
from rekindle.errors import DeclarationError
from rekindle.records import Action, Decision, View

__all__ = ["Cooldown", "MinPriority", "MinRows"]


@dataclass(frozen=True, slots=True)
class MinRows:
    """At least so many labelled rows since the champion's window ended (row 2); the default, with 100."""

    rows: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", whole("rows", self.rows, "give 0 or more rows"))

    def __call__(self, view: View) -> Decision | None:
        if view.labelled >= self.rows:
            return None
        reason = f"insufficient_data: {view.labelled} new labelled rows, {self.rows} needed"
        return _wait("MinRows", reason, {"labelled": view.labelled, "needed": self.rows},
                     f"{self.rows - view.labelled} more labelled rows")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cooldown:
    """No retraining for a while after a finished run of the same model (row 16), e.g. `Cooldown("24h")`.

    Counted from the end of the run, not from its request: a run that dies does not block its repetition.
    """

    length: str | timedelta = "24h"

    def __post_init__(self) -> None:
        span = parse_span(self.length, "cooldown")
        if not isinstance(span, timedelta):
            raise DeclarationError("cooldown", self.length, "give a span of time, e.g. '24h'")
        object.__setattr__(self, "length", span)

    def __call__(self, view: View) -> Decision | None:
        if view.finished_at is None or not isinstance(self.length, timedelta):
            return None
        left = view.finished_at + self.length - view.now
        if left <= timedelta(0):
            return None
        hours = left / timedelta(hours=1)
        evidence = {"finished_at": view.finished_at.isoformat(), "hours_left": hours}
        return _wait(
            "Cooldown", f"cooldown: {hours:.1f} h left since the last run", evidence, f"{hours:.1f} h more"
        )


@dataclass(frozen=True, slots=True)
class MinPriority:
    """Signals below a priority start nothing (row 17): 1 is low, 5 is high, 3 the default of a signal.

    A policy that retrains on its own evidence, without any signal, counts as 3.
    """

    priority: int = 3

    def __post_init__(self) -> None:
        checked = whole("priority", self.priority, "give 1 (low) to 5 (high)", least=1, most=5)
        object.__setattr__(self, "priority", checked)

    def __call__(self, view: View) -> Decision | None:
        highest = max((s.severity for s in view.signals), default=3)
        if highest >= self.priority:
            return None
        reason = f"priority {highest} is below {self.priority}"
        return _wait("MinPriority", reason, {"priority": highest}, f"a signal of priority {self.priority}")


def _wait(rule: str, reason: str, evidence: dict[str, object], would_change: str) -> Decision:
    return Decision(Action.WAIT, rule, reason, evidence, would_change=would_change)

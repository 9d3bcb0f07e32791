"""Policies without a price: never, always, every k batches, and signals with a hard schedule."""

from __future__ import annotations

from dataclasses import dataclass

from rekindle.declaration import whole
from rekindle.records import Action, Decision, Kind, Run, Signal, View

__all__ = ["Always", "Every", "Never", "SoftWithFallback", "strongest"]


def strongest(signals: tuple[Signal, ...]) -> Signal | None:
    """The signal that weighs most; the first of equals."""
    return max(signals, key=lambda s: s.severity, default=None)


@dataclass(frozen=True, slots=True)
class Never:
    """Never retrains: the baseline of freshness."""

    def decide(self, view: View) -> Decision:
        return Decision(
            Action.WAIT, "Never", "this loop never retrains by itself", would_change="`rekindle retrain`"
        )

    def observe(self, outcome: Run) -> None:
        """Learns nothing."""


@dataclass(frozen=True, slots=True)
class Always:
    """Retrains after every batch: the baseline of cost."""

    def decide(self, view: View) -> Decision:
        return Decision(Action.RETRAIN, "Always", "this loop retrains after every batch")

    def observe(self, outcome: Run) -> None:
        """Learns nothing."""


@dataclass(frozen=True, slots=True)
class Every:
    """Retrains every `batches` batches."""

    batches: int

    def __post_init__(self) -> None:
        checked = whole("batches", self.batches, "give a number of batches, 1 or more", least=1)
        object.__setattr__(self, "batches", checked)

    def decide(self, view: View) -> Decision:
        age = view.batch - view.tried
        evidence = {"batches_since": age, "every": self.batches}
        if age >= self.batches:
            return Decision(Action.RETRAIN, "Every", f"{age} batches since the last training", evidence)
        left = self.batches - age
        return Decision(
            Action.WAIT,
            "Every",
            f"{age} of {self.batches} batches passed",
            evidence,
            would_change=f"{left} more batches",
        )

    def observe(self, outcome: Run) -> None:
        """Learns nothing."""


@dataclass(frozen=True, slots=True)
class SoftWithFallback:
    """Obeys signals of severity >= `severity`; the schedule among them is the hard fallback (row 13).

    A schedule signal counts whatever its severity. With `every` the fallback needs no Schedule trigger.
    """

    severity: int = 3
    every: int | None = None  # batches; None: the loop's Schedule trigger is the fallback

    def __post_init__(self) -> None:
        severity = whole("severity", self.severity, "give 1 (low) to 5 (high)", least=1, most=5)
        object.__setattr__(self, "severity", severity)
        if self.every is not None:
            every = whole("every", self.every, "give a number of batches, 1 or more", least=1)
            object.__setattr__(self, "every", every)

    def decide(self, view: View) -> Decision:
        heeded = tuple(s for s in view.signals if s.severity >= self.severity or s.kind is Kind.SCHEDULE)
        top = strongest(heeded)
        evidence = {"signals": [s.reason for s in view.signals], "severity": self.severity}
        if top is not None:
            reason = f"{top.trigger}: {top.reason}"
            return Decision(Action.RETRAIN, "SoftWithFallback", reason, evidence, priority=top.severity)
        if self.every is not None and view.batch - view.tried >= self.every:
            reason = f"fallback: {view.batch - view.tried} batches since the last training"
            return Decision(Action.RETRAIN, "SoftWithFallback", reason, evidence)
        seen = f"{len(view.signals)} signals below severity {self.severity}" if view.signals else "no signal"
        return Decision(
            Action.WAIT,
            "SoftWithFallback",
            seen,
            evidence,
            would_change=f"a signal of severity {self.severity}",
        )

    def observe(self, outcome: Run) -> None:
        """Learns nothing."""

"""What the verbs return: values that print well in a terminal, a notebook and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rekindle.records import Action, Decision, Run, Shown

__all__ = ["CheckReport", "TickReport", "decision_json", "run_json"]


@dataclass(frozen=True, slots=True)
class TickReport(Shown):
    """What one tick came to."""

    loop: str
    decisions: tuple[Decision, ...]  # oldest first; empty when no batch was complete
    run: Run | None  # the run it started, or took up again, as it stands now
    next: str  # when there is something to do again, in words
    error: str = ""  # why there was no tick, where others of a fleet went on

    @property
    def outcome(self) -> str:
        """NO_CHANGE, or how the run ended."""
        if self.run is None:
            return "ERROR" if self.error else "NO_CHANGE"
        return self.run.outcome.value if self.run.outcome is not None else self.run.state.value.upper()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "loop": self.loop,
            "outcome": self.outcome,
            "decisions": [decision_json(d) for d in self.decisions],
            "run": None if self.run is None else run_json(self.run),
            "next": self.next,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class CheckReport(Shown):
    """What a tick would do."""

    loop: str
    decision: (
        Decision | None
    )  # the newest decision, taken in rehearsal or, when no batch is due, the last stored
    due: int  # batches that a tick would score
    changed: tuple[str, ...]  # what changed in the declaration since it was last registered
    notes: tuple[str, ...]  # what the loop takes for granted, said aloud
    next: str  # when the next batch is complete
    error: str = ""  # why nothing could be decided, where others of a fleet went on

    @property
    def advised(self) -> bool:
        """Would a retraining be right now?"""
        return (
            self.decision is not None and self.decision.action is Action.RETRAIN and self.decision.run is None
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "loop": self.loop,
            "retrain_advised": self.advised,
            "decision": None if self.decision is None else decision_json(self.decision),
            "batches_due": self.due,
            "changed": list(self.changed),
            "notes": list(self.notes),
            "next": self.next,
            "error": self.error,
        }


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as plain JSON."""
    return {
        "id": decision.id,
        "loop": decision.loop,
        "batch": decision.batch,
        "at": None if decision.at is None else decision.at.isoformat(),
        "decision": decision.action.value,
        "rule": decision.rule,
        "reason": decision.reason,
        "expected_saving": decision.expected_saving,
        "price": decision.price,
        "would_change": decision.would_change,
        "priority": decision.priority,
        "evidence": dict(decision.evidence),
        "signals": [{"kind": s.kind.value, "trigger": s.trigger, "severity": s.severity, "reason": s.reason}
                    for s in decision.signals],
        "run": decision.run,
    }  # fmt: skip


def run_json(run: Run) -> dict[str, Any]:
    """A run as plain JSON."""
    told = run.metadata
    return {
        "run": run.id,
        "loop": run.loop,
        "state": run.state.value,
        "outcome": None if run.outcome is None else run.outcome.value,
        "cause": run.cause,
        "strategy": run.strategy,
        "trigger": run.trigger,
        "batch": run.batch,
        "created_at": run.created_at.isoformat(),
        "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
        "version": run.version,
        "window": told.get("window"),
        "rows": told.get("rows"),
        "candidate_loss": told.get("candidate_loss"),
        "champion_loss": told.get("champion_loss"),
        "candidate_metric": told.get("candidate_metric"),
        "champion_metric": told.get("champion_metric"),
        "verdicts": told.get("verdicts", []),
        "cpu_seconds": told.get("cpu_seconds"),
    }

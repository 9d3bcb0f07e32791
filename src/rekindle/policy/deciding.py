"""One decision out of signals, policy and guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rekindle.errors import DeclarationError, RekindleError
from rekindle.policy.rules import strongest
from rekindle.records import Action, Decision, Kind, Run, Signal, View
from rekindle.store import new_id

if TYPE_CHECKING:
    from rekindle.protocols import Guard, Policy

__all__ = ["decide", "ordered_run", "run_strategy"]


def decide(policy: Policy, guards: Sequence[Guard], view: View) -> Decision:
    """A person's wish (or a changed declaration) decides at once; else the policy proposes, and a guard may object.

    An objection keeps what the policy said as evidence, so that the decision shows what the guard held back.
    """
    manual = [s for s in view.signals if s.kind is Kind.MANUAL]
    if manual:
        wish = manual[0]
        return Decision(
            Action.RETRAIN, wish.trigger, wish.reason, dict(wish.evidence), priority=wish.severity
        )
    proposal = policy.decide(view)
    if not isinstance(proposal, Decision):
        raise DeclarationError("policy", policy, f"decide must return a Decision, it gave {proposal!r}")
    if proposal.action is not Action.RETRAIN:
        return proposal
    for guard in guards:
        objection = _objection(guard, view)
        if objection is not None:
            held_back = {"policy": proposal.rule, "policy_reason": proposal.reason}
            return replace(
                objection,
                evidence={**objection.evidence, **held_back},
                expected_saving=proposal.expected_saving,
                price=proposal.price,
            )
    top = strongest(view.signals)
    return proposal if top is None else replace(proposal, priority=max(proposal.priority, top.severity))


def _objection(guard: Guard, view: View) -> Decision | None:
    try:
        said = guard(view)
    except RekindleError:
        raise
    except Exception as error:
        raise DeclarationError("guards", guard, f"it raised {type(error).__name__}: {error}") from error
    if said is not None and not isinstance(said, Decision):
        raise DeclarationError(
            "guards", guard, f"it must return None or a Decision to wait, it gave {said!r}"
        )
    return said


def ordered_run(decision: Decision, revision: str) -> Run:
    """The run that a retrain decision starts, under the declaration of this revision."""
    assert decision.at is not None
    strategy, trigger = run_strategy(decision, decision.signals)
    since = [s.since for s in decision.signals if s.since is not None]
    return Run(
        id=new_id("run-", decision.at),
        loop=decision.loop,
        revision=revision,
        strategy=strategy,
        reason=decision.reason,
        trigger=trigger,
        priority=decision.priority,
        batch=decision.batch,
        created_at=decision.at,
        since=min(since) if since else None,
    )


def run_strategy(decision: Decision, signals: Sequence[Signal]) -> tuple[str, str]:
    """Strategy and trigger kind of the run a decision starts: ("triggered", "data_drift"), ("manual", "manual") ..."""
    if any(s.kind is Kind.MANUAL for s in signals):
        return "manual", Kind.MANUAL.value
    if decision.rule == "FirstModel":
        return "first", "first_model"
    top = strongest(tuple(signals))
    if top is None:
        return "triggered", "policy"
    if all(s.kind is Kind.SCHEDULE for s in signals):
        return "scheduled", Kind.SCHEDULE.value
    return "triggered", top.kind.value

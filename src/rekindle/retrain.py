"""Act: the story of one run. Each step happens once; a run cut off anywhere goes on at the step that died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rekindle.errors import StaleSwap, Stopped
from rekindle.records import Act, Outcome, RunState
from rekindle.steps import Story, check, judge, release, select, snapshot, train, validate
from rekindle.store import runs

if TYPE_CHECKING:
    from rekindle.loop import Loop
    from rekindle.records import Run
    from rekindle.workshop import Workshop

__all__ = ["STEPS", "retrain"]

STEPS = ("select", "check", "snapshot", "train", "validate", "judge", "release")


def retrain(run: Run, loop: Loop, shop: Workshop) -> Run:
    """Carry out a run from its first unfinished step; returns it as it stands afterwards.

    Whatever goes wrong, the champion keeps serving and the run says why. Raises Stopped when the workshop asks to
    stop between two steps: the same call resumes later.
    """
    story = Story(run, loop, shop)
    if not story.claim():
        return story.standing()
    try:
        if outgrown := story.outgrown():
            return story.end(RunState.ERROR, Outcome.ERROR, outgrown)
        story.once("select", select)  # which stretch of time
        story.once("check", check)  # do its rows keep the contract; bad ones go to quarantine
        story.once("snapshot", snapshot)  # freeze them: from here on nothing reads live rows
        story.once("train", train)  # the candidate, and its twin that will be judged
        story.once("validate", validate)  # twin and champion on the same later rows
        verdict = story.once("judge", judge)  # the gates
        if not verdict["passed"]:
            return story.end(RunState.FAILED, Outcome.KEPT_CHAMPION, verdict["reason"])
        if loop.act is Act.APPROVE and not story.approved():
            return story.await_approval()
        return story.promote(release)  # registered, promoted, triggers re-referenced: one transaction
    except Stopped:
        raise
    except StaleSwap as error:
        return story.end(RunState.FAILED, Outcome.KEPT_CHAMPION, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a trainer, gate or source raises, the run records it
        return story.fail(error)


def reject(run: Run, loop: Loop, shop: Workshop, reason: str) -> Run:
    """A person says no to a run that waits for approval (or nobody spoke in time)."""
    story = Story(run, loop, shop)
    with shop.store.read() as conn:
        waiting = runs.get(conn, run.id).state is RunState.AWAITING_APPROVAL
    return story.end(RunState.FAILED, Outcome.KEPT_CHAMPION, reason) if waiting else story.standing()

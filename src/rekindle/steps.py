"""What each step of a run does. A step reads what earlier ones found and returns plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.data.cadence import moment_json, moment_of
from rekindle.data.contract import Checked, Contract
from rekindle.data.labels import known_rows
from rekindle.data.periods import cadence_of
from rekindle.data.quarantine import put_aside
from rekindle.data.snapshot import BATCH, freeze
from rekindle.data.window import age_weights
from rekindle.engine.child import progress
from rekindle.errors import DeclarationError, NotEnoughData, Stopped, TrainingKilled
from rekindle.observing import blaming, champion_record, loss_of, metric_of
from rekindle.records import History, Scores, Verdict, Version, Window
from rekindle.store import loops, triggers, versions
from rekindle.story import Story
from rekindle.training.job import FitPlan, fit_models
from rekindle.triggers.watch import Watch
from rekindle.validation.holdout import judging_batches
from rekindle.validation.scoring import ScorePlan, judging_rows, score_models

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.data.cadence import Cadence
    from rekindle.engine.nursery import Report
    from rekindle.records import Moment, Run
    from rekindle.store.loops import StoredLoop

__all__ = ["Story", "check", "judge", "release", "select", "snapshot", "train", "validate"]

RECENT = 64  # batches whose starts a window rule may look at
MOST_QUARANTINED = 0.5  # share of a window's rows above which it is no training data
LOSSES = "losses.npz"


def select(story: Story) -> dict[str, Any]:
    """Which stretch of time to train on."""
    run, loop = story.run, story.loop
    _, cadence = _standing(story)
    span = cadence.span(run.batch)
    champion = story.shop.registry.champion(loop.name)
    starts = [cadence.span(k).start for k in range(max(0, run.batch + 1 - RECENT), run.batch + 1)]
    last_end = None if champion is None else champion.trained_through
    history = History(loop.source.extent(), span, run.since, last_end, starts)
    with blaming("window", loop.window):
        window = loop.window(history)
    if not isinstance(window, Window):
        raise DeclarationError(
            "window", loop.window, f"it must return a Window, it gave {type(window).__name__}"
        )
    if window.end is None or window.end > span.end:  # type: ignore[operator]
        window = Window(
            window.start, span.end, window.rule, window.half_life
        )  # nothing later than the decision
    return {
        "window": {"start": moment_json(window.start), "end": moment_json(window.end), "rule": window.rule,
                   "half_life": window.half_life},
        "window_batches": _batches_in(window, cadence, run.batch),
        "champion": None if champion is None else champion.number,
        "champion_batch": None if champion is None else champion.batch,
    }  # fmt: skip


def check(story: Story) -> dict[str, Any]:
    """Do the rows keep the contract? Bad ones go to quarantine, with a reason each."""
    stored, _ = _standing(story)
    contract, checked = _checked(story, stored)
    total = len(checked.rows) + len(checked.quarantined)
    if total == 0:
        raise NotEnoughData("the window holds no rows; wait for rows, or choose a longer window")
    if len(checked.quarantined) > MOST_QUARANTINED * total:
        example = checked.quarantined["reason"].iloc[0]
        raise NotEnoughData(
            f"{len(checked.quarantined):,} of {total:,} rows of the window break the contract, e.g. {example}; "
            "mend the source, then retrain"
        )
    put_aside(checked.quarantined, story.shop.quarantine(story.loop.name), f"run-{story.run.id}")
    return {
        "contract": contract.to_json(),
        "quarantined": len(checked.quarantined),
        "notes": list(checked.notes),
    }


def snapshot(story: Story) -> dict[str, Any]:
    """Freeze the rows; from here on nothing reads live ones."""
    stored, cadence = _standing(story)
    contract, checked = _checked(story, stored)
    source = story.loop.source
    kept = [source.time, *filter(None, (source.id, source.label_time)), source.label, *contract.names]
    rows = checked.rows[list(dict.fromkeys(kept))]
    rows = rows.assign(**{BATCH: cadence.numbers(rows[source.time])})
    labelled = rows[source.label].notna().to_numpy(dtype=bool)
    if not labelled.any():
        raise NotEnoughData("no row of the window has a known label; wait for labels")
    found = story.found
    judged = judging_batches(rows[BATCH].to_numpy(), labelled, found["select"]["champion_batch"])
    frozen = freeze(
        rows,
        window=_window(found["select"]["window"]),
        time=source.time,
        label=source.label,
        features=contract.names,
        task=contract.task,
        into=story.shop.snapshots(story.loop.name),
        about={"loop": story.loop.name, "revision": story.run.revision, "contract": contract.to_json(),
               "quarantined": found["check"]["quarantined"]},
    )  # fmt: skip
    return {
        "snapshot": frozen.folder,
        "snapshot_id": frozen.id,
        "rows": int(labelled.sum()),
        "judged": list(judged),
        "newest_batch": int(rows[BATCH].to_numpy()[labelled].max()),
    }


def train(story: Story) -> dict[str, Any]:
    """Fit the twin that will be judged and the candidate, in a child process with limits."""
    run, found = story.run, story.found
    plan = FitPlan(
        loop=story.loop.name,
        snapshot=found["snapshot"]["snapshot"],
        contract=found["check"]["contract"],
        judged=tuple(found["snapshot"]["judged"]),
        half_life=found["select"]["window"]["half_life"],
        seed=int(getattr(story.loop.trainer, "seed", 0)),
        about={"run": run.id, "revision": run.revision, "snapshot": found["snapshot"]["snapshot_id"],
               "judged_by_twin": bool(found["snapshot"]["judged"])},
    )  # fmt: skip
    report = _in_child(
        story,
        "train",
        fit_models,
        story.loop.trainer,
        plan,
        story.shop.registry.bundle_folder(story.loop.name, run.id),
        report=progress,
        on_progress=lambda share, text: story.shop.say(text, share),
    )
    return {**report.result, "cpu_seconds": report.cpu_seconds, "peak_mb": report.peak_mb}


def validate(story: Story) -> dict[str, Any]:
    """Twin and champion on the same later rows, which neither has seen."""
    found, loop = story.found, story.loop
    if not found["snapshot"]["judged"]:
        return {"scored": []}
    stored, _ = _standing(story)
    plan = _score_plan(story)
    task = Contract.from_json(plan.contract).task
    report = _in_child(
        story, "validate", score_models, loop.trainer, plan, loss_of(loop, stored), metric_of(loop, task)
    )
    scores: dict[str, Scores] = report.result
    np.savez(story.folder / LOSSES, **{name: s.losses for name, s in scores.items()})  # type: ignore[arg-type]
    told: dict[str, Any] = {"scored": sorted(scores), "metric": metric_of(loop, task).name}
    for role, score in _roles(scores).items():
        told |= {f"{role}_loss": score.loss, f"{role}_metric": score.metric}
    return told


def judge(story: Story) -> dict[str, Any]:
    """The gates. All must pass; each verdict keeps its reason."""
    found = story.found
    if not found["validate"]["scored"]:
        return _unjudged(first=found["select"]["champion"] is None, demanded=bool(story.loop.gates))
    candidate, champion = _stored_scores(story)
    rows = judging_rows(_score_plan(story))
    run = _with_facts(story.run, story.facts())
    verdicts: list[Verdict] = []
    for gate in story.loop.gates:
        with blaming("gates", gate):
            verdicts.append(gate(candidate, champion, rows, run))
        if not isinstance(verdicts[-1], Verdict):
            raise DeclarationError(
                "gates", gate, f"it must return a Verdict, it gave {type(verdicts[-1]).__name__}"
            )
    failed = [v for v in verdicts if not v.passed]
    reason = "; ".join(f"{v.gate}: {v.reason}" for v in (failed or verdicts)) or "no gate was declared"
    return {"passed": not failed, "reason": reason, "verdicts": [_verdict_json(v) for v in verdicts]}


def release(story: Story, conn: Connection) -> dict[str, Any]:
    """Register the candidate, make it champion, point the triggers at it: in the caller's transaction."""
    found, loop, now = story.found, story.loop, story.shop.clock.now()
    expected = found["select"]["champion"]
    before = None if expected is None else versions.get(conn, loop.name, expected)
    newest = versions.newest(conn, loop.name, limit=1)
    facts = {k: v for k, v in story.facts().items() if k != "verdicts"}
    version = Version(
        loop=loop.name,
        number=versions.next_number(conn, loop.name),
        label=versions.next_label(newest[0].label if newest else None),  # after a rollback, too: labels never repeat
        folder=found["train"]["candidate"],
        run=story.run.id,
        batch=found["snapshot"]["newest_batch"],
        created_at=now,
        trained_through=moment_of(found["select"]["window"]["end"]),
        metadata={**facts, "reason": story.run.reason, "strategy": story.run.strategy, "trigger": story.run.trigger,
                  "retrained_at": now.isoformat()},
    )  # fmt: skip
    versions.add(conn, version)
    versions.promote(conn, loop.name, version.number, now, expect=expected)
    stored = loops.get(conn, loop.name)
    first = stored.settings.get("first", story.run.batch + 1)
    loops.set_settings(conn, loop.name, {"contract": found["check"]["contract"], "first": first})
    watch = Watch(loop.triggers, {}, lambda: None)
    record = champion_record(loop, story.shop, version)
    if record is not None:
        watch.reset(record)
    triggers.save_states(conn, loop.name, watch.states(), now)
    updated = version.label if before is None else f"{before.label} -> {version.label}"
    return {
        "version": version.number,
        "label": version.label,
        "cause": f"{updated}: {found['judge']['reason']}",
    }


def _in_child(story: Story, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Report:
    """Work in a training child with the limits of this home. Asked to stop, it is finished; in a hurry, it is not."""
    shop = story.shop
    try:
        return shop.nursery.run(
            function, *args, folder=story.folder / name, limits=shop.limits, stop=shop.hurry, **kwargs
        )
    except TrainingKilled as killed:
        if not shop.stop():
            raise
        # The signal that asks us to stop went to all processes of the service.
        raise Stopped(f"{killed} The run resumes at this step.") from killed


def _standing(story: Story) -> tuple[StoredLoop, Cadence]:
    with story.shop.store.read() as conn:
        stored = loops.get(conn, story.loop.name)
    loop = story.loop
    return stored, cadence_of(loop.every, stored.every, stored.origin, loop.source.extent())


def _checked(story: Story, stored: StoredLoop) -> tuple[Contract, Checked]:
    """The window's rows with the labels known at the decision, checked; read once per process."""
    if "checked" not in story.memory:
        loop = story.loop
        rows = loop.source.read(_window(story.found["select"]["window"]))
        rows = known_rows(rows, loop.source, _as_of(story))
        if "check" in story.found:  # resumed: the contract that was checked stays
            contract = Contract.from_json(story.found["check"]["contract"])
        else:
            contract = Contract.learn(rows, loop.source, task=stored.task, features=loop.features)
        story.memory["checked"] = contract, contract.check(rows, loop.source)
    held: tuple[Contract, Checked] = story.memory["checked"]
    return held


def _as_of(story: Story) -> Moment:
    """The moment of the decision on the loop's own axis: no label that came later may be seen."""
    end = moment_of(story.found["select"]["window"]["end"])
    if isinstance(end, datetime):
        return story.run.created_at
    assert end is not None
    return end


def _window(told: dict[str, Any]) -> Window:
    return Window(moment_of(told["start"]), moment_of(told["end"]), told["rule"], told["half_life"])


def _batches_in(window: Window, cadence: Cadence, newest: int) -> float:
    """Length of a window in batches; where older rows weigh less, the sum of the batches' weights."""
    oldest = 0
    if window.start is not None:
        oldest = min(max(0, int(cadence.numbers(pd.Series([window.start]))[0])), newest)
    held = newest - oldest + 1
    if window.half_life is None:
        return float(held)
    # The sum of a geometric series: a leap of an index may lay more batches than fit into memory.
    newer = float(age_weights(np.ones(1), window.half_life)[0])
    return float((1 - newer**held) / (1 - newer)) if newer < 1 else float(held)


def _score_plan(story: Story) -> ScorePlan:
    found = story.found
    bundles = {"candidate": found["train"]["twin"]}
    champion = found["select"]["champion"]
    if champion is not None:
        version = story.shop.registry.get(story.loop.name, champion)
        bundles[version.label] = version.folder
    return ScorePlan(
        found["snapshot"]["snapshot"], found["check"]["contract"], tuple(found["snapshot"]["judged"]), bundles
    )


def _roles(scores: dict[str, Scores]) -> dict[str, Scores]:
    return {("candidate" if name == "candidate" else "champion"): score for name, score in scores.items()}


def _stored_scores(story: Story) -> tuple[Scores, Scores | None]:
    told = story.found["validate"]
    higher = metric_of(story.loop, story.found["check"]["contract"]["task"]).higher_is_better
    with np.load(story.folder / LOSSES) as held:
        made = {
            role: Scores(name, told[f"{role}_loss"], held[name], told[f"{role}_metric"], higher)
            for name in told["scored"]
            for role in (["candidate"] if name == "candidate" else ["champion"])
        }
    return made["candidate"], made.get("champion")


def _unjudged(*, first: bool, demanded: bool) -> dict[str, Any]:
    if first or not demanded:
        reason = "first model: too few labelled rows to hold some back" if first else "no gate was declared"
        return {"passed": True, "reason": reason, "verdicts": []}
    reason = "no labelled row that neither model has seen; wait for the next batch"
    return {"passed": False, "reason": reason, "verdicts": []}


def _with_facts(run: Run, facts: dict[str, Any]) -> Run:
    from dataclasses import replace

    return replace(run, metadata=facts)


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "gate": verdict.gate,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "numbers": dict(verdict.numbers),
    }

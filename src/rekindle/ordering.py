"""One decision: what stands in the way, what the policy says, and its storing with the run it orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rekindle.observing import blaming
from rekindle.policy.deciding import decide, ordered_run
from rekindle.records import Act, Action, Decision, Kind, RunState, Signal, View
from rekindle.store import batches, decisions, loops, outbox, runs, versions

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.loop import Loop
    from rekindle.observing import Observed
    from rekindle.records import Run, Version
    from rekindle.store.loops import StoredLoop
    from rekindle.workshop import Workshop

__all__ = ["answer_change", "changed", "decide_batch", "decide_first", "decide_now", "record"]

RECENT = 200  # batches whose losses a policy sees at least
SILENT = 3  # empty periods in a row after which a source counts as silent


def decide_first(loop: Loop, shop: Workshop, stored: StoredLoop, newest: int) -> list[Decision]:
    """No champion: the first tick trains one on the history up to now."""
    with shop.store.begin() as conn:
        if loop.act is Act.ADVISE:
            advice = f"no champion yet: `rekindle adopt {loop.name} --model FILE`, or `rekindle retrain {loop.name}`"
            decision = Decision(Action.WAIT, "Advise", advice, would_change="a champion")
        else:
            first = Decision(Action.RETRAIN, "FirstModel", "there is no champion yet")
            decision = _refusal(conn, loop) or first
        last = _last_on(conn, loop, newest)
        said = last is not None and decision.action is Action.WAIT and last.rule == decision.rule
        tried = last is not None and last.run is not None and not changed(stored, shop)
        if said or tried:
            return []  # on this history already; the next batch brings a new try
        settled = _settle(decision, loop, shop, newest, ())
        return [record(conn, loop, shop, settled, stored, may_act=loop.act is not Act.ADVISE)]


def decide_batch(
    loop: Loop, shop: Workshop, conn: Connection, stored: StoredLoop, seen: Observed, signals: tuple[Signal, ...],
    is_newest: bool, news: bool = False,
) -> Decision:  # fmt: skip
    """Decide on one batch; with `news`, rows or labels of older batches have arrived, so an empty one decides too."""
    seq = seen.stored.span.seq
    wished = any(s.kind is Kind.MANUAL for s in signals)
    decision = (None if wished or news else _without_rows(conn, loop, seen)) or _refusal(conn, loop)
    if decision is None and stored.paused:
        decision = Decision(
            Action.WAIT, "Paused", "the loop is paused", would_change=f"`rekindle resume {loop.name}`"
        )
    if decision is None:
        with blaming("policy", loop.policy):
            decision = decide(loop.policy, loop.guards, _view(loop, shop, conn, stored, seq, signals))
        if decision.action is Action.RETRAIN and not is_newest:
            reason = f"missed batch, scored late; only the newest may start a run ({decision.rule}: {decision.reason})"
            decision = replace(decision, action=Action.WAIT, rule="Missed", reason=reason)
        if decision.action is Action.WAIT and seen.failure is not None:
            decision = _escalated(decision, seen.failure)
    return _settle(decision, loop, shop, seq, signals)


def decide_now(
    conn: Connection, loop: Loop, shop: Workshop, stored: StoredLoop, seq: int, signals: tuple[Signal, ...]
) -> Decision:
    """A person's or a changed declaration's wish, on the newest complete batch."""
    view = _view(loop, shop, conn, stored, seq, signals)
    decision = _refusal(conn, loop) or decide(loop.policy, (), view)
    return record(conn, loop, shop, _settle(decision, loop, shop, seq, signals), stored, may_act=True)


def answer_change(loop: Loop, shop: Workshop, stored: StoredLoop, newest: int) -> list[Decision]:
    """A changed declaration is answered at once, not with the next batch."""
    signals = changed(stored, shop)
    if not signals or stored.paused:
        return []
    with shop.store.begin() as conn:
        last = _last_on(conn, loop, newest)
        advised = last is not None and last.rule == signals[0].trigger and last.run is None
        if advised or _refusal(conn, loop) is not None:
            return []
        return [decide_now(conn, loop, shop, stored, newest, signals)]


def changed(stored: StoredLoop, shop: Workshop) -> tuple[Signal, ...]:
    lines: Sequence[str] = stored.settings.get("changed") or ()
    # A process that still holds the old declaration must not answer for the new one.
    if not lines or shop.revision(stored) != stored.revision:
        return ()
    return (
        Signal(
            Kind.MANUAL, "Declaration", 3, 1.0, 0.0, "declaration changed", evidence={"changed": list(lines)}
        ),
    )


def record(
    conn: Connection, loop: Loop, shop: Workshop, decision: Decision, stored: StoredLoop, *, may_act: bool
) -> Decision:
    """Store the decision and, when it orders a retraining that may happen, its run: one transaction."""
    advise = loop.act is Act.ADVISE and decision.rule != "Person"
    starts = decision.action is Action.RETRAIN and may_act and not advise
    if starts:
        run = ordered_run(decision, shop.revision(stored))
        runs.add(conn, run)
        decision = replace(decision, run=run.id)
        loops.set_settings(conn, loop.name, {"changed": []})  # the run answers the change
    decision = decisions.add(conn, decision)
    if decision.run is not None:
        runs.set_decision(conn, decision.run, decision.id)
    payload = {"id": decision.id, "action": decision.action.value, "rule": decision.rule, "reason": decision.reason,
               "batch": decision.batch, "run": decision.run}  # fmt: skip
    outbox.add(conn, "decision", loop.name, payload, shop.clock.now())
    return decision


def _refusal(conn: Connection, loop: Loop) -> Decision | None:
    """While a run is open nothing else starts."""
    standing = runs.open_run(conn, loop.name)
    if standing is None:
        return None
    approval = standing.state is RunState.AWAITING_APPROVAL
    word = "approval open" if approval else "a run is open"
    ends = f"`rekindle approve {standing.id}` or `rekindle reject {standing.id}`" if approval else "its end"
    return Decision(Action.WAIT, "OpenRun", f"{word}: {standing.id}", {"run": standing.id}, would_change=ends)


def _escalated(decision: Decision, failure: str) -> Decision:
    """The champion cannot answer: a person must look, whatever the policy would wait for."""
    change = "rows it can take, or a trainer that takes these (an imputer in its pipeline)"
    return replace(
        decision, action=Action.ESCALATE, rule="ChampionFailed", reason=failure, would_change=change
    )


def _without_rows(conn: Connection, loop: Loop, seen: Observed) -> Decision | None:
    if seen.stored.rows:
        return None
    seq = seen.stored.span.seq
    silent = 1
    while silent < SILENT and (before := batches.find(conn, loop.name, seq - silent)) and not before.rows:
        silent += 1
    if silent >= SILENT:
        reason = f"the source has been silent for {SILENT} batches; look whether it still delivers"
        return Decision(
            Action.ESCALATE, "SilentSource", reason, {"empty_batches": silent}, would_change="new rows"
        )
    return Decision(Action.WAIT, "NoRows", "no rows", would_change="new rows")


def _last_on(conn: Connection, loop: Loop, seq: int) -> Decision | None:
    """The newest decision, if it was taken on this batch."""
    last = decisions.newest(conn, loop.name, limit=1)
    return last[0] if last and last[0].batch == seq else None


def _view(
    loop: Loop, shop: Workshop, conn: Connection, stored: StoredLoop, seq: int, signals: tuple[Signal, ...]
) -> View:
    held = versions.alias(conn, loop.name)
    champion: Version | None = None if held is None else versions.get(conn, loop.name, held.version)
    trained = -1 if champion is None else champion.batch
    last_run = runs.last_finished(conn, loop.name)
    survived = runs.last_finished(
        conn, loop.name, died=False
    )  # a run that died does not block its repetition
    arrived = batches.since(conn, loop.name, trained)
    typical = [b.rows for b in arrived[-10:] if b.rows] or [1]
    price = loop.price
    return View(
        batch=seq,
        champion=0 if champion is None else champion.number,
        trained=trained,
        tried=max(trained, -1 if last_run is None else last_run.batch),
        # Back to the champion's first batches, however long it serves: they are what it is measured against.
        losses=batches.losses(conn, loop.name, max(0, min(seq - RECENT, trained + 1))),
        signals=signals,
        price=None if price is None else price.in_loss(sum(typical) / len(typical), _cpu_hours(last_run)),
        now=shop.clock.now(),
        rows=sum(b.rows for b in arrived),
        labelled=sum(b.labelled for b in arrived),
        finished_at=None if survived is None else survived.finished_at,
        first=int(stored.settings.get("first", 0)),
    )


def _cpu_hours(last: Run | None) -> float:
    """CPU time of the last training: what the next one will take, as far as is known."""
    return float((last.metadata.get("cpu_seconds") if last else None) or 0.0) / 3600


def _settle(
    decision: Decision, loop: Loop, shop: Workshop, seq: int, signals: tuple[Signal, ...]
) -> Decision:
    return replace(decision, loop=loop.name, batch=seq, at=shop.clock.now(), signals=signals)

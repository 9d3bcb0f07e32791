"""Notice and decide: one tick. Live and backtest share it.

Each complete batch since the last tick is read, checked, scored under the champion and its predecessor with the
labels known now, shown to the triggers, and decided upon. One decision is stored for each; only the newest may
start a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rekindle.data.contract import Contract
from rekindle.data.labels import known_at, known_rows
from rekindle.data.periods import cadence_of, every_text, present, refuse_leap
from rekindle.data.quarantine import put_aside
from rekindle.errors import NotEnoughData
from rekindle.observing import Observed, Scorer, blaming, champion_record
from rekindle.policy.deciding import decide, ordered_run
from rekindle.records import Act, Action, Decision, Kind, RunState, Signal, Span, View, Window
from rekindle.stats.losses import CappedError
from rekindle.store import batches, decisions, loops, outbox, runs, triggers, versions
from rekindle.triggers.watch import Watch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.data.cadence import Cadence
    from rekindle.loop import Loop
    from rekindle.records import Moment, Run, Version
    from rekindle.store.loops import StoredLoop
    from rekindle.workshop import Workshop

__all__ = ["manual_decision", "observe", "standing", "tick"]

AT_ONCE = 30  # batches read together after a pause
LATE = 10  # batches that are scored again when their labels arrive late
RECENT = 200  # batches whose losses a policy sees at least
SILENT = 3  # empty periods in a row after which a source counts as silent


def tick(loop: Loop, shop: Workshop) -> list[Decision]:
    """Bring one loop up to date; the decisions taken, oldest first. Empty when no batch is complete.

    Raises SourceError or SchemaError when the rows cannot be read; nothing is lost, the next tick starts there.
    """
    return _catch_up(loop, shop, decides=True)


def observe(loop: Loop, shop: Workshop) -> None:
    """Score the batches that are due without deciding anything: the end of a replayed stream."""
    _catch_up(loop, shop, decides=False)


def manual_decision(loop: Loop, shop: Workshop, signal: Signal) -> Decision:
    """Decide on a person's wish now, on the newest complete batch."""
    stored, cadence, now = standing(loop, shop)
    newest = cadence.newest_complete(now)
    if newest < 0:
        raise NotEnoughData("no batch is complete yet; there is nothing to train on")
    with shop.store.begin() as conn:
        return _decide_now(conn, loop, shop, stored, newest, (signal,))


def _catch_up(loop: Loop, shop: Workshop, decides: bool) -> list[Decision]:
    stored, cadence, now = standing(loop, shop)
    newest = cadence.newest_complete(now)
    champion = shop.registry.champion(loop.name)
    if newest < 0:
        return []
    if champion is None:
        return _first(loop, shop, stored, newest) if decides else []
    with shop.store.read() as conn:
        last = batches.last(conn, loop.name)
    seq = max(int(stored.settings.get("first", 0)), 0 if last is None else last.span.seq + 1)
    if seq > newest:
        _rescore_late(loop, shop, stored, cadence, now)
        return _answer_change(loop, shop, stored, newest) if decides else []
    refuse_leap(seq, newest)
    taken: list[Decision] = []
    while seq <= newest:
        spans = [cadence.span(k) for k in range(seq, min(newest + 1, seq + AT_ONCE))]
        observed, decided = _observe_spans(loop, shop, stored, cadence, now, spans, newest, decides)
        seq, taken = seq + observed, taken + decided
    return taken


def standing(loop: Loop, shop: Workshop) -> tuple[StoredLoop, Cadence, Moment]:
    """The loop as stored, its batches, and the present; the first look at the source fixes all three."""
    with shop.store.read() as conn:
        stored = loops.get(conn, loop.name)
    extent = loop.source.extent()
    cadence = cadence_of(loop.every, stored.every, stored.origin, extent)
    if stored.origin is None:
        rows = loop.source.read(
            Window(None, cadence.span(max(cadence.newest_complete(present(extent, shop.clock)), 0)).end)
        )
        stored = _learn(loop, shop, known_rows(rows, loop.source, present(extent, shop.clock)), cadence)
    return stored, cadence, present(extent, shop.clock)


def _learn(loop: Loop, shop: Workshop, rows: pd.DataFrame, cadence: Cadence) -> StoredLoop:
    contract = Contract.learn(rows, loop.source, task=loop.task, features=loop.features)
    with shop.store.begin() as conn:
        loops.set_origin(conn, loop.name, cadence.span(0).start)
        loops.set_task(conn, loop.name, contract.task)
        every = loop.every if loop.every is not None else getattr(cadence, "length", None)
        loops.set_every(conn, loop.name, every_text(every))  # type: ignore[arg-type]
        learnt = {"contract": contract.to_json(), "loss_scale": _loss_scale(contract, rows)}
        loops.set_settings(conn, loop.name, learnt)
        return loops.get(conn, loop.name)


def _loss_scale(contract: Contract, rows: pd.DataFrame) -> float | None:
    if contract.task != "regression":
        return None
    target = pd.to_numeric(rows[contract.label], errors="coerce").to_numpy(dtype=float)
    return CappedError.from_target(target[np.isfinite(target)]).scale


def _first(loop: Loop, shop: Workshop, stored: StoredLoop, newest: int) -> list[Decision]:
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
        tried = last is not None and last.run is not None and not _changed(stored, shop)
        if said or tried:
            return []  # on this history already; the next batch brings a new try
        settled = _settle(decision, loop, shop, newest, ())
        return [_record(conn, loop, shop, settled, stored, may_act=loop.act is not Act.ADVISE)]


def _observe_spans(
    loop: Loop, shop: Workshop, stored: StoredLoop, cadence: Cadence, now: Moment, spans: list[Span], newest: int,
    decides: bool,
) -> tuple[int, list[Decision]]:  # fmt: skip
    """How many spans were observed (fewer when the champion changes meanwhile), and what was decided."""
    with shop.store.read() as conn:
        late = [b for b in batches.open_batches(conn, loop.name, LATE) if b.span.seq < spans[0].seq]
        states = triggers.load_states(conn, loop.name)
    start = min([spans[0].start, *(b.span.start for b in late)])
    rows = loop.source.read(Window(start, spans[-1].end))
    numbers = cadence.numbers(rows[loop.source.time])
    scorer = Scorer.of(loop, shop, stored)
    scorer.rescore(late, rows, numbers, now)
    watch = Watch(loop.triggers, states, lambda: champion_record(loop, shop))
    taken: list[Decision] = []
    for done, span in enumerate(spans):
        seen = _observe_one(loop, shop, scorer, rows[numbers == span.seq], span, now)
        with blaming("triggers", loop.triggers):
            signals = () if seen.batch is None else watch.observe(seen.batch)
        signals = (*_changed(stored, shop), *signals) if span.seq == newest else signals
        with shop.store.begin() as conn:
            if not scorer.serves(
                conn
            ):  # somebody rolled back beside us: begin again with the one that serves
                return done, taken
            batches.add(conn, seen.stored)
            scorer.keep(conn, seen)
            triggers.save_states(conn, loop.name, watch.states(), shop.clock.now())
            if decides:
                decision = _decide_batch(loop, shop, conn, stored, seen, signals, span.seq == newest)
                taken.append(_record(conn, loop, shop, decision, stored, may_act=span.seq == newest))
    return len(spans), taken


def _observe_one(
    loop: Loop, shop: Workshop, scorer: Scorer, rows: pd.DataFrame, span: Span, now: Moment
) -> Observed:
    contract = scorer.contract
    checked = contract.check(rows, loop.source)
    if len(checked.quarantined):
        put_aside(checked.quarantined, shop.quarantine(loop.name), f"batch-{span.seq}")
    return scorer.score(checked, span, known_at(checked.rows, loop.source, now))


def _rescore_late(loop: Loop, shop: Workshop, stored: StoredLoop, cadence: Cadence, now: Moment) -> None:
    """No new batch, but labels of older ones may have arrived."""
    with shop.store.read() as conn:
        late = batches.open_batches(conn, loop.name, LATE)
    if late:
        rows = loop.source.read(Window(min(b.span.start for b in late), max(b.span.end for b in late)))
        scorer = Scorer.of(loop, shop, stored)
        scorer.rescore(late, rows, cadence.numbers(rows[loop.source.time]), now)


def _decide_batch(
    loop: Loop, shop: Workshop, conn: Connection, stored: StoredLoop, seen: Observed, signals: tuple[Signal, ...],
    is_newest: bool,
) -> Decision:  # fmt: skip
    seq = seen.stored.span.seq
    wished = any(s.kind is Kind.MANUAL for s in signals)
    decision = (None if wished else _without_rows(conn, loop, seen)) or _refusal(conn, loop)
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


def _escalated(decision: Decision, failure: str) -> Decision:
    """The champion cannot answer: a person must look, whatever the policy would wait for."""
    change = "rows it can take, or a trainer that takes these (an imputer in its pipeline)"
    return replace(decision, action=Action.ESCALATE, rule="ChampionFailed", reason=failure, would_change=change)


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


def _refusal(conn: Connection, loop: Loop) -> Decision | None:
    """While a run is open nothing else starts."""
    standing = runs.open_run(conn, loop.name)
    if standing is None:
        return None
    approval = standing.state is RunState.AWAITING_APPROVAL
    word = "approval open" if approval else "a run is open"
    ends = f"`rekindle approve {standing.id}` or `rekindle reject {standing.id}`" if approval else "its end"
    return Decision(Action.WAIT, "OpenRun", f"{word}: {standing.id}", {"run": standing.id}, would_change=ends)


def _last_on(conn: Connection, loop: Loop, seq: int) -> Decision | None:
    """The newest decision, if it was taken on this batch."""
    last = decisions.newest(conn, loop.name, limit=1)
    return last[0] if last and last[0].batch == seq else None


def _decide_now(
    conn: Connection, loop: Loop, shop: Workshop, stored: StoredLoop, seq: int, signals: tuple[Signal, ...]
) -> Decision:
    """A person's or a changed declaration's wish, on the newest complete batch."""
    view = _view(loop, shop, conn, stored, seq, signals)
    decision = _refusal(conn, loop) or decide(loop.policy, (), view)
    return _record(conn, loop, shop, _settle(decision, loop, shop, seq, signals), stored, may_act=True)


def _answer_change(loop: Loop, shop: Workshop, stored: StoredLoop, newest: int) -> list[Decision]:
    """A changed declaration is answered at once, not with the next batch."""
    signals = _changed(stored, shop)
    if not signals or stored.paused:
        return []
    with shop.store.begin() as conn:
        last = _last_on(conn, loop, newest)
        advised = last is not None and last.rule == signals[0].trigger and last.run is None
        if advised or _refusal(conn, loop) is not None:
            return []
        return [_decide_now(conn, loop, shop, stored, newest, signals)]


def _changed(stored: StoredLoop, shop: Workshop) -> tuple[Signal, ...]:
    lines: Sequence[str] = stored.settings.get("changed") or ()
    # A process that still holds the old declaration must not answer for the new one.
    if not lines or shop.revision(stored) != stored.revision:
        return ()
    return (
        Signal(
            Kind.MANUAL, "Declaration", 3, 1.0, 0.0, "declaration changed", evidence={"changed": list(lines)}
        ),
    )


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


def _record(
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

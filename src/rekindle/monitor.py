"""Notice and decide: one tick. Live and backtest share it.

Each complete batch since the last tick is read, checked, scored under the champion and its predecessor with the
labels known now, shown to the triggers, and decided upon. One decision is stored for each; only the newest may
start a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rekindle.data.contract import Contract
from rekindle.data.labels import known_at, known_rows
from rekindle.data.periods import cadence_of, every_text, present, refuse_leap
from rekindle.data.quarantine import put_aside
from rekindle.errors import NotEnoughData
from rekindle.observing import Observed, Scorer, blaming, champion_record
from rekindle.ordering import answer_change, changed, decide_batch, decide_first, decide_now, record
from rekindle.records import Batch, Decision, Signal, Span, Window
from rekindle.stats.losses import CappedError
from rekindle.store import batches, loops, triggers
from rekindle.triggers.watch import Watch

if TYPE_CHECKING:
    from rekindle.data.cadence import Cadence
    from rekindle.loop import Loop
    from rekindle.records import Moment
    from rekindle.store.loops import StoredLoop
    from rekindle.workshop import Workshop

__all__ = ["manual_decision", "observe", "standing", "tick"]

AT_ONCE = 30  # batches read together after a pause
LATE = 120  # batches that are scored again when their labels or rows arrive late


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
        return decide_now(conn, loop, shop, stored, newest, (signal,))


def _catch_up(loop: Loop, shop: Workshop, decides: bool) -> list[Decision]:
    stored, cadence, now = standing(loop, shop)
    newest = cadence.newest_complete(now)
    champion = shop.registry.champion(loop.name)
    if newest < 0:
        return []
    if champion is None:
        return decide_first(loop, shop, stored, newest) if decides else []
    with shop.store.read() as conn:
        last = batches.last(conn, loop.name)
    seq = max(int(stored.settings.get("first", 0)), 0 if last is None else last.span.seq + 1)
    if seq > newest:
        _rescore_late(loop, shop, stored, cadence, now)
        return answer_change(loop, shop, stored, newest) if decides else []
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


def _observe_spans(
    loop: Loop, shop: Workshop, stored: StoredLoop, cadence: Cadence, now: Moment, spans: list[Span], newest: int,
    decides: bool,
) -> tuple[int, list[Decision]]:  # fmt: skip
    """How many spans were observed (fewer when the champion changes meanwhile), and what was decided."""
    scorer = Scorer.of(loop, shop, stored)
    with shop.store.read() as conn:
        waiting = batches.open_batches(conn, loop.name, LATE, scorer.oldest_batch)
        late = [b for b in waiting if b.span.seq < spans[0].seq]
        states = triggers.load_states(conn, loop.name)
    start = min([spans[0].start, *(b.span.start for b in late)])
    rows = loop.source.read(Window(start, spans[-1].end))
    numbers = cadence.numbers(rows[loop.source.time])
    watch = Watch(loop.triggers, states, lambda: champion_record(loop, shop))
    arrived = scorer.rescore(late, rows, numbers, now)
    _show_labels(loop, watch, arrived)
    taken: list[Decision] = []
    for done, span in enumerate(spans):
        seen = _observe_one(loop, shop, scorer, rows[numbers == span.seq], span, now)
        with blaming("triggers", loop.triggers):
            signals = () if seen.batch is None else watch.observe(seen.batch)
        signals = (*changed(stored, shop), *signals) if span.seq == newest else signals
        with shop.store.begin() as conn:
            if not scorer.serves(
                conn
            ):  # somebody rolled back beside us: begin again with the one that serves
                return done, taken
            batches.add(conn, seen.stored)
            scorer.keep(conn, seen)
            triggers.save_states(conn, loop.name, watch.states(), shop.clock.now())
            if decides:
                news = bool(arrived)
                decision = decide_batch(loop, shop, conn, stored, seen, signals, span.seq == newest, news)
                taken.append(record(conn, loop, shop, decision, stored, may_act=span.seq == newest))
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
    scorer = Scorer.of(loop, shop, stored)
    with shop.store.read() as conn:
        late = batches.open_batches(conn, loop.name, LATE, scorer.oldest_batch)
        states = triggers.load_states(conn, loop.name)
    if not late:
        return
    rows = loop.source.read(Window(min(b.span.start for b in late), max(b.span.end for b in late)))
    arrived = scorer.rescore(late, rows, cadence.numbers(rows[loop.source.time]), now)
    if arrived:
        watch = Watch(loop.triggers, states, lambda: champion_record(loop, shop))
        _show_labels(loop, watch, arrived)
        with shop.store.begin() as conn:
            triggers.save_states(conn, loop.name, watch.states(), shop.clock.now())


def _show_labels(loop: Loop, watch: Watch, relabelled: Sequence[Batch]) -> None:
    with blaming("triggers", loop.triggers):
        for batch in relabelled:
            watch.relabel(batch)

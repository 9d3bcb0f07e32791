"""How a loop stands: check, status, the next batch, and listings as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rekindle.app.reports import CheckReport
from rekindle.data.cadence import Edges
from rekindle.data.periods import cadence_of, present
from rekindle.data.snapshot import thaw
from rekindle.declaration import differences
from rekindle.errors import NotEnoughData, RekindleError
from rekindle.loop import DEFAULT_PRICE
from rekindle.models.registry import Registry
from rekindle.observing import champion_record
from rekindle.records import Act, RunState
from rekindle.store import batches, decisions, loops, runs, triggers, versions
from rekindle.triggers.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from sqlalchemy import Connection

    from rekindle.loop import Loop
    from rekindle.records import Decision, Run, Version
    from rekindle.store import Store
    from rekindle.store.rehearsal import Rehearsal
    from rekindle.workshop import Workshop

__all__ = [
    "as_frame",
    "changed",
    "check_report",
    "due_at",
    "next_batch",
    "rehearsal_shop",
    "rereference",
    "status_of",
    "versions_frame",
]


def rehearsal_shop(shop: Workshop, rehearsal: Store | Rehearsal, aside: Path) -> Workshop:
    """The same surroundings, with a store in which nothing stays and a folder that goes."""
    registry = Registry(rehearsal, shop.registry.folder)  # type: ignore[arg-type]
    return replace(shop, store=rehearsal, registry=registry, folder=aside)  # type: ignore[arg-type]


def changed(shop: Workshop, name: str) -> list[str]:
    """What is new in the declaration since the last run; without one, what would make another model."""
    with shop.store.read() as conn:
        stored = loops.get(conn, name)
        known = {r.id: r.declaration for r in loops.revisions(conn, name)}
        last = runs.newest(conn, name, limit=1)
    if not last:
        return list(stored.settings.get("changed", []))
    return differences(known.get(last[0].revision, {}), known[stored.revision])


def check_report(
    loop: Loop, shop: Workshop, taken: Sequence[Decision], changed: Sequence[str]
) -> CheckReport:
    """What `check` says, out of the decisions taken in rehearsal."""
    decision = replace(taken[-1], run=None) if taken else None
    if decision is None:
        with shop.store.read() as conn:
            last = decisions.newest(conn, loop.name, limit=1)
        decision = last[0] if last else None
    return CheckReport(
        loop.name, decision, len(taken), tuple(changed), _notes(loop, shop), next_batch(loop, shop)
    )


def _notes(loop: Loop, shop: Workshop) -> tuple[str, ...]:
    notes = []
    if loop.price is DEFAULT_PRICE:
        notes.append(
            "no price was stated: one retraining counts as 2 points of one batch's loss (rk.Price.ratio(0.02))"
        )
    left_out = getattr(loop.source, "left_out", ())
    if left_out:
        notes.append(f"left out of the features: {', '.join(left_out)}")
    extent = loop.source.extent()
    if isinstance(extent.last, datetime) and getattr(loop.source, "tz", None) is None:
        notes.append("times without a zone are read as UTC; declare tz= if they are not")
    if isinstance(extent.last, datetime) and extent.last > shop.clock.now():
        notes.append(
            f"the newest row is of {extent.last:%Y-%m-%d %H:%M}, later than now; it waits until its time comes"
        )
    return tuple(notes)


def next_batch(loop: Loop, shop: Workshop) -> str:
    """When the next batch is complete, in words."""
    with shop.store.read() as conn:
        stored = loops.get(conn, loop.name)
    try:
        extent = loop.source.extent()
        cadence = cadence_of(loop.every, stored.every, stored.origin, extent)
    except (RekindleError, NotEnoughData) as error:
        return str(error)
    newest = cadence.newest_complete(present(extent, shop.clock))
    if isinstance(cadence, Edges) and newest + 1 >= len(cadence):
        return "the stream ends here"
    end = cadence.span(newest + 1).end
    when = f"{end:%Y-%m-%d %H:%M} UTC" if isinstance(end, datetime) else f"index {end - 1} is there"
    return (
        f"batch {newest + 1} is complete when {when}"
        if isinstance(end, int)
        else f"batch {newest + 1} ends {when}"
    )


def due_at(loop: Loop, shop: Workshop) -> datetime | None:
    """When the next batch is complete; None when only the source can tell (an index, or no rows yet)."""
    with shop.store.read() as conn:
        stored = loops.get(conn, loop.name)
    if stored.origin is None or not isinstance(stored.origin, datetime):
        return None
    cadence = cadence_of(loop.every, stored.every, stored.origin, loop.source.extent())
    newest = cadence.newest_complete(shop.clock.now())
    if isinstance(cadence, Edges) and newest + 1 >= len(cadence):
        return None
    end = cadence.span(newest + 1).end
    return end if isinstance(end, datetime) else None


def status_of(loop: Loop, shop: Workshop) -> dict[str, Any]:
    """How one loop stands, as plain JSON."""
    with shop.store.read() as conn:
        stored = loops.get(conn, loop.name)
        alias = versions.alias(conn, loop.name)
        champion = None if alias is None else versions.get(conn, loop.name, alias.version)
        last = decisions.newest(conn, loop.name, limit=1)
        newest = batches.last(conn, loop.name)
        newest_run = next(iter(runs.newest(conn, loop.name, limit=1)), None)
        losses = batches.losses(conn, loop.name)
        saving = decisions.saved_if_acted(conn, loop.name) if loop.act is Act.ADVISE else None
    open_run = None if newest_run is None or newest_run.state.final else newest_run
    own = {} if champion is None else losses.get(champion.number, {})
    told: dict[str, Any] = {
        "loop": loop.name,
        "health": "paused" if stored.paused else _health(champion, last, newest_run),
        "paused": stored.paused,
        "act": loop.act.value,
        "champion": None if champion is None else champion.label,
        "champion_since": None if alias is None else alias.since.isoformat(),
        "age_batches": None if champion is None or newest is None else newest.span.seq - champion.batch,
        "newest_loss": own[max(own)] if own else None,
        "last_decision": None if not last else f"{last[0].action.value}: {last[0].reason}",
        "open_run": None if open_run is None else f"{open_run.id} ({open_run.state.value})",
        "next": next_batch(loop, shop),
    }
    if saving is not None:
        told["estimated_saving_not_acted_on"] = saving
    return told


def _health(champion: Version | None, last: Sequence[Decision], run: Run | None) -> str:
    if run is not None and run.state is RunState.AWAITING_APPROVAL:
        return "waits for approval"
    if run is not None and run.state is RunState.ERROR:
        return "last run failed"
    if champion is None:
        return "no champion"
    if not last:
        return "never evaluated"
    return "escalated" if last[0].action.value == "escalate" else "ok"


def rereference(conn: Connection, loop: Loop, shop: Workshop, version: Version) -> None:
    """Point triggers and contract at a version that became champion outside a run, in the caller's transaction."""
    record = champion_record(loop, shop, version)
    watch = Watch(loop.triggers, {}, lambda: record)
    triggers.save_states(conn, loop.name, watch.states(), shop.clock.now())
    if "snapshot" in version.metadata:  # its successor may have been trained on other columns
        contract = thaw(version.metadata["snapshot"])[1]["contract"]
        loops.set_settings(conn, loop.name, {"contract": contract})


def as_frame(records: Sequence[Any]) -> pd.DataFrame:
    """Records as a table, one row each."""
    import pandas as pd

    rows = [{f: _cell(getattr(r, f)) for f in type(r).__dataclass_fields__} for r in records]
    return pd.DataFrame(rows)


def versions_frame(conn: Connection, listed: Sequence[Version]) -> pd.DataFrame:
    """Versions with the alias they bear."""
    table = as_frame(listed)
    if table.empty:
        return table
    borne = {(v.loop, a.version): a.alias for v in listed for a in versions.aliases(conn, v.loop).values()}
    table.insert(3, "alias", [borne.get((v.loop, v.number), "") for v in listed])
    return table


def _cell(value: Any) -> Any:
    return value.value if hasattr(value, "value") and hasattr(value, "name") else value

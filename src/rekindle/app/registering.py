"""Telling the store which loops there are, and noticing that a declaration changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rekindle.data.periods import every_text
from rekindle.declaration import differences, fingerprint, head_field
from rekindle.store import loops
from rekindle.store.loops import Revision

if TYPE_CHECKING:
    from rekindle.app.loading import LoopsFile
    from rekindle.clock import Clock
    from rekindle.loop import Loop
    from rekindle.store import Store

__all__ = ["Registered", "register"]

# A change of these makes another model: it raises a `manual` signal "declaration changed".
MAKES_ANOTHER_MODEL = ("trainer", "features", "source")


@dataclass(frozen=True, slots=True)
class Registered:
    """What registering found."""

    revisions: Mapping[str, str]  # loop -> revision of the declaration at hand
    changes: Mapping[str, list[str]]  # loop -> what is new in it, where something is


def register(store: Store, declared: LoopsFile, clock: Clock) -> Registered:
    """Store new and changed declarations."""
    with store.read() as conn:
        held = {loop.name: loop.revision for loop in loops.newest(conn)}
    changes: dict[str, list[str]] = {}
    told = [(loop, loop.declaration()) for loop in declared.loops]
    marked = [(loop, said, fingerprint(said, declared.text)) for loop, said in told]
    revisions = {loop.name: revision for loop, _, revision in marked}
    fresh = [(loop, said, revision) for loop, said, revision in marked if held.get(loop.name) != revision]
    if not fresh:
        return Registered(revisions, changes)
    with store.begin() as conn:
        for loop, said, revision in fresh:
            before = next((r for r in loops.revisions(conn, loop.name) if r.id == held.get(loop.name)), None)
            loops.register(
                conn,
                Revision(
                    revision,
                    loop.name,
                    said,
                    declared.text,
                    declared.git_commit,
                    declared.git_dirty,
                    clock.now(),
                ),
                file=declared.path,
                every=_every(loop, held),
                task=loop.task,
                metric=None if loop.metric is None else loop.metric.name,
            )
            if before is not None:
                changes[loop.name] = differences(before.declaration, said)
                _note_change(conn, loop.name, changes[loop.name])
    return Registered(revisions, changes)


def _every(loop: Loop, held: dict[str, str]) -> str | None:
    """A known loop keeps the cadence its batches are numbered by."""
    return None if loop.every is None or loop.name in held else every_text(loop.every)


def _note_change(conn: object, name: str, lines: list[str]) -> None:
    weighty = [line for line in lines if head_field(line) in MAKES_ANOTHER_MODEL]
    if weighty:
        loops.set_settings(conn, name, {"changed": weighty})  # type: ignore[arg-type]

"""Small loops for the tests of this folder: sources that grow, policies that obey, gates that let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.app.home import Home
from rekindle.data.source import Frame
from rekindle.records import Action, Decision, Extent, Run, View, Window
from rekindle.store import batches, decisions, outbox, runs, steps, versions
from rekindle.validation.gates import Open

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FEATURES = ["x0", "x1"]


class Growing:
    """A source whose rows a test changes: rows before `until` are there, later ones not yet."""

    def __init__(self, rows: pd.DataFrame, until: Any = None, **columns: Any) -> None:
        self.until, self._columns = until, {"time": "t", "label": "label", **columns}
        self.replace(rows)

    def replace(self, rows: pd.DataFrame) -> None:
        """Other rows from now on."""
        self._all = Frame(rows, **self._columns)
        self.time, self.label = self._all.time, self._all.label
        self.label_time, self.id, self.reserved = self._all.label_time, self._all.id, self._all.reserved

    def extent(self) -> Extent:
        rows = self.read(Window(None, None))[self.time]
        if rows.empty:
            return Extent(None, None, 0)
        first, last = rows.iloc[0], rows.iloc[-1]
        if self._all.rows[self.time].dtype.kind == "M":
            return Extent(first.to_pydatetime(), last.to_pydatetime(), len(rows))
        return Extent(int(first), int(last), len(rows))

    def read(self, window: Window) -> pd.DataFrame:
        ends = [end for end in (window.end, self.until) if end is not None]
        return self._all.read(Window(window.start, min(ends, default=None)))

    def describe(self) -> dict[str, Any]:
        return self._columns


@dataclass
class AtBatches:
    """Retrains after the named batches and at no other."""

    batches: tuple[int, ...] = ()
    seen: list[Run] = field(default_factory=list, repr=False, compare=False)

    def decide(self, view: View) -> Decision:
        if view.batch in self.batches:
            return Decision(Action.RETRAIN, "AtBatches", f"batch {view.batch} is named")
        return Decision(Action.WAIT, "AtBatches", "not named", would_change="its number")

    def observe(self, outcome: Run) -> None:
        self.seen.append(outcome)


def toy_loop(rows: pd.DataFrame, *, until: Any = None, name: str = "toy", **fields: Any) -> rk.Loop:
    """A loop on a growing source: two features, a logistic regression, every gate open, no guard."""
    columns = {c: fields.pop(c) for c in ("label_time", "id") if c in fields}
    every = 100 if rows["t"].dtype.kind == "i" else "1d"
    given: dict[str, Any] = {"source": Growing(rows, until, **columns), "every": every,
             "trainer": rk.Estimator(LogisticRegression()), "policy": AtBatches(), "guards": [], "gates": [Open()],
             "triggers": [], "features": FEATURES}  # fmt: skip
    return rk.Loop(name, **{**given, **fields})


def told(home: Home, name: str = "toy") -> list[Decision]:
    """Every decision the home keeps of a loop, oldest first."""
    with home.store.read() as conn:
        return decisions.newest(conn, name, limit=1000)[::-1]


def scored(home: Home, name: str = "toy") -> dict[int, dict[int, float]]:
    """Version -> batch -> mean loss."""
    with home.store.read() as conn:
        return batches.losses(conn, name)


def counted(home: Home, name: str = "toy") -> dict[int, tuple[int, int]]:
    """Batch -> rows, labelled rows."""
    with home.store.read() as conn:
        return {b.span.seq: (b.rows, b.labelled) for b in batches.since(conn, name, -1)}


def ran(home: Home, name: str = "toy") -> list[Run]:
    """Every run of a loop, oldest first."""
    with home.store.read() as conn:
        return runs.newest(conn, name, limit=1000)[::-1]


def stepped(home: Home, run: str) -> dict[str, tuple[str, int]]:
    """Step -> state, attempts."""
    with home.store.read() as conn:
        return {s.name: (s.state, s.attempt) for s in steps.steps(conn, run)}


def registered(home: Home, name: str = "toy") -> list[str]:
    """Labels of all versions, oldest first."""
    with home.store.read() as conn:
        return [v.label for v in versions.newest(conn, name, limit=1000)][::-1]


def champion(home: Home, name: str = "toy") -> str | None:
    """The label of the version that serves."""
    held = home.registry.champion(name)
    return None if held is None else held.label


def heard(home: Home) -> list[str]:
    """Kinds of the events told so far, through a subscriber that `listen` put there."""
    kinds: list[str] = []
    home.bus.subscribe(lambda event: kinds.append(event.kind))
    return kinds


def waiting_events(home: Home) -> list[str]:
    """Kinds of the events that were not told yet."""
    with home.store.read() as conn:
        return [event.kind for event in outbox.pending(conn)]

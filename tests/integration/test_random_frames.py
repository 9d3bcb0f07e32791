"""Random rows through the tick: it decides or says in a sentence why not, and never forgets a batch."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from looptoys import Growing, champion, counted, told

import rekindle as rk
from rekindle.app.config import Settings
from rekindle.app.home import Home
from rekindle.app.loading import LoopsFile
from rekindle.clock import ManualClock
from rekindle.engine.nursery import Report
from rekindle.errors import RekindleError

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 20


class Here:
    """A nursery that trains in this very process: what happens between processes is tested elsewhere."""

    def run(self, function: Callable[..., Any], *args: Any, **rest: Any) -> Report:
        rest["folder"].mkdir(parents=True, exist_ok=True)
        for own in ("folder", "limits", "on_progress", "stop", "by_value"):
            rest.pop(own, None)
        return Report(function(*args, **rest), 0.0, 0.0, 0.0)

    def close(self) -> None: ...


@dataclass(frozen=True)
class Usual:
    """Predicts the commonest label, or the mean, whatever the features."""

    def fit(self, train: Any, valid: Any, previous: Any) -> Any:
        if train.task == "regression":
            return float(np.mean(train.label))
        values, counts = np.unique(train.label, return_counts=True)
        return values[counts.argmax()]

    def predict(self, model: Any, rows: pd.DataFrame) -> Any:
        assert len(rows.columns)
        return np.full(len(rows), model)

    def save(self, model: Any, folder: Path) -> None:
        np.save(folder / "model.npy", np.asarray(model), allow_pickle=False)

    def load(self, folder: Path) -> Any:
        return np.load(folder / "model.npy", allow_pickle=False)[()]


# what a column may hold

TIMES = {
    "index": st.integers(0, 199),
    "signed": st.integers(-50, 150),
    "far": st.one_of(st.integers(0, 99), st.integers(-(2**70), 2**70)),
    "floats": st.integers(0, 199).map(float),
    "fractions": st.floats(0, 199),
    "aware": st.integers(0, DAYS * 24 * 60).map(lambda m: MONDAY + timedelta(minutes=m)),
    "naive": st.integers(0, DAYS * 24).map(lambda h: (MONDAY + timedelta(hours=h)).replace(tzinfo=None)),
    "text": st.integers(0, DAYS * 24).map(lambda h: (MONDAY + timedelta(hours=h)).isoformat()),
    "mixed": st.sampled_from(["2026-03-02", "2026-03-03T10:00:00Z", MONDAY, None, "soon", 5]),
    "none": st.none(),
}
WORDS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["NULL", "nan", "'; DROP TABLE", "0", "1e5", "\x00", "🦆", "x" * 300]),
)
CELLS = {
    "floats": st.floats(),
    "small": st.integers(-3, 3),
    "huge": st.integers(-(10**30), 10**30),
    "bits": st.booleans(),
    "words": WORDS,
    "few words": st.sampled_from(["a", "b", "ä b", ""]),
    "bytes": st.binary(max_size=3),
    "dates": st.integers(0, 9).map(lambda d: MONDAY + timedelta(days=d)),
    "lists": st.lists(st.integers(0, 3), max_size=2),
    "anything": st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), WORDS, st.binary(max_size=2)),
    "none": st.none(),
}
LABELS = {
    **{k: CELLS[k] for k in ("floats", "small", "bits", "few words", "words", "huge", "anything", "none")},
    "classes": st.sampled_from([0, 1]),
    "dirty classes": st.sampled_from([0, 1, 0, 1, 0, 1, "?", None, math.inf]),
}
NAMES = st.one_of(
    st.text(min_size=1, max_size=6),
    st.sampled_from(
        ["reason", "__batch__", "it's", 'a "b"', "x y", "index", "level_0", "label_time", "1", "X", "x", "Y"]
    ),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Up to 120 rows of a time, a label and up to 4 columns of anything, with holes."""
    rows = draw(st.one_of(st.integers(0, 30), st.integers(60, 120)))
    names = draw(st.lists(NAMES.filter(lambda n: n not in ("t", "y")), min_size=1, max_size=4, unique=True))
    usual = draw(st.sampled_from([["index"], ["aware"], sorted(TIMES)]))
    classes = draw(st.sampled_from([["classes"], sorted(LABELS)]))
    made = {
        "t": _column(draw, rows, {k: TIMES[k] for k in usual}, holes=0.05),
        "y": _column(draw, rows, {k: LABELS[k] for k in classes}, holes=0.2),
    }
    return pd.DataFrame({**made, **{name: _column(draw, rows, CELLS, holes=0.2) for name in names}})


def _column(draw: st.DrawFn, rows: int, kinds: dict[str, st.SearchStrategy[Any]], holes: float) -> pd.Series:
    kind = draw(st.sampled_from(sorted(kinds)))
    random = draw(st.randoms(use_true_random=False))
    pool = draw(st.lists(kinds[kind], min_size=1, max_size=12))
    share = holes * draw(st.sampled_from([0, 0, 1, 4]))
    if kind in ("index", "aware"):  # many distinct ones, so that batches come about
        step = timedelta(minutes=1) if kind == "aware" else 1
        pool = [value + k * step for value in pool for k in range(20)]
    cells = [None if random.random() < share else random.choice(pool) for _ in range(rows)]
    column = pd.Series(cells, dtype=object)
    return column.infer_objects() if draw(st.booleans()) else column


def home_at(folder: str, source: Any, clock: ManualClock, every: Any, policy: Any) -> Home:
    triggers = [rk.DataDrift(min_rows=5), rk.PerformanceDecay(), rk.Volume(20)]
    loop = rk.Loop("toy", source, Usual(), every=every, policy=policy, triggers=triggers)
    nursery: Any = Here()
    return Home(
        [LoopsFile("", "", (loop,), None, None)], Settings(home=Path(folder)), clock=clock, nursery=nursery
    )


def ticks(folder: str, table: pd.DataFrame, clock: ManualClock, every: Any, policy: Any) -> None:
    """One tick, and what must hold after it however it ended."""
    try:
        source = Growing(table, time="t", label="y")
        home = home_at(folder, source, clock, every, policy)
    except RekindleError as error:
        return said(error)
    with home:
        before = sorted(counted(home)), len(told(home)), champion(home)
        try:
            report = home.tick("toy")
        except RekindleError as error:
            said(error)
        else:
            assert report.run is None or report.run.state.final
            assert report.run is None or report.run.outcome != "ERROR" or said(report.run.cause) is None
        assert sorted(counted(home))[: len(before[0])] == before[0]
        assert len(told(home)) >= before[1]
        assert champion(home) is not None or before[2] is None
    return None


def said(error: RekindleError | str) -> None:
    """A sentence, not a trace."""
    text = str(error)
    assert text
    assert len(text) < 1500
    assert not re.match(r"[A-Z]\w+(Error|Exception|Warning): ", text), text


EVERY = st.sampled_from([None, None, None, 10, "1d", "7d"])  # None: what fits the axis
FEW = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=25, **FEW)
@given(frames(), EVERY, st.floats(0, 1))
def test_any_rows_end_in_decisions_or_a_sentence(table: pd.DataFrame, every: Any, share: float) -> None:
    clock = ManualClock(MONDAY + timedelta(days=DAYS // 2))
    with tempfile.TemporaryDirectory() as folder:
        ticks(folder, table.head(int(share * len(table))), clock, every, rk.Never())
        ticks(folder, table, clock, every, rk.Never())
        clock.advance(timedelta(days=DAYS))
        ticks(folder, table, clock, every, rk.Never())


@settings(max_examples=25, **FEW)
@given(frames(), st.floats(0.2, 0.8))
def test_strange_rows_after_a_good_history(later: pd.DataFrame, drift: float) -> None:
    """A champion of sound rows meets anything: other kinds in its own columns, strange labels, strange times."""
    rng = np.random.default_rng(0)
    good = pd.DataFrame(
        {"t": range(100), "y": rng.integers(0, 2, 100), "x": rng.normal(size=100), "w": list("ab") * 50}
    )
    names = [c for c in later.columns if c not in ("t", "y")]
    strange = later.rename(columns=dict(zip(names, ["x", "w", "more", "still more"], strict=False)))
    grown = pd.concat([good.astype(object), strange.astype(object)], ignore_index=True)
    clock = ManualClock(MONDAY)
    with tempfile.TemporaryDirectory() as folder:
        ticks(folder, good, clock, 10, rk.Never())
        ticks(folder, grown, clock, 10, rk.Never())
        ticks(folder, grown.infer_objects(), clock, 10, rk.Always())


@pytest.mark.slow
@settings(max_examples=8, **FEW)
@given(frames(), EVERY)
def test_any_rows_may_train_at_every_batch(table: pd.DataFrame, every: Any) -> None:
    clock = ManualClock(MONDAY + timedelta(days=3))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(4):
            ticks(folder, table, clock, every, rk.Always())
            clock.advance(timedelta(days=5))

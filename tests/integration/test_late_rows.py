"""Rows and labels that come long after their batch, and models that cannot answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looptoys import champion, counted, scored, toy_loop

import rekindle as rk
from rekindle.app.demo.play import _loop_name
from rekindle.app.home import Home
from rekindle.records import Batch, Champion, Span

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]


def test_labels_many_batches_late_are_scored(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(3800)
    rows["known"] = rows["t"] + 1500  # fifteen batches of 100
    loop = toy_loop(rows, label_time="known", until=2000)
    home = home_of(loop)
    home.tick("toy")
    for until in range(2100, 3801, 100):
        loop.source.until = until
        home.tick("toy")
    assert counted(home)[20] == (100, 100)
    assert sorted(scored(home)[1]) == [20, 21, 22, 23]  # labels of t <= 2,300 are known at 3,800


def test_rows_that_land_after_the_period_are_scored_and_do_not_escalate(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(1200)
    loop = toy_loop(rows, until=400, policy=rk.Every(2))
    home = home_of(loop)
    home.tick("toy")
    actions = []
    for until in range(500, 1200, 100):
        loop.source.until = until
        loop.source.replace(rows[rows["t"] < until - 100])  # the newest batch's file is not there yet
        actions += [d.action.value for d in home.tick("toy").decisions]
    assert "escalate" not in actions
    assert "retrain" in actions
    assert counted(home)[5] == (100, 100)


def test_a_champion_that_predicts_nan_escalates_and_the_loop_goes_on(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = stream_frame(900)
    loop = toy_loop(rows, until=400)
    home = home_of(loop)
    home.tick("toy")
    plain = type(loop.trainer).predict
    monkeypatch.setattr(type(loop.trainer), "predict", lambda *a: plain(*a) * np.nan)
    actions = []
    for until in (500, 600):
        loop.source.until = until
        actions += [d.action.value for d in home.tick("toy").decisions]
    assert actions == ["escalate", "escalate"]


def test_a_damaged_champion_can_be_replaced(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(900)
    loop = toy_loop(rows, until=400, gates=[rk.Floor(0.1)])
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 500
    home.tick("toy")
    with home.store.read() as conn:
        from rekindle.store import versions

        folder = Path(versions.get(conn, "toy", 1).folder)
    for part in (folder / "model").iterdir():
        part.write_bytes(part.read_bytes()[:-1] + b"x")
    report = home.retrain("toy", "the model file is damaged")
    assert report.outcome == "PROMOTED", report.run
    assert champion(home) == "v2"


def test_a_batch_labelled_in_parts_counts_once_in_the_baseline() -> None:
    decay = rk.PerformanceDecay(window=4, min_values=3)
    decay.reset(Champion(1, 0, pd.Timestamp("2026-01-01", tz="UTC"), "accuracy", True, None, None, 10, None))
    for value in (0.9, 0.8, 0.7):
        decay.relabel(_batch(1, value))
    assert decay.get_state()["baseline"] is None
    for seq in (2, 3):
        decay.observe(_batch(seq, 0.7))
    assert decay.get_state()["baseline"] == pytest.approx(0.7)


@pytest.mark.parametrize("stem", ["Sales (2024)", "_x", "été+hiver", "...", "a b"])
def test_any_file_name_makes_a_loop_name(stem: str) -> None:
    frame = pd.DataFrame({"t": [0, 1], "x": [0.0, 1.0], "y": [0, 1]})
    from sklearn.linear_model import LogisticRegression

    source: Any = rk.Frame(frame, time="t", label="y")
    assert rk.Loop(_loop_name(stem), source, rk.Estimator(LogisticRegression())).name


def _batch(seq: int, metric: float) -> Batch:
    empty = pd.DataFrame({"x": [0.0]})
    at = pd.Timestamp("2026-01-01", tz="UTC")
    return Batch(Span(seq, seq, seq + 1), at, 1, empty, np.zeros(1), np.zeros(1), np.zeros(1), metric)

"""Late labels are first-class time: what is scored, trained and judged knows only the labels of its moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looptoys import MONDAY, AtBatches, champion, counted, ran, scored, toy_loop

import rekindle as rk
from rekindle.app.home import Home
from rekindle.clock import ManualClock

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)  # 96 rows a day


def days(stream_frame: Rows, count: int, **more: Any) -> pd.DataFrame:
    return stream_frame(96 * count, start=MONDAY, step=QUARTER, **more)


def test_labels_with_a_later_label_time_score_their_batch_when_they_are_known(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = days(stream_frame, 12)
    rows["known"] = rows["t"] + timedelta(days=2, hours=1)
    clock = ManualClock(MONDAY + 6 * DAY)
    home = home_of(toy_loop(rows, label_time="known"), clock=clock)
    home.tick("toy")
    clock.advance(DAY)
    home.tick("toy")
    assert counted(home)[6] == (96, 0)
    assert scored(home) == {}
    clock.advance(2 * DAY)  # labels of day 6 are known up to 23:00
    home.tick("toy")
    assert counted(home)[6] == (96, 93)
    partly = scored(home)[1][6]
    clock.advance(timedelta(hours=1))
    assert home.tick("toy").decisions == ()  # no batch is due, yet labels have arrived
    assert counted(home)[6] == (96, 96)
    own = rows[rows["t"].between(MONDAY + 6 * DAY, MONDAY + 7 * DAY, inclusive="left")]
    wrong = home.champion("toy").predict(own) != own["label"].to_numpy()
    assert scored(home)[1][6] == pytest.approx(wrong.mean())
    assert partly == pytest.approx(wrong[:93].mean())


def test_labels_that_appear_later_rescore_their_batch(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(900)
    unlabelled = rows.assign(label=rows["label"].where(rows["t"] < 450))
    loop = toy_loop(unlabelled, until=400)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 600
    home.tick("toy")
    assert counted(home) == {4: (100, 50), 5: (100, 0)}
    assert sorted(scored(home)[1]) == [4]
    loop.source.replace(rows)
    home.tick("toy")
    assert counted(home) == {4: (100, 100), 5: (100, 100)}
    assert sorted(scored(home)[1]) == [4, 5]


def test_late_labels_of_rows_in_the_window_never_judge_the_new_champion(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(900)
    partly = rows.assign(label=rows["label"].where(rows["t"] < 480))  # most of batch 4
    loop = toy_loop(partly, until=400, policy=AtBatches((4,)))
    home = home_of(loop)
    for until in (400, 500):
        loop.source.until = until
        home.tick("toy")
    assert champion(home) == "v2"
    loop.source.replace(rows)
    home.tick("toy")
    assert counted(home)[4] == (100, 100)
    assert {v: sorted(per) for v, per in scored(home).items()} == {1: [4]}


@pytest.mark.parametrize("seed", range(3))
def test_wrong_labels_with_a_later_label_time_change_nothing(
    seed: int, home_of: HomeOf, stream_frame: Rows
) -> None:
    """Training, gates and scores see only labels known at the decision."""
    rng = np.random.default_rng(seed)
    rows = days(stream_frame, 12, seed=seed, drift=0.5)
    rows["known"] = rows["t"] + pd.to_timedelta(rng.integers(0, 4 * 24, len(rows)), unit="h")
    ends = [MONDAY + k * DAY for k in range(6, 11)]
    homes = []
    for name in ("true", "planted"):
        # At each decision the labels of the future are missing in one home, and wrong in the other.
        clock = ManualClock(ends[0])
        loop = toy_loop(rows, label_time="known", policy=rk.Always(), gates=[rk.NotWorse()])
        home = home_of(loop, home=name, clock=clock)
        for end in ends:
            clock.set(end)
            later = rows["known"] > end
            seen = (
                rows["label"].where(~later)
                if name == "true"
                else rows["label"].where(~later, 1 - rows["label"])
            )
            loop.source.replace(rows.assign(label=seen))
            home.tick("toy")
        homes.append(home)
    facts = [[(r.outcome, r.metadata["snapshot_id"], r.metadata["rows"], r.metadata.get("candidate_loss"),
               r.metadata.get("champion_loss")) for r in ran(h)] for h in homes]  # fmt: skip
    assert len(facts[0]) == len(ends)
    assert facts[0] == facts[1]
    assert scored(homes[0]) == scored(homes[1])
    assert counted(homes[0]) == counted(homes[1])


def test_late_labels_reach_the_triggers_that_live_on_them(home_of: HomeOf, stream_frame: Rows) -> None:
    """Every label comes after the tick of its batch; a decay must be noticed all the same."""
    rows = stream_frame(1600, drift=1.0)
    rows["known"] = rows["t"] + 150  # one and a half batches late
    decay = rk.PerformanceDecay(drop=0.05, window=4, min_values=3)
    loop = toy_loop(rows, label_time="known", triggers=[decay], until=600)
    home = home_of(loop)
    home.tick("toy")
    signals = []
    for until in range(700, 1700, 100):
        loop.source.until = until
        signals += [s for d in home.tick("toy").decisions for s in d.signals]
    assert {s.trigger for s in signals} == {"PerformanceDecay"}

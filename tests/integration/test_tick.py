"""One tick after another on a toy stream: which batches are due, what is scored with which labels, what is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from looptoys import MONDAY, AtBatches, Growing, champion, counted, heard, ran, scored, told, toy_loop

import rekindle as rk
from rekindle import monitor
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.errors import DeclarationError, NotEnoughData, SourceError
from rekindle.records import Action, Batch, Champion, Signal
from rekindle.store import triggers
from rekindle.triggers.timed import Never

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)  # 96 rows a day


def days(stream_frame: Rows, count: int, **more: Any) -> pd.DataFrame:
    return stream_frame(96 * count, start=MONDAY, step=QUARTER, **more)


def test_the_first_tick_trains_on_the_history_up_to_now(home_of: HomeOf, stream_frame: Rows) -> None:
    clock = ManualClock(MONDAY + 5 * DAY + timedelta(hours=6))
    home = home_of(toy_loop(days(stream_frame, 9)), clock=clock)
    report = home.tick("toy")
    assert report.outcome == "PROMOTED"
    assert [(d.batch, d.rule) for d in report.decisions] == [(4, "FirstModel")]
    assert report.run is not None
    assert report.run.metadata["rows"] == 5 * 96  # complete days only
    assert champion(home) == "v1"
    assert scored(home) == {}  # nothing it was fitted on is scored


def test_each_complete_period_is_one_batch_with_one_decision_in_order(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    clock = ManualClock(MONDAY + 5 * DAY)
    home = home_of(toy_loop(days(stream_frame, 12)), clock=clock)
    home.tick("toy")
    clock.advance(DAY - timedelta(microseconds=1))
    assert home.tick("toy").decisions == ()  # an incomplete period waits
    clock.advance(timedelta(microseconds=1))
    assert [d.batch for d in home.tick("toy").decisions] == [5]
    clock.advance(3 * DAY + timedelta(hours=5))
    assert [d.batch for d in home.tick("toy").decisions] == [6, 7, 8]
    assert home.tick("toy").decisions == ()
    assert [d.batch for d in told(home)] == [4, 5, 6, 7, 8]
    assert {seq: rows for seq, (rows, _) in counted(home).items()} == dict.fromkeys(range(5, 9), 96)
    assert sorted(scored(home)[1]) == [5, 6, 7, 8]


def test_an_index_batch_is_complete_when_its_newest_index_is_there(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(stream_frame(900), until=400)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 499
    assert home.tick("toy").decisions == ()
    loop.source.until = 500
    assert [d.batch for d in home.tick("toy").decisions] == [4]


def test_of_missed_batches_only_the_newest_may_start_a_run(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(1200), until=400, policy=rk.Always())
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 800
    report = home.tick("toy")
    assert [(d.batch, d.action.value, d.rule) for d in report.decisions] == [
        (4, "wait", "Missed"),
        (5, "wait", "Missed"),
        (6, "wait", "Missed"),
        (7, "retrain", "Always"),
    ]
    assert [r.batch for r in ran(home)] == [3, 7]


def test_more_missed_batches_than_are_read_at_once(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "AT_ONCE", 2)
    loop = toy_loop(stream_frame(900), until=300)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 800
    assert [d.batch for d in home.tick("toy").decisions] == [3, 4, 5, 6, 7]


def test_an_empty_batch_waits_and_the_third_in_a_row_escalates(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = days(stream_frame, 14)
    silent = rows["t"].between(MONDAY + 6 * DAY, MONDAY + 10 * DAY, inclusive="left")
    clock = ManualClock(MONDAY + 6 * DAY)
    home = home_of(toy_loop(rows[~silent], policy=rk.Always()), clock=clock)
    kinds = heard(home)
    home.tick("toy")
    for _ in range(5):
        clock.advance(DAY)
        home.tick("toy")
    found = [(d.batch, d.action.value, d.rule, d.reason.split(";")[0]) for d in told(home)[1:]]
    assert found == [
        (6, "wait", "NoRows", "no rows"),
        (7, "wait", "NoRows", "no rows"),
        (8, "escalate", "SilentSource", "the source has been silent for 3 batches"),
        (9, "escalate", "SilentSource", "the source has been silent for 3 batches"),
        (10, "retrain", "Always", "this loop retrains after every batch"),
    ]
    assert kinds.count("decision") == 6
    assert 6 not in scored(home).get(1, {})


def test_three_empty_batches_escalate_when_they_are_seen_in_one_tick(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    clock = ManualClock(MONDAY + 4 * DAY)
    home = home_of(toy_loop(days(stream_frame, 4)), clock=clock)
    home.tick("toy")
    clock.advance(4 * DAY)
    actions = [d.action.value for d in home.tick("toy").decisions]
    assert actions == ["wait", "wait", "escalate", "escalate"]
    assert home.status("toy")[0]["health"] == "escalated"


def test_the_predecessor_is_scored_beside_the_champion_for_ten_batches(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(stream_frame(2000), until=300, policy=AtBatches((4,)))
    home = home_of(loop)
    for until in (300, 400, 500, 2000):
        loop.source.until = until
        home.tick("toy")
    assert champion(home) == "v2"
    assert sorted(scored(home)[1]) == list(range(3, 15))  # v1 served 3 and 4, then 10 more beside v2
    assert sorted(scored(home)[2]) == list(range(5, 20))


def test_a_model_is_never_scored_on_a_batch_it_was_fitted_on(home_of: HomeOf, stream_frame: Rows) -> None:
    """A retraining by hand takes the newest batch before any tick scored it."""
    loop = toy_loop(stream_frame(900), until=400)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 500
    home.retrain("toy", "because")
    home.tick("toy")
    assert champion(home) == "v2"
    assert sorted(scored(home)[1]) == [4]  # who served it
    assert 2 not in scored(home)
    loop.source.until = 600
    home.tick("toy")
    assert sorted(scored(home)[2]) == [5]


class Remembers(Never):
    """Keeps what it was shown."""

    shown: list[Batch] = []  # noqa: RUF012 - shared by the copies a tick makes

    def observe(self, batch: Batch) -> Signal | None:
        self.shown.append(batch)
        return None


def test_triggers_do_not_see_losses_on_rows_the_champion_was_fitted_on(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    Remembers.shown.clear()
    loop = toy_loop(stream_frame(900), until=400, triggers=[Remembers()])
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 500
    home.retrain("toy", "because")
    loop.source.until = 600
    home.tick("toy")
    seen = {
        b.span.seq: (b.loss is None, b.metric is None, bool(pd.isna(b.label).all())) for b in Remembers.shown
    }
    assert seen == {4: (True, True, True), 5: (False, False, False)}


def test_no_rows_yet_is_said_and_nothing_is_stored(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(300), until=0)
    home = home_of(loop)
    with pytest.raises(NotEnoughData, match="no rows yet"):
        home.tick("toy")
    loop.source.until = 300
    assert home.tick("toy").outcome == "PROMOTED"


def test_a_first_model_that_fails_is_tried_again_with_the_next_batch(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(600)
    loop = toy_loop(rows.assign(label=rows["label"].where(rows["t"] >= 300, 0)), until=200)
    home = home_of(loop)
    report = home.tick("toy")
    assert report.outcome == "ERROR"
    assert report.run is not None
    assert "one class only" in report.run.cause
    assert home.tick("toy").outcome == "NO_CHANGE"  # not again on the same rows
    loop.source.until = 600
    assert home.tick("toy").outcome == "PROMOTED"


def test_advise_without_a_champion_says_what_to_do_and_says_it_once(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(stream_frame(900), until=400, act="advise")
    home = home_of(loop)
    (decision,) = home.tick("toy").decisions
    assert decision.action is Action.WAIT
    assert "rekindle adopt toy" in decision.reason
    assert "rekindle retrain toy" in decision.reason
    assert home.tick("toy").decisions == ()
    loop.source.until = 500
    assert len(home.tick("toy").decisions) == 1
    assert ran(home) == []


def test_a_broken_source_loses_nothing(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = toy_loop(stream_frame(900), until=400)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 600

    def gone(self: Growing, window: object) -> pd.DataFrame:
        raise SourceError("the file is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Growing, "read", gone)
        with pytest.raises(SourceError):
            home.tick("toy")
    assert counted(home) == {}
    assert [d.batch for d in home.tick("toy").decisions] == [4, 5]


class Broken(Never):
    """Fails on one batch."""

    def observe(self, batch: Batch) -> Signal | None:
        if batch.span.seq == 5:
            raise ZeroDivisionError("my own trigger")
        return None


def test_a_trigger_that_raises_is_named_and_the_tick_goes_on_there(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(stream_frame(900), until=400, triggers=[Broken()])
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 700
    with pytest.raises(DeclarationError, match=r"triggers=.*ZeroDivisionError: my own trigger"):
        home.tick("toy")
    assert sorted(counted(home)) == [4]
    mended = home_of(toy_loop(stream_frame(900), until=700))
    assert [d.batch for d in mended.tick("toy").decisions] == [5, 6]


class RollsBack(Never):
    """Somebody rolls back while batch 6 is being looked at; it remembers whom it measures against."""

    home: Home | None = None
    against = 0

    def reset(self, champion: Champion) -> None:
        self.against = champion.version

    def _remember(self) -> dict[str, Any]:
        return {"against": self.against}

    def _recall(self, state: Mapping[str, Any]) -> None:
        self.against = state["against"]

    def observe(self, batch: Batch) -> Signal | None:
        if batch.span.seq == 6 and type(self).home is not None:
            home, type(self).home = type(self).home, None
            assert home is not None
            home.rollback("toy", "beside the tick")
        return None


def test_a_rollback_beside_a_tick_is_respected(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((4,)), triggers=[RollsBack()])
    home = home_of(loop)
    for until in (400, 500):
        loop.source.until = until
        home.tick("toy")
    assert champion(home) == "v2"
    loop.source.until = 800
    RollsBack.home = home
    assert [d.batch for d in home.tick("toy").decisions] == [5, 6, 7]
    assert champion(home) == "v1"
    assert sorted(scored(home)[1]) == [4, 5, 6, 7]
    with home.store.read() as conn:
        assert triggers.load_states(conn, "toy")["RollsBack"]["against"] == 1


def test_every_decision_is_kept_whole(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400, policy=rk.SkiRental(rk.Price.ratio(0.02)))
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 600
    given = home.tick("toy").decisions
    kept = told(home)[1:]
    assert list(given) == kept
    assert all(d.id.startswith("dec-") and d.price == pytest.approx(0.02) and d.would_change for d in kept)


def test_a_paused_loop_is_not_ticked_and_catches_up_afterwards(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400)
    home = home_of(loop)
    home.tick("toy")
    home.pause("toy")
    loop.source.until = 700
    report = home.tick("toy")
    assert report.decisions == ()
    assert "rekindle resume" in report.next
    home.resume("toy")
    assert [d.batch for d in home.tick("toy").decisions] == [4, 5, 6]

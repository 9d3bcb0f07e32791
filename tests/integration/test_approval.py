"""act="approve" waits durably for a person, act="advise" never trains; both say what they would do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from looptoys import (
    MONDAY,
    AtBatches,
    champion,
    heard,
    ran,
    registered,
    stepped,
    told,
    toy_loop,
    waiting_events,
)

import rekindle as rk
from rekindle import retrain
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.errors import ConfigError, UnknownName
from rekindle.records import Action, Decision, Outcome, Run, RunState, View

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)


def asked(home_of: HomeOf, stream_frame: Rows, **fields: Any) -> tuple[Home, rk.Loop, Run]:
    """A home with champion v1 and a candidate that waits for approval."""
    rows = stream_frame(900)
    home_of(toy_loop(rows, until=400)).tick("toy")
    loop = toy_loop(rows, until=500, act="approve", policy=AtBatches((4, 5, 6)), **fields)
    home = home_of(loop)
    run = home.tick("toy").run
    assert run is not None
    return home, loop, run


def test_a_candidate_that_passed_waits_and_nothing_is_released(home_of: HomeOf, stream_frame: Rows) -> None:
    home, loop, run = asked(home_of, stream_frame)
    assert (run.state, run.outcome) == (RunState.AWAITING_APPROVAL, None)
    assert champion(home) == "v1"
    assert "judge" in stepped(home, run.id)
    assert "release" not in stepped(home, run.id)
    assert home.status("toy")[0]["health"] == "waits for approval"
    loop.source.until = 600
    (decision,) = home.tick("toy").decisions
    assert (decision.action, decision.rule) == (Action.WAIT, "OpenRun")
    assert decision.reason == f"approval open: {run.id}"
    assert run.id in decision.would_change
    assert home.tick("toy").run is None  # a tick does not carry it on


def test_approve_releases_after_a_restart_and_repeats_no_step(home_of: HomeOf, stream_frame: Rows) -> None:
    home, loop, run = asked(home_of, stream_frame)
    home.close()
    again = home_of(loop)
    kinds = heard(again)
    ended = again.approve(run.id, "looks good")
    assert (ended.id, ended.outcome, ended.version) == (run.id, Outcome.PROMOTED, 2)
    assert champion(again) == "v2"
    assert {attempt for _, attempt in stepped(again, run.id).values()} == {1}
    assert kinds.count("promoted") == 1
    with pytest.raises(UnknownName, match="awaiting approval"):
        again.approve(run.id)
    assert registered(again) == ["v1", "v2"]


def test_reject_keeps_the_champion_with_the_reason(home_of: HomeOf, stream_frame: Rows) -> None:
    home, loop, run = asked(home_of, stream_frame)
    ended = home.reject(run.id, "too odd")
    assert (ended.state, ended.outcome) == (RunState.FAILED, Outcome.KEPT_CHAMPION)
    assert ended.cause == "rejected: too odd"
    assert champion(home) == "v1"
    loop.source.until = 600
    assert home.tick("toy").outcome == "AWAITING_APPROVAL"  # the way is free again


def test_an_approval_nobody_gave_lapses(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(96 * 20, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 4 * DAY)
    home = home_of(toy_loop(rows, act="approve"), clock=clock, approval_days=2)
    run = home.tick("toy").run
    assert run is not None
    clock.advance(2 * DAY - timedelta(seconds=1))
    home.tick("toy")
    assert ran(home)[-1].state is RunState.AWAITING_APPROVAL
    clock.advance(timedelta(seconds=1))
    home.tick("toy")
    lapsed = next(r for r in ran(home) if r.id == run.id)
    assert lapsed.outcome is Outcome.KEPT_CHAMPION
    assert "lapsed" in lapsed.cause
    assert "run_finished" not in waiting_events(home)  # and it was told


def test_an_approval_that_lapsed_cannot_be_given_any_more(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(96 * 20, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 4 * DAY)
    home = home_of(toy_loop(rows, act="approve"), clock=clock, approval_days=2)
    run = home.tick("toy").run
    assert run is not None
    clock.advance(3 * DAY)
    with pytest.raises(UnknownName, match="lapsed"):
        home.approve(run.id)
    assert champion(home) is None


def test_unknown_runs_are_named(home_of: HomeOf, stream_frame: Rows) -> None:
    home, _, run = asked(home_of, stream_frame)
    with pytest.raises(UnknownName, match=r"no run named 'run-nothing'"):
        home.approve("run-nothing")
    home.reject(run.id, "no")
    with pytest.raises(UnknownName, match="failed: rejected: no"):
        home.reject(run.id, "no, again")


def test_a_promotion_cut_off_after_the_yes_is_finished_by_the_next_tick(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, loop, run = asked(home_of, stream_frame)

    def dies(*given: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(retrain, "release", dies)
        with pytest.raises(KeyboardInterrupt):
            home.approve(run.id)
    assert champion(home) == "v1"
    assert ran(home)[-1].state is RunState.RUNNING
    again = home_of(loop)
    again.tick("toy")
    assert ran(again)[-1].outcome is Outcome.PROMOTED
    assert champion(again) == "v2"
    assert registered(again) == ["v1", "v2"]


def test_approving_against_another_champion_keeps_that_one(home_of: HomeOf, stream_frame: Rows) -> None:
    home, loop, run = asked(home_of, stream_frame)
    home.approve(run.id)
    loop.source.until = 600
    waiting = home.tick("toy").run
    assert waiting is not None
    home.rollback("toy", "v2 was odd")
    ended = home.approve(waiting.id)
    assert ended.outcome is Outcome.KEPT_CHAMPION
    assert "a newer promotion came first" in ended.cause
    assert champion(home) == "v1"


def test_a_candidate_that_fails_its_gates_asks_nobody(home_of: HomeOf, stream_frame: Rows) -> None:
    _, _, run = asked(home_of, stream_frame, gates=[rk.Floor(1.1)])
    assert run.outcome is Outcome.KEPT_CHAMPION


class Saves(AtBatches):
    """Wants a retraining after every batch and promises a saving of 0.5."""

    def decide(self, view: View) -> Decision:
        return Decision(Action.RETRAIN, "Saves", "it pays", expected_saving=0.5, price=0.1)


def test_advise_never_trains_and_status_sums_what_it_would_have_saved(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(900)
    home_of(toy_loop(rows, until=400)).tick("toy")
    loop = toy_loop(rows, until=400, act="advise", policy=Saves())
    home = home_of(loop)
    for until in (500, 600, 700):
        loop.source.until = until
        report = home.tick("toy")
        assert report.outcome == "NO_CHANGE"
    assert [(d.action, d.run) for d in told(home)[1:]] == [(Action.RETRAIN, None)] * 3
    assert len(ran(home)) == 1
    assert home.status("toy")[0]["estimated_saving_not_acted_on"] == pytest.approx(1.5)
    assert home.check("toy").advised
    report = home.retrain("toy", "you are right")  # a person may
    assert report.outcome == "PROMOTED"
    assert home.status("toy")[0]["estimated_saving_not_acted_on"] == pytest.approx(1.5)


def test_advise_without_a_champion_trains_when_a_person_says_so(home_of: HomeOf, stream_frame: Rows) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400, act="advise"))
    assert home.tick("toy").outcome == "NO_CHANGE"
    assert not home.check("toy").advised
    assert home.retrain("toy", "begin").outcome == "PROMOTED"
    assert champion(home) == "v1"


def test_a_retraining_by_hand_needs_a_reason(home_of: HomeOf, stream_frame: Rows) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400))
    with pytest.raises(ConfigError, match="reason"):
        home.retrain("toy", "  ")

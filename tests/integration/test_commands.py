"""Verbs beside a running `up`: those that act are queued and carried out, the others work at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from looptoys import MONDAY, AtBatches, champion, counted, ran, told, toy_loop

import rekindle as rk
from rekindle.app.home import Home
from rekindle.app.lock import HomeLock
from rekindle.app.upkeep import keep_up
from rekindle.clock import ManualClock
from rekindle.errors import HomeBusy, SourceError
from rekindle.records import Batch, Decision, Signal, View
from rekindle.store import commands
from rekindle.triggers.timed import Never

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)


@contextmanager
def up_beside(home: Home) -> Iterator[None]:
    """Another `rekindle up` holds the home."""
    with HomeLock(home.folder).held("up"):
        yield


def serve(home: Home, until: Callable[[], object], names: list[str] | None = None) -> list[str]:
    """Run `up` in this process until something is true (at most 20 s); what it said."""
    said: list[str] = []

    def watch() -> None:
        deadline = time.monotonic() + 20
        while not until() and time.monotonic() < deadline:
            time.sleep(0.005)
        home.stopping = True

    watching = threading.Thread(target=watch)
    watching.start()
    assert keep_up(home, names or home.names(), said.append) == 0
    watching.join()
    return said


def queued(home: Home) -> dict[str, tuple[str, str]]:
    with home.store.read() as conn:
        return {c.verb: (c.state, str((c.result or {}).get("error", ""))) for c in commands.newest(conn)}


def test_without_an_up_a_verb_acts_itself(home_of: HomeOf, stream_frame: Rows) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400))
    assert home.request("tick", "toy", {}) is None
    with HomeLock(home.folder).held("tick"):  # somebody acts, but no `up` that would take a command
        assert home.request("tick", "toy", {}) is None


def test_verbs_that_act_are_queued_beside_up_and_carried_out_by_it(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(stream_frame(900), until=400, act="approve")
    home = home_of(loop, poll_seconds=0.01)
    waiting = home.tick("toy").run
    assert waiting is not None
    with up_beside(home):
        command = home.request("approve", "", {"run": waiting.id, "reason": "good"})
        assert command is not None
        assert command.state == "queued"
        with pytest.raises(HomeBusy, match="`rekindle up`"):
            keep_up(home, ["toy"], lambda line: None)
    said = serve(home, lambda: queued(home)["approve"][0] == "done")
    assert champion(home) == "v1"
    assert any("approve: PROMOTED" in line for line in said)
    loop.source.until = 500
    with up_beside(home):
        home.request("retrain", "toy", {"reason": "by hand"})
    serve(home, lambda: queued(home).get("retrain", ("",))[0] == "done")
    second = ran(home)[-1]
    assert second.strategy == "manual"
    with up_beside(home):
        home.request("reject", "", {"run": second.id, "reason": "no"})
    serve(home, lambda: queued(home).get("reject", ("",))[0] == "done")
    assert ran(home)[-1].cause == "rejected: no"
    loop.source.until = 600
    with up_beside(home):
        home.request("tick", "toy", {})
    serve(home, lambda: queued(home).get("tick", ("",))[0] == "done")
    assert sorted(counted(home)) == [4, 5]


def test_a_command_that_fails_is_answered_and_up_goes_on(home_of: HomeOf, stream_frame: Rows) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400), poll_seconds=0.01)
    with up_beside(home):
        home.request("approve", "", {"run": "run-nothing", "reason": ""})
        home.request("dance", "toy", {})
        home.request("retrain", "toy", {})  # its reason is missing
    said = serve(home, lambda: "queued" not in {state for state, _ in queued(home).values()})
    assert queued(home)["approve"][0] == "failed"
    assert "no run named 'run-nothing'" in queued(home)["approve"][1]
    assert queued(home)["dance"] == (
        "failed",
        "no command named 'dance'. Known: approve, reject, retrain, tick.",
    )
    assert queued(home)["retrain"] == ("failed", "KeyError: 'reason'")
    assert said[-1].startswith("stopped")


def test_a_command_taken_by_an_up_that_died_is_taken_again(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(600), until=400)
    home = home_of(loop, poll_seconds=0.01)
    with up_beside(home):
        home.request("retrain", "toy", {"reason": "by hand"})
    with home.store.begin() as conn:
        assert commands.take(conn, home.clock.now()) is not None
    serve(home, lambda: queued(home)["retrain"][0] == "done")
    assert ran(home)[0].reason.endswith("by hand")
    assert champion(home) == "v1"


def test_a_long_check_holds_nobody_up_and_leaves_nothing(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400)
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 600
    beside: list[str] = []

    class Writes(AtBatches):
        def decide(self, view: View) -> Decision:
            with ThreadPoolExecutor(1) as thread:  # another process would do the same
                thread.submit(lambda: home.pause("toy")).result(20)
            beside.append(f"wrote during batch {view.batch}")
            return super().decide(view)

    loop.policy = Writes((5,))
    report = home.check("toy")
    assert beside == ["wrote during batch 4", "wrote during batch 5"]
    assert report.advised
    assert report.due == 2
    assert counted(home) == {}
    assert len(told(home)) == 1
    assert len(ran(home)) == 1
    assert home.status("toy")[0]["paused"]


def test_pause_resume_rollback_and_looking_work_beside_up(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((4,)))
    home = home_of(loop)
    for until in (400, 500):
        loop.source.until = until
        home.tick("toy")
    with up_beside(home):
        home.pause("toy")
        assert home.status("toy")[0]["paused"]
        home.resume("toy")
        assert len(home.decisions("toy")) == 2
        assert len(home.runs("toy")) == 2
        assert home.rollback("toy", "odd").label == "v1"
        assert home.check("toy").decision is not None


class Breaks(Never):
    """A trigger with a mistake in it."""

    def observe(self, batch: Batch) -> Signal | None:
        raise ZeroDivisionError("mine")


class Vanished:
    """A source whose file is gone."""

    time, label, label_time, id = "t", "label", None, None

    def extent(self) -> Any:
        raise SourceError("the file is gone")

    read = extent


def test_up_survives_broken_loops_says_so_once_and_ticks_the_others(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(900)
    ill = toy_loop(rows, name="ill", until=400, triggers=[Breaks()])
    gone = rk.Loop("gone", Vanished(), rk.Estimator(ill.trainer.model))
    well = toy_loop(rows, name="well", until=400)
    home = home_of([ill, gone, well], poll_seconds=0.01)

    def drive() -> bool:
        if well.source.until == 400 and champion(home, "well") and champion(home, "ill"):
            ill.source.until = well.source.until = 500
        if 4 in counted(home, "well"):
            time.sleep(0.1)  # some polls more
        return 4 in counted(home, "well")

    said = serve(home, drive)
    assert sum("the file is gone" in line for line in said) == 1
    assert sum("ZeroDivisionError: mine" in line for line in said) == 1, said
    assert champion(home, "well") == champion(home, "ill") == "v1"
    assert sorted(counted(home, "well")) == [4]


def test_up_ticks_each_loop_on_its_own_cadence(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(96 * 12, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 4 * DAY)
    home = home_of(
        [toy_loop(rows, name="daily"), toy_loop(rows, name="halves", every="12h")],
        clock=clock,
        poll_seconds=0.01,
    )
    ticks: list[str] = []
    real = home.tick

    def ticking(name: str) -> Any:
        ticks.append(name)
        return real(name)

    home.tick = ticking  # type: ignore[method-assign]

    def drive() -> bool:
        if len(ticks) == 2 and clock.now() == MONDAY + 4 * DAY and champion(home, "halves"):
            time.sleep(0.05)  # polls pass: nothing is due
            clock.advance(DAY / 2)
        if len(ticks) == 3 and clock.now() == MONDAY + 4.5 * DAY and 8 in counted(home, "halves"):
            time.sleep(0.05)
            clock.advance(DAY / 2)
        return 9 in counted(home, "halves") and 4 in counted(home, "daily")

    serve(home, drive)
    assert sorted(ticks[:2]) == ["daily", "halves"]
    assert ticks[2] == "halves"
    assert sorted(ticks[3:5]) == ["daily", "halves"]
    assert [d.batch for d in told(home, "daily")] == [3, 4]
    assert [d.batch for d in told(home, "halves")] == [7, 8, 9]


def test_a_loop_resumed_beside_up_catches_up_at_once(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(96 * 12, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 4 * DAY)
    loop = toy_loop(rows)
    home, beside = home_of(loop, clock=clock, poll_seconds=0.01), home_of(loop, clock=clock)
    home.tick("toy")
    polls = 0
    real = home.paused

    def counting() -> frozenset[str]:
        nonlocal polls
        polls += 1
        if polls == 5:  # `up` has looked, and would look again when the clock says next day
            beside.pause("toy")
        if polls == 10:
            beside.resume("toy")
        return real()

    home.paused = counting  # type: ignore[method-assign]
    looked: list[int] = []
    tick = home.tick

    def ticking(name: str) -> Any:
        looked.append(polls)
        return tick(name)

    home.tick = ticking  # type: ignore[method-assign]
    serve(home, lambda: polls > 15)
    assert len(looked) == 2
    assert looked[0] < 5 < 10 <= looked[1]


def test_a_second_up_is_refused_with_the_process_that_holds_the_home(
    home_of: HomeOf, stream_frame: Rows, tmp_path: Path
) -> None:
    import os

    home = home_of(toy_loop(stream_frame(600), until=400))
    with up_beside(home), pytest.raises(HomeBusy, match=rf"`rekindle up` \(process {os.getpid()}\)"):
        keep_up(home, ["toy"], lambda line: None)
    assert HomeLock(home.folder).holder() is None

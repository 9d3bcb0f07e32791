"""A real `rekindle up`: stopped by a signal, asked by other processes, refused beside another one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from killing import LOOPS, Yard

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="sends signals")


@pytest.fixture
def yard(tmp_path: Path, stream_frame: Callable[..., pd.DataFrame]) -> Iterator[Yard]:
    yard = Yard(tmp_path, stream_frame(900))
    yard.rows(400)
    yield yard
    yard.close()


def looked_up(yard: Yard, *words: str) -> list[dict[str, object]]:
    code, said = yard.say(*words, "--json")
    assert code == 0, said
    found: list[dict[str, object]] = json.loads(said[said.index("[") :])
    return found


def test_sigterm_finishes_the_step_and_the_next_up_goes_on(yard: Yard) -> None:
    yard.hold("inside train")
    up = yard.begin("up", "--poll", "0.05")
    yard.await_reached(up)
    yard.family(up)
    up.send_signal(signal.SIGTERM)
    yard.let_go()  # the training goes on and ends by itself
    assert up.wait(30) == 0
    yard.until(yard.gone)
    assert "stops before 'validate'" in yard.output()
    (run,) = looked_up(yard, "runs")
    assert run["state"] == "running"
    up = yard.begin("up", "--poll", "0.05")
    yard.until(lambda: "PROMOTED" in yard.output(), up)
    up.send_signal(signal.SIGINT)
    assert up.wait(30) == 0
    (again,) = looked_up(yard, "runs")
    assert (again["run"], again["outcome"]) == (run["run"], "PROMOTED")


def test_a_second_signal_does_not_wait_for_the_training(yard: Yard) -> None:
    yard.hold("inside train")
    up = yard.begin("up", "--poll", "0.05")
    yard.await_reached(up)
    yard.family(up)
    up.send_signal(signal.SIGTERM)
    yard.until(lambda: "stopping: the step in hand" in yard.output(), up)
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0  # though the training is still held up
    yard.until(yard.gone)
    (run,) = looked_up(yard, "runs")
    assert run["state"] == "running"


def test_sigterm_to_every_process_of_the_service(yard: Yard) -> None:
    """What systemd does: the training dies of it, and the run is not an error for that."""
    yard.hold("inside train")
    up = yard.begin("up", "--poll", "0.05")
    yard.await_reached(up)
    for process in yard.family(up):
        process.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    yard.until(yard.gone)
    yard.let_go()
    (run,) = looked_up(yard, "runs")
    assert (run["state"], run["outcome"]) == ("running", None)
    assert yard.say("tick")[0] == 0
    (again,) = looked_up(yard, "runs")
    assert (again["run"], again["outcome"]) == (run["run"], "PROMOTED")


def test_beside_up_commands_are_queued_and_a_second_up_is_refused(yard: Yard) -> None:
    up = yard.begin("up", "--poll", "0.05")
    yard.until(lambda: "PROMOTED" in yard.output(), up)
    code, said = yard.say("up")
    assert code == 1
    assert f"(process {up.pid})" in said
    yard.rows(500)
    yard.until(lambda: "batch 4" in yard.output(), up)  # on an index `up` looks at every poll
    code, said = yard.say("retrain", "toy", "--reason", "by hand")
    assert code == 0
    assert "queued" in said
    yard.until(lambda: "toy: retrain: " in yard.output(), up)
    code, said = yard.say("pause", "toy")
    assert code == 0
    (status,) = looked_up(yard, "status")
    assert status["paused"] is True
    yard.rows(600)
    code, said = yard.say("rollback", "toy", "--reason", "odd")
    assert code == 0
    assert "v1 is champion again" in said
    assert {d["batch"] for d in looked_up(yard, "decisions")} == {3, 4}
    assert yard.say("resume", "toy")[0] == 0
    yard.until(lambda: "batch 5" in yard.output(), up)
    yard.family(up)
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    yard.until(yard.gone)
    assert "Traceback" not in yard.output()


BROKEN = (
    LOOPS
    + """
gone = rk.Loop("gone", rk.Parquet(HERE / "missing.parquet", time="t", label="label"), Slow(LogisticRegression()))
"""
)


def test_up_goes_on_beside_a_loop_whose_source_is_broken(
    tmp_path: Path, stream_frame: Callable[..., pd.DataFrame]
) -> None:
    yard = Yard(tmp_path, stream_frame(900), BROKEN)
    try:
        yard.rows(400)
        up = yard.begin("up", "--poll", "0.05")
        yard.until(lambda: "PROMOTED" in yard.output(), up)
        yard.rows(500)
        yard.until(lambda: "batch 4" in yard.output(), up)
        assert yard.output().count("gone: no file matches") == 1
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0
        code, said = yard.say("tick")
        assert code == 1
        assert "no file matches" in said
        assert "toy: NO_CHANGE" in said
    finally:
        yard.close()

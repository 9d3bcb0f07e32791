"""The slot's promises one by one: what a swap checks and what a failure leaves alone."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from serving_toys import SECONDS, Loader, Toy, beside, eventually, hanging, raising

from rekindle.errors import BundleError, RekindleError, StaleSwap
from rekindle.serving import Slot


def test_an_empty_slot_says_what_to_do(load: Loader) -> None:
    slot = Slot(load, name="churn")
    assert (slot.ready, slot.version, slot.label) == (False, None, None)
    with pytest.raises(
        RekindleError, match="no champion yet: run `rekindle retrain churn` or `rekindle adopt"
    ):
        slot.predict([0])
    with pytest.raises(RekindleError, match="no champion yet"):
        asyncio.run(slot.apredict([0]))


def test_answer_names_the_version_that_made_it(slot: Slot) -> None:
    slot.swap(15)
    slot.swap(16)
    assert slot.answer([0]) == ([16], 16, "v16")
    assert asyncio.run(slot.aanswer([0])) == ([16], 16, "v16")
    assert (slot.predict([0, 0]), slot.version, slot.label, slot.ready) == ([16, 16], 16, "v16", True)


def test_a_swap_is_logged(slot: Slot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rekindle.serving")
    slot.swap(15)
    slot.swap(16)
    slot.rollback()
    assert [record.getMessage() for record in caplog.records] == [
        "model updated: none -> v15",
        "model updated: v15 -> v16",
        "model updated: v16 -> v15",
    ]


def test_loading_and_warming_up_happen_on_a_thread_of_their_own(load: Loader) -> None:
    slot = Slot(load, warm_up=5)
    slot.swap(1)
    assert load.threads == ["rekindle-load-1"]
    assert load.toys[1].predicted_on == ["rekindle-load-1"] * 5
    slot.close()


@pytest.mark.parametrize("probe", [None, []])
def test_a_model_without_probe_rows_is_served_unchecked(probe: list[int] | None) -> None:
    load = Loader(v1={"probe": probe})
    slot = Slot(load)
    slot.swap(1)
    assert load.toys[1].predicted_on == []
    assert slot.predict([0]) == [1]
    slot.close()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (raising, "v2 cannot predict its own probe rows .KeyError: 'column gone'"),
        (lambda rows: [1.0, float("nan")], "v2 predicts NaN"),
        (lambda rows: [1.0, float("inf")], "v2 predicts NaN, infinite"),
        (lambda rows: ["yes", None], "v2 predicts NaN, infinite or missing"),
        (lambda rows: [[0.5, float("nan")], [1.0, 0.0]], "v2 predicts NaN"),
        (lambda rows: [1.0], r"v2 gives predictions of shape \(1,\) for its 2 probe rows"),
        (lambda rows: 1.0, r"v2 gives predictions of shape \(\)"),
        (lambda rows: None, r"v2 gives predictions of shape \(\)"),
    ],
)
def test_a_model_that_fails_its_probe_is_not_swapped_in(answers: Callable[[Any], Any], sentence: str) -> None:
    load = Loader(v2={"answers": answers})
    slot = Slot(load)
    slot.swap(1)
    with pytest.raises(BundleError, match=sentence):
        slot.swap(2)
    assert slot.answer([0]) == ([1], 1, "v1")
    assert load.toys[2].closed.is_set()
    slot.swap(3)
    assert slot.rollback() == 1
    slot.close()


@pytest.mark.parametrize(
    "answers", [lambda rows: ["a", "b"], lambda rows: [[0.1, 0.9]] * 2, lambda rows: [True, False]]
)
def test_labels_probabilities_and_booleans_pass_the_probe(answers: Callable[[Any], Any]) -> None:
    slot = Slot(Loader(v1={"answers": answers}))
    slot.swap(1)
    assert slot.ready
    slot.close()


def test_no_warm_up_still_checks_once() -> None:
    slot = Slot(Loader(v1={"answers": raising}), warm_up=0)
    with pytest.raises(BundleError, match="KeyError: 'column gone'"):
        slot.swap(1)


def test_a_failing_load_raises_its_own_error_and_leaves_the_old_version() -> None:
    def load(version: int) -> Toy:
        if version == 2:
            raise FileNotFoundError("bundle is gone")
        return Toy(version)

    slot = Slot(load)
    slot.swap(1)
    with pytest.raises(FileNotFoundError, match="bundle is gone"):
        slot.swap(2)
    assert slot.answer([0]).version == 1
    slot.close()


def test_a_bundle_of_another_version_is_refused(slot: Slot, load: Loader) -> None:
    wrong = Slot(lambda version: load(version + 1))
    with pytest.raises(BundleError, match="asked for version 1, the bundle says it is 2"):
        wrong.swap(1)
    assert not wrong.ready
    assert load.toys[2].closed.is_set()


def test_compare_and_swap(slot: Slot, load: Loader) -> None:
    slot.swap(1, expect=None)
    slot.swap(2, expect=1)
    for expect in (1, None, 7):
        with pytest.raises(StaleSwap, match="serves v2, not version"):
            slot.swap(3, expect=expect)
        with pytest.raises(StaleSwap):
            slot.rollback(expect=expect)
    assert slot.version == 2
    assert load.calls == [1, 2]  # refused before anything was loaded
    assert slot.rollback(expect=2) == 1


@pytest.mark.parametrize("expect", [{}, {"expect": 1}])
def test_a_slow_old_swap_does_not_overwrite_a_newer_one(load: Loader, expect: dict[str, int]) -> None:
    slow, begun, go_on = hanging(load, 2)
    slot = Slot(slow)
    slot.swap(1)
    job, errors = beside(slot, 2, **expect)
    assert begun.wait(SECONDS)
    slot.swap(3)
    go_on.set()
    job.join(SECONDS)
    assert [type(exc) for exc in errors] == [StaleSwap]
    assert slot.version == 3
    assert load.toys[2].closed.is_set()
    assert slot.rollback() == 1
    slot.close()


def test_a_slow_swap_does_not_overwrite_a_rollback(load: Loader) -> None:
    slow, begun, go_on = hanging(load, 3)
    slot = Slot(slow)
    slot.swap(1)
    slot.swap(2)
    job, errors = beside(slot, 3)
    assert begun.wait(SECONDS)
    slot.rollback()
    go_on.set()
    job.join(SECONDS)
    assert [type(exc) for exc in errors] == [StaleSwap]
    assert slot.version == 1
    slot.close()


def test_an_interrupted_caller_gets_no_swap_behind_its_back(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, begun, go_on = hanging(load, 2)
    slot = Slot(slow)
    slot.swap(1)

    def interrupted(future: Future[None]) -> None:
        assert begun.wait(SECONDS)
        raise KeyboardInterrupt

    with monkeypatch.context() as control_c:
        control_c.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            slot.swap(2)
    go_on.set()
    assert eventually(lambda: 2 in load.toys and load.toys[2].closed.is_set())
    assert slot.version == 1
    slot.close()


def test_rollback_loads_nothing_and_can_be_taken_back(slot: Slot, load: Loader) -> None:
    slot.swap(1)
    slot.swap(2)
    assert slot.rollback() == 1
    assert slot.answer([0]) == ([1], 1, "v1")
    assert slot.rollback() == 2
    assert slot.answer([0]) == ([2], 2, "v2")
    assert load.calls == [1, 2]
    assert not load.toys[1].closed.is_set()


def test_rollback_needs_a_previous_version(slot: Slot) -> None:
    with pytest.raises(RekindleError, match="has served only nothing"):
        slot.rollback()
    slot.swap(1)
    with pytest.raises(RekindleError, match="has served only v1"):
        slot.rollback()
    assert slot.version == 1


def test_loading_the_same_version_again_keeps_the_way_back(slot: Slot, load: Loader) -> None:
    slot.swap(1)
    slot.swap(2)
    first = load.toys[2]
    slot.swap(2)
    assert first.closed.wait(SECONDS)
    assert slot.rollback() == 1


def test_reach_takes_the_cheapest_way(slot: Slot, load: Loader) -> None:
    for version in (1, 2, 2, 1, 3):
        slot.reach(version)
        assert slot.version == version
    assert load.calls == [1, 2, 3]


def test_on_swap_hears_of_each_swap_and_cannot_break_one(
    load: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[int | None, int]] = []

    def on_swap(old: int | None, new: int) -> None:
        heard.append((old, new))
        raise ValueError("listener broke")

    slot = Slot(load, on_swap=on_swap)
    slot.swap(1)
    slot.swap(2)
    slot.rollback()
    assert heard == [(None, 1), (1, 2), (2, 1)]
    assert slot.version == 1
    assert "on_swap failed" in caplog.text
    slot.close()


def test_cheap_calls_stay_on_the_loop_and_dear_ones_leave_it() -> None:
    def dear(rows: Any) -> Any:
        time.sleep(0.001)
        return [0] * len(rows)

    load = Loader(v2={"answers": dear}, v3={"probe": None})
    slot = Slot(load)
    slot.swap(1)
    load.toys[1].predicted_on.clear()
    here = threading.current_thread().name
    assert asyncio.run(slot.apredict([0])) == [1]
    assert asyncio.run(slot.apredict([0] * 10_000_000)) is not None  # the same model, but many rows
    assert [name == here for name in load.toys[1].predicted_on] == [True, False]
    for version in (2, 3):
        slot.swap(version)
        load.toys[version].predicted_on.clear()
        asyncio.run(slot.apredict([0]))
        asyncio.run(slot.aanswer([0]))
        assert all(name.startswith("rekindle-predict") for name in load.toys[version].predicted_on)
    slot.close()


def test_a_slot_from_before_a_fork_says_so(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    slot.swap(1)
    slot.swap(2)
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        for change in (lambda: slot.swap(3), slot.rollback, lambda: slot.follow_source(lambda: None)):
            with pytest.raises(RekindleError, match="made before a fork"):
                change()
        assert slot.predict([0]) == [2]

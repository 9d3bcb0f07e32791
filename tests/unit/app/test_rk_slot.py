"""rk.Slot: a model inside somebody's own program that follows the champion of a home."""

import os
import shutil
import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import rekindle as rk
from rekindle.data.source import Frame
from rekindle.errors import StoreError, UnknownName


@pytest.fixture
def home(home_of, stream_frame):
    source = Frame(stream_frame(240, seed=3), time="t", label="label")
    loop = rk.Loop("toy", source, rk.Estimator(LogisticRegression()), every=60, policy=rk.Never(), gates=[])
    return home_of(loop)


@pytest.fixture
def following():
    slots = []

    def follow(*args, **kwargs):
        slot = rk.Slot.follow(*args, **{"every": 0.02, **kwargs})
        slots.append(slot)
        return slot

    yield follow
    for slot in slots:
        slot.close()


def until(holds, seconds=10.0):
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


ROWS = [{"x0": 1.0, "x1": 0.0, "colour": "red"}, {"x0": -1.0, "x1": 0.0, "colour": "blue"}]


def test_it_serves_the_champion(home, following):
    home.tick("toy")
    slot = following("toy", home=home.folder)
    assert slot.ready
    assert (slot.version, slot.label) == (1, "v1")
    np.testing.assert_array_equal(slot.predict(ROWS), home.champion("toy").predict(ROWS))
    answer = slot.answer(ROWS)
    assert (answer.version, answer.label) == (1, "v1")


def test_it_waits_for_the_first_champion(home, following):
    slot = following("toy", home=home.folder)
    assert not slot.ready
    with pytest.raises(rk.RekindleError, match="no champion yet"):
        slot.predict(ROWS)
    home.tick("toy")
    until(lambda: slot.ready)
    assert slot.version == 1


def test_it_learns_of_promotions_and_of_rollbacks_without_loading(home, following, monkeypatch):
    home.tick("toy")
    slot = following("toy", home=home.folder)
    home.retrain("toy", "a second one")
    until(lambda: slot.version == 2)

    def no_loading(*args, **kwargs):
        raise AssertionError("the previous version is warm")

    monkeypatch.setattr("rekindle.app.slots.open_bundle", no_loading)
    home.rollback("toy")
    until(lambda: slot.version == 1)
    assert slot.last_error is None


def test_a_rollback_by_hand_holds_until_the_next_promotion(home, following):
    home.tick("toy")
    slot = following("toy", home=home.folder)
    home.retrain("toy", "a second one")
    until(lambda: slot.version == 2)
    assert slot.rollback() == 1
    time.sleep(0.1)
    assert slot.version == 1
    home.retrain("toy", "a third one")
    until(lambda: slot.version == 3)


def test_a_damaged_model_leaves_the_old_one_serving(home, following):
    home.tick("toy")
    slot = following("toy", home=home.folder)
    expected = slot.predict(ROWS)
    report = home.retrain("toy", "a second one")
    shutil.rmtree(report.run.metadata["candidate"])
    until(lambda: slot.last_error is not None or slot.version == 2)
    if slot.version == 1:  # else it was quicker than we were
        assert "BundleError" in slot.last_error
    np.testing.assert_array_equal(slot.predict(ROWS), expected)


def test_an_unknown_loop_names_the_nearest(home, following):
    with pytest.raises(UnknownName, match="Did you mean 'toy'"):
        following("tov", home=home.folder)


def test_no_home_is_said_and_none_is_made(tmp_path, following):
    with pytest.raises(StoreError, match=r"there is no home in .*nowhere"):
        following("toy", home=tmp_path / "nowhere")
    assert os.listdir(tmp_path) == []


def test_the_home_is_the_setting_when_none_is_given(home, following, monkeypatch):
    home.tick("toy")
    monkeypatch.setenv("REKINDLE_HOME", str(home.folder))
    assert following("toy").version == 1


LOOPS = """
import pandas as pd, rekindle as rk
from sklearn.tree import DecisionTreeClassifier
toy = rk.Loop("toy", rk.Parquet("nowhere.parquet", time="t", label="label"),
              rk.Estimator(DecisionTreeClassifier(max_depth=2)), every=60)
"""


@pytest.mark.parametrize("state", ["there", "gone", "broken"])
def test_it_works_without_the_loops_file(home_of, stream_frame, tmp_path, following, state):
    """A serving machine needs neither the file nor what it imports."""
    from rekindle.app.loading import LoopsFile
    from rekindle.app.registering import register

    source = Frame(stream_frame(240, seed=3), time="t", label="label")
    trainer = rk.Estimator(DecisionTreeClassifier(max_depth=2))
    home = home_of(rk.Loop("toy", source, trainer, every=60))
    file = tmp_path / "loops.py"
    file.write_text(LOOPS)
    register(home.store, LoopsFile(str(file), LOOPS, tuple(home.loops.values()), None, None), home.clock)
    home.tick("toy")
    if state == "gone":
        file.unlink()
    elif state == "broken":
        file.write_text("import nosuchmodule\n")
    slot = following("toy", home=home.folder)
    np.testing.assert_array_equal(slot.predict(ROWS), home.champion("toy").predict(ROWS))

"""Never and always, against a plain replay with scikit-learn alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import rekindle as rk
from rekindle.backtest.baselines import BaselinePlan, baselines
from rekindle.data.cadence import Edges
from rekindle.data.source import Frame
from rekindle.errors import NotEnoughData, TrainingError
from rekindle.training.estimator import Estimator

HISTORY, BATCHES, ROWS = 4, 10, 50


def stream(drift=1.0, seed=2):
    rng = np.random.default_rng(seed)
    rows = BATCHES * ROWS
    x = rng.normal(size=rows)
    turned = np.where(np.arange(rows) >= rows // 2, 1 - 2 * drift, 1.0)
    return pd.DataFrame(
        {"t": range(rows), "x": x, "label": (turned * x + rng.normal(size=rows) * 0.3 > 0).astype(int)}
    )


def replayed(frame, model, window=None, loss=None, task="classification", **columns):
    source = Frame(frame, time="t", label="label", **columns)
    plan = BaselinePlan(source.rows, Edges(tuple(range(0, len(frame) + 1, ROWS))), HISTORY, task)
    return baselines(source, Estimator(model), window or rk.Full(), loss, plan)


def test_it_is_a_plain_replay():
    frame = stream()
    never, always = [], []
    first = None
    for seq in range(HISTORY, BATCHES):
        seen, served = frame[: seq * ROWS], frame[seq * ROWS : (seq + 1) * ROWS]
        fresh = LogisticRegression(random_state=0).fit(seen[["x"]], seen["label"])
        first = first or fresh
        never.append((first.predict(served[["x"]]) != served["label"]).mean())
        always.append((fresh.predict(served[["x"]]) != served["label"]).mean())
    found = replayed(frame, LogisticRegression())
    assert found["never"] == pytest.approx(never)
    assert found["always"] == pytest.approx(always)
    assert sum(found["always"]) < sum(found["never"]), "the relation turned round"


def test_the_first_batch_is_the_same_under_both():
    found = replayed(stream(), LogisticRegression())
    assert found["never"][0] == found["always"][0]
    assert len(found["never"]) == len(found["always"]) == BATCHES - HISTORY


def test_windows_bound_what_is_seen():
    frame = stream()
    found = replayed(frame, LogisticRegression(), rk.Rolling(batches=1))
    seq = BATCHES - 1
    seen, served = frame[(seq - 1) * ROWS : seq * ROWS], frame[seq * ROWS :]
    fresh = LogisticRegression(random_state=0).fit(seen[["x"]], seen["label"])
    assert found["always"][-1] == pytest.approx((fresh.predict(served[["x"]]) != served["label"]).mean())


def test_labels_that_come_later_are_not_seen():
    """Known two batches after their rows: the model before batch 4 learns from batches 0 and 1 alone."""
    frame = stream()
    frame["known"] = frame["t"] + 2 * ROWS
    found = replayed(frame, LogisticRegression(), label_time="known")
    seen, served = frame[: 2 * ROWS], frame[HISTORY * ROWS : (HISTORY + 1) * ROWS]
    fresh = LogisticRegression(random_state=0).fit(seen[["x"]], seen["label"])
    assert found["always"][0] == pytest.approx((fresh.predict(served[["x"]]) != served["label"]).mean())


def test_regression_on_the_scale_of_the_first_history():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"t": range(BATCHES * ROWS), "x": rng.normal(size=BATCHES * ROWS)})
    frame["label"] = 3 * frame["x"] + rng.normal(size=len(frame))
    found = replayed(frame, LinearRegression(), task="regression")
    history = frame["label"][: HISTORY * ROWS]
    scale = np.percentile(history, 95) - np.percentile(history, 5)
    served = frame[HISTORY * ROWS : (HISTORY + 1) * ROWS]
    model = LinearRegression().fit(frame[: HISTORY * ROWS][["x"]], history)
    expected = np.minimum(1, np.abs(model.predict(served[["x"]]) - served["label"]) / scale).mean()
    assert found["never"][0] == pytest.approx(expected)


def test_a_loss_of_ones_own():
    found = replayed(stream(), DummyClassifier(), loss=lambda label, predicted: np.full(len(label), 7.0))
    assert set(found["never"] + found["always"]) == {7.0}


def test_batches_without_labels_cost_nothing():
    frame = stream()
    frame["label"] = frame["label"].astype(float)
    frame.loc[6 * ROWS : 7 * ROWS - 1, "label"] = np.nan
    found = replayed(frame, LogisticRegression())
    assert found["never"][2] == found["always"][2] == 0.0
    assert found["always"][3] > 0.0


def test_a_training_that_fails_leaves_the_model_before_it():
    """One class only in a short window: live the run ends in an error and the champion serves on."""
    frame = stream(drift=0.0)
    frame.loc[5 * ROWS : 6 * ROWS - 1, "label"] = 1
    found = replayed(frame, LogisticRegression(), rk.Rolling(batches=1))
    seen, served = frame[4 * ROWS : 5 * ROWS], frame[6 * ROWS : 7 * ROWS]
    before = LogisticRegression(random_state=0).fit(seen[["x"]], seen["label"])
    assert found["always"][2] == pytest.approx((before.predict(served[["x"]]) != served["label"]).mean())


def test_without_a_first_model_there_is_nothing_to_replay():
    with pytest.raises(TrainingError, match="one class only"):
        replayed(stream().assign(label=1), LogisticRegression())
    with pytest.raises(NotEnoughData):
        replayed(stream().assign(label=np.nan), LogisticRegression())

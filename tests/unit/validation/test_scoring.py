"""Scoring: several models on the same rows; what is not a number is an error."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from rekindle.errors import BundleError, DeclarationError, NotEnoughData, TrainingError
from rekindle.models.bundle import Bundle
from rekindle.models.signature import Signature
from rekindle.records import Column
from rekindle.stats.losses import zero_one
from rekindle.stats.metrics import metric
from rekindle.training.estimator import Estimator
from rekindle.training.job import FitPlan, fit_models
from rekindle.validation.scoring import ScorePlan, judging_rows, score_bundle, score_models


def squared(label, predicted):
    return (label - predicted) ** 2


def bundle_of(predict, classes=(), task="regression"):
    return Bundle("toy", 1, "v1", Signature((Column("x", "number"),)), task, classes, {}, predict)


def score(bundle, loss=squared, name="mae", labels=(1.0, 2.0, 3.0)):
    rows = pd.DataFrame({"x": [1.0, 2.0, 4.0]})
    return score_bundle(bundle, rows, pd.Series(labels), loss, metric(name))


def test_losses_and_metric_by_hand():
    found = score(bundle_of(lambda rows: rows["x"].to_numpy()))
    assert found.losses.tolist() == [0.0, 0.0, 1.0]
    assert found.loss == pytest.approx(1 / 3)
    assert found.metric == pytest.approx(1 / 3)
    assert found.higher_is_better is False


def test_probabilities_become_classes_for_the_loss():
    bundle = bundle_of(
        lambda rows: np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ("no", "yes"), "classification"
    )
    found = score(bundle, zero_one, "roc_auc", ["no", "yes", "yes"])
    assert found.losses.tolist() == [0.0, 0.0, 1.0]
    assert found.metric == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_are_an_error(bad):
    with pytest.raises(TrainingError, match="v1 predicts NaN or inf"):
        score(bundle_of(lambda rows: np.array([1.0, bad, 3.0])))


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(TrainingError, match="loss of v1 is NaN or inf on 1 rows"):
        score(bundle_of(lambda rows: rows["x"].to_numpy()), lambda a, p: np.where(a == 1, np.nan, 0.0))


@pytest.mark.parametrize("loss", [lambda a, p: 0.5, lambda a, p: np.zeros(2), lambda a, p: np.zeros((3, 1))])
def test_a_loss_gives_one_number_per_row(loss):
    with pytest.raises(DeclarationError, match="one number per row"):
        score(bundle_of(lambda rows: rows["x"].to_numpy()), loss)


def fitted(frozen, frame, model, tmp_path, judged=(3,)):
    folder, contract = frozen(frame, per_batch=len(frame) // 4)
    plan = FitPlan("toy", folder, contract, judged, None, 0)
    found = fit_models(Estimator(model), plan, tmp_path / "run")
    return folder, contract, found


def test_both_models_meet_on_the_same_rows(frozen, stream_frame, tmp_path):
    frame = stream_frame(240, seed=1)
    folder, contract, good = fitted(frozen, frame, LogisticRegression(), tmp_path / "a")
    _, _, poor = fitted(frozen, frame, DummyClassifier(), tmp_path / "b")
    plan = ScorePlan(folder, contract, (3,), {"candidate": good["twin"], "v1": poor["twin"]})
    trainer = Estimator(LogisticRegression())
    scores = score_models(trainer, plan, zero_one, metric("roc_auc"))
    assert set(scores) == {"candidate", "v1"}
    assert scores["candidate"].loss < scores["v1"].loss
    assert len(scores["candidate"].losses) == len(scores["v1"].losses) == 60
    rows = judging_rows(plan)
    assert rows["t"].tolist() == list(range(180, 240))


def test_rows_without_a_label_judge_nobody(frozen, stream_frame, tmp_path):
    frame = stream_frame(240, seed=1)
    frame["label"] = frame["label"].astype(float)
    frame.loc[200:, "label"] = np.nan
    folder, contract, found = fitted(frozen, frame, LogisticRegression(), tmp_path)
    plan = ScorePlan(folder, contract, (3,), {"candidate": found["twin"]})
    assert len(judging_rows(plan)) == 20
    with pytest.raises(NotEnoughData, match="wait for labels"):
        judging_rows(ScorePlan(folder, contract, (7,), {}))


def test_a_champion_whose_column_is_gone_is_left_out(frozen, stream_frame, tmp_path):
    old, _, champion = fitted(frozen, stream_frame(240, seed=1), LogisticRegression(), tmp_path / "a")
    frame = stream_frame(240, seed=1).drop(columns="x1")
    folder, contract, found = fitted(frozen, frame, LogisticRegression(), tmp_path / "b")
    trainer = Estimator(LogisticRegression())
    plan = ScorePlan(folder, contract, (3,), {"candidate": found["twin"], "v1": champion["twin"]})
    assert set(score_models(trainer, plan, zero_one, metric("accuracy"))) == {"candidate"}
    assert old != folder


def test_a_damaged_champion_is_left_out_and_a_damaged_candidate_is_an_error(frozen, stream_frame, tmp_path):
    folder, contract, found = fitted(frozen, stream_frame(240, seed=1), LogisticRegression(), tmp_path)
    trainer, gone = Estimator(LogisticRegression()), str(tmp_path / "nowhere")
    plan = ScorePlan(folder, contract, (3,), {"candidate": found["twin"], "v1": gone})
    assert set(score_models(trainer, plan, zero_one, metric("accuracy"))) == {
        "candidate"
    }  # it cannot serve either
    with pytest.raises(BundleError, match="no model in"):
        score_models(
            trainer, ScorePlan(folder, contract, (3,), {"candidate": gone}), zero_one, metric("accuracy")
        )


def test_regression(frozen, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"t": range(240), "x": rng.normal(size=240)})
    frame["label"] = 2 * frame["x"] + rng.normal(size=240) * 0.1
    folder, contract, found = fitted(frozen, frame, LinearRegression(), tmp_path)
    plan = ScorePlan(folder, contract, (3,), {"candidate": found["twin"]})
    scores = score_models(Estimator(LinearRegression()), plan, squared, metric("r2"))
    assert scores["candidate"].metric > 0.98

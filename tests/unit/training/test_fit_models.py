"""What a training child does: twin and candidate from the snapshot alone, and the twin blind to what judges it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from rekindle.data.contract import Contract
from rekindle.data.snapshot import BATCH, thaw
from rekindle.errors import NotEnoughData
from rekindle.models.bundle import open_bundle
from rekindle.models.signature import Signature
from rekindle.training.estimator import Estimator
from rekindle.training.job import FitPlan, fit_models, make_table


class Spy(Estimator):
    """Notes the tables it was given."""

    def __init__(self, model):
        super().__init__(model)
        self.seen = []

    def fit(self, train, valid, previous):
        self.seen.append((train, valid, previous))
        return super().fit(train, valid, previous)


def marked(rows=240, seed=0):
    """`row` tells every row from every other, and the label is chance: knowing it means having seen the row."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"t": range(rows), "row": np.arange(rows) * 1.0, "label": rng.integers(0, 2, rows)})


def test_the_twin_never_sees_the_rows_that_judge_it(frozen, tmp_path):
    folder, contract = frozen(marked(), per_batch=60)
    trainer = Spy(DecisionTreeClassifier())
    found = fit_models(trainer, FitPlan("toy", folder, contract, (2, 3), None, 0), tmp_path / "run")
    rows, _ = thaw(folder)
    judging = rows[rows[BATCH].isin([2, 3])]
    twin = open_bundle(found["twin"], trainer).predict(judging)
    candidate = open_bundle(found["candidate"], trainer).predict(judging)
    assert (candidate == judging["label"]).all(), "the candidate is fitted on the whole window"
    assert 0.3 < (twin == judging["label"]).mean() < 0.7, "a tree that had seen them would know them"
    (for_twin, *_), (for_candidate, valid, previous) = trainer.seen
    assert for_twin.features["row"].max() == 119
    assert for_candidate.features["row"].max() == 239
    assert valid is None
    assert previous is None


def test_a_hole_between_judged_batches_hides_what_is_newer_than_the_first(frozen, tmp_path):
    """Batches after the oldest judged one are later than what is judged: a walk-forward twin may not know them."""
    folder, contract = frozen(marked(), per_batch=60)
    trainer = Spy(DummyClassifier())
    fit_models(trainer, FitPlan("toy", folder, contract, (1, 3), None, 0), tmp_path / "run")
    assert trainer.seen[0][0].features["row"].max() == 59


def test_without_judged_batches_there_is_no_twin(frozen, tmp_path):
    folder, contract = frozen(marked())
    found = fit_models(
        Estimator(DummyClassifier()), FitPlan("toy", folder, contract, (), None, 0), tmp_path / "run"
    )
    assert "twin" not in found
    assert found["rows"] == 240
    assert Path(found["candidate"]).is_dir()


def test_unlabelled_rows_are_left_out_of_both(frozen, tmp_path):
    frame = marked()
    frame["label"] = frame["label"].astype(float)
    frame.loc[frame.index % 3 == 0, "label"] = np.nan
    folder, contract = frozen(frame)
    trainer = Spy(DummyClassifier())
    found = fit_models(trainer, FitPlan("toy", folder, contract, (3,), None, 0), tmp_path / "run")
    assert found["rows"] == 160
    assert [len(train) for train, *_ in trainer.seen] == [120, 160]
    assert all(not pd.isna(train.label).any() for train, *_ in trainer.seen)


def test_too_few_rows_say_so(frozen, tmp_path):
    folder, contract = frozen(marked(61), per_batch=1)
    plan = FitPlan("toy", folder, contract, (1,), None, 0)
    with pytest.raises(NotEnoughData, match="1 labelled rows are left"):
        fit_models(Estimator(DummyClassifier()), plan, tmp_path / "run")


def test_weights_halve_every_half_life(frozen, tmp_path):
    """.5 ** (age in batches / 6), the age counted from the newest labelled batch of each model's own rows."""
    folder, contract = frozen(marked(480), per_batch=60)  # batches 0 .. 7
    trainer = Spy(LogisticRegression())
    fit_models(trainer, FitPlan("toy", folder, contract, (7,), 6.0, 0), tmp_path / "run")
    (for_twin, *_), (for_candidate, *_) = trainer.seen
    for train, newest in ((for_twin, 6), (for_candidate, 7)):
        batch = train.features["row"].to_numpy() // 60
        np.testing.assert_allclose(train.weight, 0.5 ** ((newest - batch) / 6))
        assert train.weight.max() == 1.0


def test_without_a_half_life_all_weigh_the_same(frozen):
    folder, contract = frozen(marked())
    rows, _ = thaw(folder)
    kept = Contract.from_json(contract)
    assert make_table(rows, kept, Signature(kept.features), None).weight is None


def test_tables_carry_their_task_and_sorted_classes(frozen):
    frame = marked()
    frame["label"] = np.where(frame["label"] == 1, "yes", "no")
    frame["colour"] = np.where(frame["row"] % 2, "red", "blue")
    folder, contract = frozen(frame)
    rows, _ = thaw(folder)
    kept = Contract.from_json(contract)
    table = make_table(rows, kept, Signature(kept.features), None)
    assert (table.task, table.classes, len(table)) == ("classification", ("no", "yes"), 240)
    assert table.features["colour"].dtype == "category"
    assert table.features["row"].dtype == np.float64


def test_manifests_say_what_was_fitted(frozen, tmp_path):
    folder, contract = frozen(marked())
    plan = FitPlan("toy", folder, contract, (3,), 6.0, 7, {"run": "run-1", "snapshot": "abc"})
    found = fit_models(Estimator(DummyClassifier(), seed=7), plan, tmp_path / "run")
    for role, name, rows in (("twin", "twin", 180), ("fit", "candidate", 240)):
        said = json.loads((Path(found[name]) / "manifest.json").read_text())
        assert (said["role"], said["rows"], said["seed"], said["half_life"]) == (role, rows, 7, 6.0)
        assert (said["run"], said["snapshot"], said["classes"]) == ("run-1", "abc", [0, 1])
        assert found[f"{role}_seconds"] >= 0
        assert found[f"{role}_cpu_seconds"] >= 0


def test_progress_is_reported(frozen, tmp_path):
    folder, contract = frozen(marked())
    told = []
    plan = FitPlan("toy", folder, contract, (3,), None, 0)
    fit_models(
        Estimator(DummyClassifier()), plan, tmp_path / "run", lambda share, text: told.append((share, text))
    )
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1.0


def test_the_same_plan_makes_the_same_models(frozen, tmp_path):
    frame = marked()
    frame["label"] = frame["row"] * 0.5
    folder, contract = frozen(frame, task="regression")
    plan = FitPlan("toy", folder, contract, (3,), None, 0)
    trainer = Estimator(LinearRegression())
    one, two = (fit_models(trainer, plan, tmp_path / name) for name in ("a", "b"))
    rows, _ = thaw(folder)
    for which in ("twin", "candidate"):
        np.testing.assert_array_equal(
            open_bundle(one[which], trainer).predict(rows), open_bundle(two[which], trainer).predict(rows)
        )

"""A model that already runs becomes champion, is never judged by rows it knows, and is replaced by a better one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import rekindle as rk
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.errors import BundleError, ConfigError, DeclarationError
from rekindle.store import batches

HomeOf = Callable[..., Home]
START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBERS = ["x0", "x1"]


@pytest.fixture
def rows(stream_frame: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return stream_frame(96 * 14, start=START, step=timedelta(minutes=15))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START + 6 * DAY)


def declared(rows: pd.DataFrame, **fields: Any) -> rk.Loop:
    given: dict[str, Any] = {
        "source": rk.Frame(rows, time="t", label="label"), "trainer": rk.Estimator(LogisticRegression()),
        "metric": "roc_auc", "every": "1d", "features": NUMBERS, "guards": [], "triggers": [rk.PerformanceDecay()],
    }  # fmt: skip
    return rk.Loop("toy", **{**given, **fields})


def losses(home: Home) -> dict[int, dict[int, float]]:
    with home.store.read() as conn:
        return batches.losses(conn, "toy")


def test_an_adopted_model_is_replaced_by_a_better_one_through_the_loop(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    """Checklist row 62: 1.4.2 becomes 1.4.3."""
    model, meta = tmp_path / "model.joblib", tmp_path / "meta.json"
    old = rows[rows["t"] < START + 3.5 * DAY]
    joblib.dump(DummyClassifier(strategy="prior").fit(old[NUMBERS], old["label"]), model)
    meta.write_text(json.dumps({"version": "1.4.2", "roc_auc": 0.91}))
    home = home_of(
        declared(rows, policy=rk.SkiRental(rk.Price.ratio(0.01)), gates=[rk.NotWorse()]), clock=clock
    )
    version = home.adopt(
        "toy", model, meta=meta, trained_through=(START + 3.5 * DAY).isoformat(), allow_pickle=True
    )
    assert (version.number, version.label, version.run) == (1, "1.4.2", None)
    assert version.metadata["candidate_metric"] == 0.91
    assert set(home.champion("toy").predict(rows)) <= {0, 1}
    home.tick("toy")
    assert sorted(losses(home)[1]) == [4, 5]  # the day of 3.5 holds rows it may have seen
    home.retrain("toy", "it is a dummy")
    champion = home.registry.champion("toy")
    assert champion is not None
    assert champion.label == "1.4.3"
    run = home.runs("toy").iloc[0]
    assert run["cause"].startswith("1.4.2 -> 1.4.3: ")
    assert min(run["metadata"]["judged"]) > 3
    assert run["metadata"]["candidate_loss"] < run["metadata"]["champion_loss"]
    assert {"candidate_metric", "champion_metric", "retrained_at"} <= set(champion.metadata)


def test_the_loop_itself_replaces_it_when_that_pays(
    stream_frame: Callable[..., pd.DataFrame], home_of: HomeOf, tmp_path: Path
) -> None:
    rows = stream_frame(1600, drift=1.0)
    old = rows[rows["t"] < 400]
    model = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(old[NUMBERS], old["label"]), model)
    loop = declared(rows[rows["t"] < 400], every=100, policy=rk.SkiRental(rk.Price.ratio(0.05)), triggers=[])
    home = home_of(loop)
    home.adopt("toy", model, allow_pickle=True)
    for until in range(500, 1601, 100):
        grown = declared(rows[rows["t"] < until], every=100, policy=loop.policy, triggers=[])
        home.loops["toy"] = grown
        home.tick("toy")
    champion = home.registry.champion("toy")
    assert champion is not None
    assert champion.run is not None
    assert champion.number > 1


def test_by_default_no_row_that_is_there_judges_it(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    model = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(rows[NUMBERS], rows["label"]), model)
    home = home_of(declared(rows), clock=clock)
    version = home.adopt("toy", model, allow_pickle=True)
    assert version.trained_through == clock.now()
    assert version.label == "v1"
    assert home.tick("toy").decisions == ()
    clock.advance(DAY)
    assert [d.batch for d in home.tick("toy").decisions] == [6]


def test_a_pickle_is_loaded_only_on_the_users_word(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    class Opens:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "opened",))

    for name in ("model.joblib", "model.pkl"):
        joblib.dump(Opens(), tmp_path / name)
        home = home_of(declared(rows), clock=clock)
        with pytest.raises(BundleError, match="--allow-pickle"):
            home.adopt("toy", tmp_path / name)
    assert not (tmp_path / "opened").exists()
    assert home.registry.champion("toy") is None


def test_a_skops_file_needs_no_word_and_refuses_foreign_types(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.skops", tmp_path / "bad.skops"
    fitted = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=5))
    skops.io.dump(fitted.fit(rows[NUMBERS], rows["label"]), good)
    skops.io.dump(Foreign().fit(rows[NUMBERS], rows["label"]), bad)
    home = home_of(declared(rows), clock=clock)
    with pytest.raises(BundleError, match="types nobody allowed"):
        home.adopt("toy", bad)
    assert home.adopt("toy", good).label == "v1"
    assert np.array_equal(home.champion("toy").predict(rows), fitted.predict(rows[NUMBERS]))


class Foreign(LogisticRegression):  # type: ignore[misc]
    """A type that the operator did not allow."""


def test_a_pipeline_with_its_own_encoder_gets_its_text_as_text(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    model = tmp_path / "model.joblib"
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough"
    )
    pipeline = Pipeline([("encode", encoder), ("fit", LogisticRegression())])
    seen = ["x0", "colour", "x1"]
    joblib.dump(pipeline.fit(rows[seen], rows["label"]), model)
    loop = declared(rows, features=(), trainer=rk.Estimator(pipeline), policy=rk.Always())
    home = home_of(loop, clock=clock)
    home.adopt("toy", model, trained_through=START + 3 * DAY, allow_pickle=True)
    served = home.champion("toy")
    assert served.signature.names == tuple(seen)
    assert np.allclose(served.predict_proba(rows), pipeline.predict_proba(rows[seen]))
    assert served.predict({"x0": 1.0, "x1": 0.0, "colour": "never seen"}).shape == (1,)
    report = home.tick("toy")  # the same recipe is fitted again on categories
    assert report.outcome in ("PROMOTED", "KEPT_CHAMPION")


def test_a_model_fitted_without_names_takes_the_columns_in_order(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    model = tmp_path / "model.joblib"
    fitted = LogisticRegression().fit(rows[NUMBERS].to_numpy(), rows["label"])
    joblib.dump(fitted, model)
    with pytest.raises(BundleError, match="takes 2 features without names, the source has 3: x0, x1, colour"):
        home_of(declared(rows, features=()), clock=clock, home="other").adopt("toy", model, allow_pickle=True)
    home = home_of(declared(rows), clock=clock)
    home.adopt("toy", model, allow_pickle=True)
    assert np.array_equal(home.champion("toy").predict(rows), fitted.predict(rows[NUMBERS].to_numpy()))


def test_what_cannot_be_adopted_is_said_and_leaves_nothing(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    home = home_of(declared(rows), clock=clock)
    model = tmp_path / "model.joblib"
    renamed = rows.rename(columns={"x1": "income"})
    joblib.dump(LogisticRegression().fit(renamed[["x0", "income"]], rows["label"]), model)
    with pytest.raises(BundleError, match="feature 'income'"):
        home.adopt("toy", model, allow_pickle=True)
    joblib.dump({"not": "a model"}, model)
    with pytest.raises(BundleError, match="dict"):
        home.adopt("toy", model, allow_pickle=True)
    joblib.dump(LogisticRegression(), model)
    with pytest.raises(BundleError, match="not fitted"):
        home.adopt("toy", model, allow_pickle=True)
    model.write_bytes(b"nothing")
    with pytest.raises(BundleError, match="cannot be loaded"):
        home.adopt("toy", model, allow_pickle=True)
    with pytest.raises(BundleError, match="no model file"):
        home.adopt("toy", tmp_path / "nowhere.joblib", allow_pickle=True)
    (tmp_path / "model.txt").write_text("tree")
    with pytest.raises(BundleError, match=r"no \.skops, \.joblib or \.pkl"):
        home.adopt("toy", tmp_path / "model.txt")
    joblib.dump(LogisticRegression().fit(rows[NUMBERS], rows["label"]), model)
    (tmp_path / "meta.json").write_text("[1]")
    with pytest.raises(ConfigError, match="meta"):
        home.adopt("toy", model, meta=tmp_path / "meta.json", allow_pickle=True)
    with pytest.raises(ConfigError, match="trained_through"):
        home.adopt("toy", model, trained_through="last week", allow_pickle=True)
    assert home.registry.champion("toy") is None
    assert not list((home.folder / "models").rglob("manifest.json"))
    home.adopt("toy", model, allow_pickle=True)
    with pytest.raises(DeclarationError, match="has a champion already"):
        home.adopt("toy", model, allow_pickle=True)


def test_labels_other_than_the_models_own_are_refused(
    rows: pd.DataFrame, clock: ManualClock, home_of: HomeOf, tmp_path: Path
) -> None:
    """A model that says "good" and "bad" where the rows say 0 and 1 would be wrong on every row."""
    model = tmp_path / "model.joblib"
    words = np.where(rows["label"] == 1, "good", "bad")
    joblib.dump(LogisticRegression().fit(rows[NUMBERS], words), model)
    home = home_of(declared(rows), clock=clock)
    with pytest.raises(BundleError, match=r"bad, good.*0, 1"):
        home.adopt("toy", model, allow_pickle=True)
    joblib.dump(LinearRegression().fit(rows[NUMBERS], rows["label"]), model)
    with pytest.raises(BundleError, match=r"the labels of the source are 0, 1"):
        home.adopt("toy", model, allow_pickle=True)

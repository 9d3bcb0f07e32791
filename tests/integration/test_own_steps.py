"""Steps of one's own in a file beside loops.py: trained in the child, opened again, and watched for edits."""

import sys
from textwrap import dedent

import pytest

import rekindle as rk
from rekindle.records import Outcome

STEPS = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Clip(TransformerMixin, BaseEstimator):
    def __init__(self, most=2.0):
        self.most = most
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return np.clip(np.asarray(X, dtype=float), -self.most, self.most)
"""
LOOPS = """
import rekindle as rk
from beside_steps import Clip
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def doubled(label, predicted):
    import beside_losses
    return beside_losses.twice(label, predicted)

toy = rk.Loop(
    "toy",
    rk.Parquet("{rows}", time="t", label="label", exclude=["colour"]),
    rk.Estimator(make_pipeline(Clip(), LogisticRegression()), trusted=["beside_steps.Clip"]),
    loss=doubled, every=60, policy=rk.Never(),
)
"""


@pytest.fixture
def folder(tmp_path, stream_frame):
    before = list(sys.path)
    place = tmp_path / "project"
    place.mkdir()
    import duckdb

    rows = stream_frame(300, seed=3)
    duckdb.sql(f"COPY rows TO '{place / 'rows.parquet'}'")
    (place / "beside_steps.py").write_text(dedent(STEPS))
    (place / "beside_losses.py").write_text(
        "def twice(label, predicted):\n    return 2.0 * (label != predicted)\n"
    )
    (place / "loops.py").write_text(LOOPS.format(rows=place / "rows.parquet"))
    yield place
    assert len(rows) == 300
    sys.path[:] = before
    for name in [m for m in sys.modules if m.startswith("beside_")]:
        del sys.modules[name]


def test_a_pipeline_step_beside_the_loops_file(folder, tmp_path):
    with rk.open(folder / "loops.py", home=tmp_path / "home") as home:
        report = home.tick("toy")
        assert report.run.outcome is Outcome.PROMOTED, report.run.cause
        assert report.run.metadata["candidate_loss"] < 1.0  # 2 x the share of errors
        assert home.champion("toy").predict([{"x0": 3.0, "x1": 0.0}]).tolist() == [1]
        assert home.tick("toy").decisions == ()
    del sys.modules["beside_steps"]
    (folder / "beside_steps.py").write_text(dedent(STEPS).replace("-self.most, self.most", "-1.0, self.most"))
    with rk.open(folder / "loops.py", home=tmp_path / "home") as home:
        (decision,) = home.tick("toy").decisions
        assert decision.reason == "declaration changed"
        assert decision.evidence["changed"] == ["trainer.model.steps[0][1]: its code was edited"]

"""Model files decide what is called, and with what: nothing that could be a program is built from one."""

import functools
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, SplineTransformer

from rekindle.errors import BundleError
from rekindle.training.estimator import Estimator
from rekindle.training.trusted import refused_types


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval",
        "builtins.getattr",
        "os.system",
        "posix.system",
        "subprocess.Popen",
        "numpy.load",
        "numpy.testing.rundocs",
        "numpy.f2py.compile",
        "numpy.ndarray.tofile",
        "scipy.stats._distn_infrastructure.rv_frozen",  # its __setstate__ executes text
        "sklearn.utils._testing.check_output",  # subprocess's own, imported there
        "sklearn.base.inspect",
        "sklearn.pipeline.chain",  # a class, but not one of scikit-learn's
        "sklearn.datasets.fetch_openml",
        "sklearn.datasets._base.load_files",
        "sklearn.tree._export.export_graphviz",
        "sklearn.externals._arff.load",
        "sklearn.nosuch.Thing",
        "sklearn",
        "sklearnx.Thing",
        "joblib.numpy_pickle.load",
        "",
    ],
)
def test_what_could_do_harm_is_refused(name):
    assert refused_types([name], ()) == [name]


def test_the_operator_has_the_last_word():
    assert refused_types(["my.steps.Clip", "builtins.eval"], {"my.steps.Clip"}) == ["builtins.eval"]


def test_a_file_that_is_a_program_is_refused_before_anything_is_built(tmp_path):
    mark = tmp_path / "mark"
    program = functools.partial(eval, f"open({str(mark)!r}, 'w') and None", {})
    skops.io.dump(FunctionTransformer(program), tmp_path / "model.skops")
    with pytest.raises(BundleError, match=r"nobody allowed: builtins\.eval"):
        Estimator.for_loading().load(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("function", [os.system, subprocess.check_output, np.save, pd.read_pickle])
def test_functions_of_other_packages_are_refused(function, tmp_path):
    skops.io.dump(FunctionTransformer(function), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="types nobody allowed"):
        Estimator.for_loading().load(tmp_path)


def clip(values):
    return np.clip(values, -1, 1)


def test_ones_own_step_needs_ones_own_word(tmp_path):
    pipe = make_pipeline(FunctionTransformer(clip), LogisticRegression())
    features = pd.DataFrame({"x": np.linspace(-2, 2, 40)})
    fitted = pipe.fit(features, features["x"] > 0)
    with pytest.raises(BundleError, match=r"declare rk\.Estimator") as caught:
        Estimator(pipe).save(fitted, tmp_path)
    name = f"{clip.__module__}.clip"
    assert f"trusted=['{name}']" in str(caught.value)
    trainer = Estimator(pipe, trusted=[name])
    trainer.save(fitted, tmp_path)
    again = trainer.load(tmp_path)
    np.testing.assert_array_equal(trainer.predict(again, features), fitted.predict_proba(features))
    with pytest.raises(BundleError, match="nobody allowed"):
        Estimator.for_loading().load(tmp_path)


ORDINARY = [
    GradientBoostingClassifier(n_estimators=2),
    KNeighborsClassifier(algorithm="kd_tree"),
    MLPClassifier((2,), max_iter=300, tol=1.0),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
    GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2),
    GaussianProcessClassifier(),
    VotingClassifier([("a", LogisticRegression())]),
    make_pipeline(SelectKBest(k=1), FunctionTransformer(np.expm1), LogisticRegression()),
    make_pipeline(SplineTransformer(), QuantileTransformer(n_quantiles=5), LogisticRegression()),
]


@pytest.mark.parametrize("model", ORDINARY, ids=lambda m: type(m).__name__)
def test_ordinary_models_need_no_word(model, tmp_path):
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    fitted = model.fit(features, features["a"] > 0)
    trainer = Estimator(model)
    trainer.save(fitted, tmp_path)
    np.testing.assert_allclose(
        trainer.predict(trainer.load(tmp_path), features), trainer.predict(fitted, features)
    )

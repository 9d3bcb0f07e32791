"""Every trainer keeps the promises of the protocol."""

from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from rekindle.testing.trainers import TrainerSuite
from rekindle.training.estimator import Estimator


class TestBoosting(TrainerSuite):
    def make(self):
        return Estimator(HistGradientBoostingClassifier(max_iter=5))


class TestLogistic(TrainerSuite):
    def make(self):
        return Estimator(LogisticRegression())


class TestWithoutProbabilities(TrainerSuite):
    def make(self):
        return Estimator(RidgeClassifier())


class TestPipeline(TrainerSuite):
    def make(self):
        front = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough"
        )
        return Estimator(make_pipeline(front, DecisionTreeClassifier(max_depth=4)), seed=3)


class TestConstant(TrainerSuite):
    learns = False

    def make(self):
        return Estimator(DummyClassifier())


class TestBoostingRegression(TrainerSuite):
    task = "regression"

    def make(self):
        return Estimator(HistGradientBoostingRegressor(max_iter=5))


class TestLinearRegression(TrainerSuite):
    task = "regression"

    def make(self):
        return Estimator(LinearRegression())


class TestForestRegression(TrainerSuite):
    task = "regression"

    def make(self):
        return Estimator(RandomForestRegressor(n_estimators=5, max_depth=4), seed=7)

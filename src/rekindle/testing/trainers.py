"""The conformance suite of trainers, run on all of rekindle's own."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.declaration import declare
from rekindle.models.bundle import open_bundle, write_bundle
from rekindle.models.signature import Signature
from rekindle.records import Column
from rekindle.training.table import Table

if TYPE_CHECKING:
    from rekindle.protocols import Model, Trainer

__all__ = ["TrainerSuite", "sample_table"]

ROWS = 200
SIGNATURE = Signature(
    (Column("x0", "number"), Column("x1", "number"), Column("colour", "category", ("red", "blue")))
)


class TrainerSuite:
    """Subclass it, say how to `make` the trainer, and pytest runs every promise of the protocol.

    The rows (see `sample_table`) hold two numbers, a category, and a label that follows from them. `task` says
    which label; `learns` whether the model must beat a constant on them.

        class TestMyTrainer(TrainerSuite):
            def make(self):
                return MyTrainer(depth=3)
    """

    task = "classification"
    learns = True

    def make(self) -> Trainer:
        """A new trainer, the same each time."""
        raise NotImplementedError(f"{type(self).__name__} must say how to make its trainer")

    def test_one_prediction_per_row(self) -> None:
        trainer, table = self.make(), self._table()
        outputs = np.asarray(trainer.predict(trainer.fit(table, None, None), table.features))
        assert len(outputs) == len(table)
        assert outputs.ndim in ((1, 2) if self.task == "classification" else (1,))
        if outputs.dtype.kind == "f":
            assert np.isfinite(outputs).all()
        if outputs.ndim == 2:
            np.testing.assert_allclose(outputs.sum(axis=1), 1.0, atol=1e-5)

    def test_it_learns(self) -> None:
        trainer, table = self.make(), self._table()
        answer = self._decided(trainer, trainer.fit(table, None, None), table.features)
        if self.task == "classification":
            wrong, constant = np.mean(answer != table.label), 1 - _largest_share(table.label)
        else:
            wrong, constant = np.mean((answer - table.label) ** 2), np.var(table.label)
        assert not self.learns or wrong < 0.8 * constant, f"error {wrong:.3f}, a constant has {constant:.3f}"

    def test_same_rows_same_model(self) -> None:
        table = self._table()
        first, second = (self._predicted(self.make(), table) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        trainer = self.make()
        np.testing.assert_array_equal(self._predicted(trainer, table), self._predicted(trainer, table))

    def test_fitting_changes_neither_its_rows_nor_itself(self) -> None:
        trainer, table = self.make(), self._table(weighted=True)
        before, told = copy.deepcopy(table), declare(trainer)
        trainer.fit(table, None, None)
        pd.testing.assert_frame_equal(table.features, before.features)
        np.testing.assert_array_equal(table.label, before.label)
        np.testing.assert_array_equal(table.weight, before.weight)
        assert declare(trainer) == told

    def test_predicting_changes_nothing(self) -> None:
        trainer, table = self.make(), self._table()
        model = trainer.fit(table, None, None)
        before = table.features.copy(deep=True)
        first = np.asarray(trainer.predict(model, table.features)).copy()
        np.testing.assert_array_equal(trainer.predict(model, table.features), first)
        pd.testing.assert_frame_equal(table.features, before)

    def test_a_row_alone_is_answered_as_among_others(self) -> None:
        trainer, table = self.make(), self._table()
        model = trainer.fit(table, None, None)
        whole = np.asarray(trainer.predict(model, table.features))
        for place in (0, ROWS // 2, ROWS - 1):
            alone = np.asarray(trainer.predict(model, table.features.iloc[place : place + 1]))
            _assert_alike(alone, whole[place : place + 1])

    def test_weights_are_taken(self) -> None:
        table = self._table(weighted=True)
        assert len(self._predicted(self.make(), table)) == ROWS

    def test_it_comes_back_from_its_files(self) -> None:
        trainer, table = self.make(), self._table()
        model = trainer.fit(table, None, None)
        with tempfile.TemporaryDirectory() as place:
            folder, beside = Path(place) / "model", Path(place) / "beside"
            folder.mkdir()
            beside.mkdir()
            trainer.save(model, folder)
            assert list(folder.iterdir()), "nothing was written"
            assert sorted(p.name for p in Path(place).iterdir()) == ["beside", "model"], (
                "written outside its folder"
            )
            again = self.make().load(folder)
            _assert_alike(trainer.predict(again, table.features), trainer.predict(model, table.features))

    def test_it_fills_a_bundle(self) -> None:
        trainer, table = self.make(), self._table()
        model = trainer.fit(table, None, None)
        classes = getattr(trainer, "classes", lambda _: table.classes)(model)
        with tempfile.TemporaryDirectory() as place:
            folder = write_bundle(
                Path(place) / "bundle", trainer, model, loop="suite", signature=SIGNATURE, task=self.task,
                classes=tuple(classes), probe=table.features.tail(5), about={},
            )  # fmt: skip
            bundle = open_bundle(folder, self.make())
            answer = bundle.predict(table.features)
        assert len(answer) == ROWS
        if self.task == "classification":
            assert set(np.unique(answer)) <= set(table.classes)

    def test_it_travels_to_a_training_child(self) -> None:
        import cloudpickle

        table = self._table()
        moved = cloudpickle.loads(cloudpickle.dumps(self.make()))
        np.testing.assert_array_equal(self._predicted(moved, table), self._predicted(self.make(), table))

    def test_it_is_told_as_json_the_same_each_time(self) -> None:
        told = declare(self.make())
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert declare(self.make()) == told

    def _table(self, *, weighted: bool = False) -> Table:
        return sample_table(self.task, weighted=weighted)

    def _predicted(self, trainer: Trainer, table: Table) -> Any:
        return np.asarray(trainer.predict(trainer.fit(table, None, None), table.features))

    def _decided(self, trainer: Trainer, model: Model, rows: pd.DataFrame) -> Any:
        outputs = np.asarray(trainer.predict(model, rows))
        if outputs.ndim == 1:
            return outputs
        classes = getattr(trainer, "classes", lambda _: self._table().classes)(model)
        return np.asarray(classes)[outputs.argmax(axis=1)]


def sample_table(task: str = "classification", *, weighted: bool = False) -> Table:
    """200 rows with two numbers and a category, and a label that follows from all three."""
    rng = np.random.default_rng(8)
    colour = rng.choice(["red", "blue"], ROWS)
    features = SIGNATURE.prepare(
        pd.DataFrame({"x0": rng.normal(size=ROWS), "x1": rng.normal(size=ROWS), "colour": colour})
    )
    score = 2 * features["x0"].to_numpy() - features["x1"].to_numpy() + np.where(colour == "red", 1.0, -1.0)
    weight = np.linspace(0.1, 1.0, ROWS) if weighted else None
    if task == "regression":
        return Table(features, score, weight, task, ())
    label = np.where(score > 0, "yes", "no").astype(object)
    return Table(features, label, weight, task, ("no", "yes"))


def _largest_share(label: Any) -> float:
    return float(max(np.mean(label == value) for value in set(label)))


def _assert_alike(first: Any, second: Any) -> None:
    first, second = np.asarray(first), np.asarray(second)
    if second.dtype.kind == "f":
        np.testing.assert_allclose(first, second, atol=1e-6, rtol=1e-6)
    else:
        np.testing.assert_array_equal(first, second)

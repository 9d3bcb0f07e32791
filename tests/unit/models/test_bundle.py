"""Model folders: whole or refused. Every byte of them counts."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier

import rekindle.models.bundle as bundles
from rekindle.errors import BundleError, SchemaError
from rekindle.models.bundle import open_bundle, write_bundle
from rekindle.models.signature import Signature
from rekindle.records import Column
from rekindle.training.estimator import Estimator

SIGNATURE = Signature((Column("x", "number"), Column("z", "number")))


def rows(count=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=count), "z": rng.normal(size=count)})


def write(folder, model=None, labels=None, *, probe=None, task="classification", **about):
    frame = rows()
    labels = np.where(frame["x"] > 0, "yes", "no") if labels is None else labels
    model = (model or LogisticRegression()).fit(frame, labels)
    trainer = Estimator(model)
    probe = frame.tail(5) if probe is None else probe
    return write_bundle(folder, trainer, model, loop="toy", signature=SIGNATURE, task=task,
                        classes=trainer.classes(model), probe=probe, about=about)  # fmt: skip


@pytest.fixture
def whole(tmp_path):
    return write(tmp_path / "bundle", run="run-1", rows=60)


@pytest.fixture
def opened(whole):
    return open_bundle(whole, Estimator.for_loading(), version=16, label="v16")


def test_it_predicts_classes_and_probabilities(opened):
    frame = rows()
    assert (opened.loop, opened.version, opened.label, opened.task) == ("toy", 16, "v16", "classification")
    assert opened.classes == ("no", "yes")
    assert opened.predict_proba(frame).shape == (60, 2)
    assert (opened.predict(frame) == np.where(opened.predict_proba(frame)[:, 1] > 0.5, "yes", "no")).all()
    assert len(opened.probe) == 5
    assert opened.manifest["run"] == "run-1"


def test_models_without_probabilities(tmp_path):
    ridge = open_bundle(write(tmp_path / "a", RidgeClassifier()), Estimator.for_loading())
    assert set(ridge.predict(rows())) == {"no", "yes"}
    line = open_bundle(
        write(tmp_path / "b", LinearRegression(), rows()["x"] * 2, task="regression"), Estimator.for_loading()
    )
    np.testing.assert_allclose(line.predict(rows()), rows()["x"] * 2)
    for bundle in (ridge, line):
        with pytest.raises(BundleError, match="gives no probabilities"):
            bundle.predict_proba(rows())


def test_no_rows_make_no_predictions(opened, tmp_path):
    line = open_bundle(
        write(tmp_path / "b", LinearRegression(), rows()["x"], task="regression"), Estimator.for_loading()
    )
    for none in ([], rows(0), np.empty((0, 2))):
        assert opened.predict(none).shape == (0,)
        assert opened.predict_proba(none).shape == (0, 2)
        assert line.predict(none).shape == (0,)


def test_a_missing_feature_is_named(opened):
    with pytest.raises(SchemaError, match="lack the feature 'z'"):
        opened.predict([{"x": 1.0}])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["manifest.json", "model/model.skops"])
def test_a_flipped_byte_anywhere_is_noticed(whole, tmp_path, name):
    size = (whole / name).stat().st_size
    places = np.random.default_rng(1).choice(size, 20, replace=False).tolist()
    for place in [0, size - 1, *places]:
        copy = tmp_path / f"copy-{place}"
        shutil.copytree(whole, copy)
        flip(copy / name, place)
        with pytest.raises(BundleError):
            open_bundle(copy, Estimator.for_loading())


def rewrite(folder, change, seal=False):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(bundles._sealed(manifest) if seal else json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(classes=["yes", "no"]),  # would turn every answer round
        lambda m: m["signature"].reverse(),
        lambda m: m.update(rows=61),
        lambda m: None,  # the same in other words
        lambda m: m["files"].clear(),
        lambda m: m.pop("probe"),
        lambda m: m.pop("seal"),
        lambda m: m.pop("version"),
        lambda m: m.update(version="1"),
    ],
)
def test_an_altered_manifest_is_noticed(whole, change):
    rewrite(whole, change)
    with pytest.raises(BundleError, match="was altered"):
        open_bundle(whole, Estimator.for_loading())


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x00\x01", '"text"'])
def test_an_unreadable_manifest(whole, text):
    (whole / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(whole, Estimator.for_loading())


def test_a_newer_format_says_to_upgrade(whole):
    rewrite(whole, lambda m: m.update(version=2))
    with pytest.raises(BundleError, match="format 2, this rekindle reads 1; upgrade"):
        open_bundle(whole, Estimator.for_loading())


@pytest.mark.parametrize("name", ["manifest.json", "model/model.skops", "model"])
def test_what_is_missing_is_named(whole, name):
    path = whole / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(BundleError, match=r"missing|no model in"):
        open_bundle(whole, Estimator.for_loading())


def test_no_folder_at_all(tmp_path):
    with pytest.raises(BundleError, match="there is no model in"):
        open_bundle(tmp_path / "nowhere", Estimator.for_loading())


def test_an_added_file_is_refused(whole):
    (whole / "model" / "sitecustomize.py").write_text("print('hello')")
    with pytest.raises(BundleError, match=r"sitecustomize\.py was added"):
        open_bundle(whole, Estimator.for_loading())


def test_another_model_under_the_same_hashes_fails_the_probe(whole, tmp_path):
    """Hashes in the manifest follow the file: only the stored predictions know that it is another model."""
    other = write(tmp_path / "other", LogisticRegression(C=0.001))
    shutil.copy(other / "model" / "model.skops", whole / "model" / "model.skops")

    def follow(manifest):
        manifest["files"] = {"model.skops": bundles._sha256(whole / "model" / "model.skops")}

    rewrite(whole, follow, seal=True)
    with pytest.raises(BundleError, match=r"no longer predicts what it did .*same library versions"):
        open_bundle(whole, Estimator.for_loading())


def test_a_failed_probe_names_the_libraries_that_changed(whole):
    def age(manifest):
        manifest["libraries"]["scikit-learn"] = "0.1"
        manifest["probe"]["outputs"][0][0] += 0.1

    rewrite(whole, age, seal=True)
    with pytest.raises(BundleError, match=r"scikit-learn 0\.1 -> .*; retrain, or restore"):
        open_bundle(whole, Estimator.for_loading())


class Nested(Estimator):
    """Keeps its model in a folder of folders."""

    def save(self, model, folder):
        (folder / "weights").mkdir()
        super().save(model, folder / "weights")

    def load(self, folder):
        return super().load(folder / "weights")


def test_files_in_folders_are_hashed_too(tmp_path):
    frame = rows()
    model = LogisticRegression().fit(frame, frame["x"] > 0)
    trainer = Nested(model)
    folder = write_bundle(tmp_path / "b", trainer, model, loop="toy", signature=SIGNATURE, task="classification",
                          classes=trainer.classes(model), probe=frame.tail(3), about={})  # fmt: skip
    assert open_bundle(folder, trainer).predict(frame).dtype == bool
    flip(folder / "model" / "weights" / "model.skops", 100)
    with pytest.raises(BundleError, match=r"weights/model\.skops was altered"):
        open_bundle(folder, trainer)


class Failing(Estimator):
    def __init__(self, where):
        super().__init__(LogisticRegression())
        self.where = where

    def load(self, folder):
        if self.where == "load":
            raise AttributeError("no such module any more")
        return super().load(folder)

    def predict(self, model, rows):
        if self.where == "predict":
            raise AttributeError("no such module any more")
        return super().predict(model, rows)


@pytest.mark.parametrize(("where", "said"), [("load", "cannot be loaded"), ("predict", "cannot predict")])
def test_what_a_trainer_raises_becomes_a_sentence(whole, where, said):
    with pytest.raises(BundleError, match=f"{said}: AttributeError: no such module any more"):
        open_bundle(whole, Failing(where))


def test_a_model_that_predicts_nan_is_not_written(tmp_path):
    class Broken(Estimator):
        def predict(self, model, rows):
            return np.full(len(rows), np.nan)

    model = LinearRegression().fit(rows(), rows()["x"])
    with pytest.raises(BundleError, match="predicts NaN or inf"):
        write_bundle(tmp_path / "b", Broken(model), model, loop="toy", signature=SIGNATURE, task="regression",
                     classes=(), probe=rows().tail(3), about={})  # fmt: skip
    assert list(tmp_path.iterdir()) == [], "nothing half written stays"


def test_a_model_without_probe_rows_is_let_in(tmp_path):
    folder = write(tmp_path / "b", probe=rows(0))
    assert open_bundle(folder, Estimator.for_loading()).probe == []


def test_probes_with_missing_values_and_categories(tmp_path):
    signature = Signature((Column("x", "number"), Column("k", "category", ("u", "v"))))
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0], "k": ["u", None, "w", "v"]})
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=2).fit(signature.prepare(frame), [0, 1, 0, 1])
    trainer = Estimator(model)
    folder = write_bundle(tmp_path / "b", trainer, model, loop="toy", signature=signature, task="classification",
                          classes=trainer.classes(model), probe=frame, about={})  # fmt: skip
    np.testing.assert_array_equal(
        open_bundle(folder, trainer).predict(frame), model.predict(signature.prepare(frame))
    )


def test_writing_again_replaces_the_folder(whole):
    before = open_bundle(whole, Estimator.for_loading()).predict_proba(rows())
    write(whole, LogisticRegression(C=0.01))
    after = open_bundle(whole, Estimator.for_loading()).predict_proba(rows())
    assert not np.allclose(before, after)

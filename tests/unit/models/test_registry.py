"""The registry: which version bears which alias, and opened bundles kept at hand."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from rekindle.clock import ManualClock
from rekindle.errors import BundleError, UnknownName
from rekindle.models.bundle import write_bundle
from rekindle.models.registry import Registry
from rekindle.models.signature import Signature
from rekindle.records import Column, Version
from rekindle.store import loops, open_store, versions
from rekindle.store.loops import Revision
from rekindle.training.estimator import Estimator

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = pd.DataFrame({"x": np.arange(10.0)})


@pytest.fixture
def registry(tmp_path):
    store = open_store(tmp_path / "rekindle.db", ManualClock(NOW))
    with store.begin() as conn:
        loops.register(conn, Revision("abc", "toy", {}, "", None, None, NOW), file="")
    yield Registry(store, tmp_path / "models", cache=2)
    store.close()


def add(registry, number, label=1):
    trainer = Estimator(DummyClassifier())
    model = DummyClassifier().fit(ROWS, [label, label, *[0] * 8] if label == 0 else [label] * 9 + [0])
    folder = write_bundle(registry.bundle_folder("toy", f"run-{number}"), trainer, model, loop="toy",
                          signature=Signature((Column("x", "number"),)), task="classification",
                          classes=trainer.classes(model), probe=ROWS.tail(2), about={})  # fmt: skip
    version = Version("toy", number, f"v{number}", str(folder), f"run-{number}", number, NOW, number)
    with registry.store.begin() as conn:
        versions.add(conn, version)
    return version


class Counting(Estimator):
    loads = 0

    def load(self, folder):
        type(self).loads += 1
        return super().load(folder)


@pytest.fixture
def trainer():
    Counting.loads = 0
    return Counting(DummyClassifier())


def promote(registry, number, expect):
    with registry.store.begin() as conn:
        versions.promote(conn, "toy", number, NOW, expect=expect)


def test_nobody_serves_at_first(registry):
    assert registry.champion("toy") is None
    assert registry.bearer("toy", "previous") is None


def test_aliases_move_with_promotions(registry):
    first, second = add(registry, 1), add(registry, 2)
    promote(registry, 1, None)
    assert registry.champion("toy") == first
    promote(registry, 2, 1)
    assert registry.champion("toy") == second
    assert registry.bearer("toy", "previous") == first
    assert registry.get("toy", 1) == first
    with pytest.raises(UnknownName):
        registry.get("toy", 3)


def test_bundles_lie_under_model_and_run(registry):
    assert registry.bundle_folder("toy", "run-1") == registry.folder / "toy" / "run-1"


def test_a_bundle_is_opened_once(registry, trainer):
    version = add(registry, 1)
    first = registry.open(version, trainer)
    assert registry.open(version, trainer) is first
    assert Counting.loads == 1
    assert (first.version, first.label) == (1, "v1")


def test_the_least_used_bundle_goes_first(registry, trainer):
    one, two, three = (add(registry, n) for n in (1, 2, 3))
    first = registry.open(one, trainer)
    registry.open(two, trainer)
    registry.open(one, trainer)
    registry.open(three, trainer)  # two goes
    assert registry.open(one, trainer) is first
    assert Counting.loads == 3
    registry.open(two, trainer)
    assert Counting.loads == 4


def test_a_damaged_bundle_is_not_kept(registry, trainer):
    version = add(registry, 1)
    path = registry.bundle_folder("toy", "run-1") / "model" / "model.skops"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match="was altered"):
        registry.open(version, trainer)
    path.write_bytes(content)
    assert registry.open(version, trainer).version == 1


def test_many_threads_open_at_once(registry, trainer):
    many = [add(registry, n) for n in (1, 2, 3, 4)]
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda k: registry.open(many[k % 4], trainer).version, range(80)))
    assert opened == [k % 4 + 1 for k in range(80)]

"""A changed trainer, features or source makes another model: a `manual` signal once, answered by a run."""

from dataclasses import replace

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import rekindle as rk
from rekindle.app.loading import LoopsFile
from rekindle.app.registering import register
from rekindle.clock import SystemClock
from rekindle.data.source import Frame
from rekindle.records import Outcome
from rekindle.store import loops, open_store


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "rekindle.db", SystemClock())
    yield store
    store.close()


@pytest.fixture
def toy(stream_frame):
    frame = stream_frame(300, seed=3)

    def make(name="toy", *, source=None, trainer=None, **fields):
        source = source or Frame(frame, time="t", label="label")
        return rk.Loop(name, source, trainer or rk.Estimator(DummyClassifier()), policy=rk.Never(), **fields)

    return make


def told(store, *declared, text=""):
    return register(store, LoopsFile("", text, declared, None, None), SystemClock())


def setting(store, name="toy"):
    with store.read() as conn:
        return list(loops.get(conn, name).settings.get("changed") or [])


def test_a_new_loop_is_no_change(store, toy):
    found = told(store, toy("a"), toy("b"))
    assert set(found.revisions) == {"a", "b"}
    assert found.changes == {}
    assert setting(store, "a") == []


def test_the_same_declaration_again_changes_nothing(store, toy):
    assert told(store, toy()).revisions == told(store, toy()).revisions
    with store.read() as conn:
        assert len(loops.revisions(conn, "toy")) == 1


OTHER_MODELS = {
    "trainer": lambda toy, frame: toy(trainer=rk.Estimator(DummyClassifier(strategy="prior"), seed=1)),
    "features": lambda toy, frame: toy(features=["x0"]),
    "source": lambda toy, frame: toy(source=Frame(frame, time="t", label="label", exclude=["x1"])),
}
SAME_MODEL = {
    "notify": {"notify": [rk.env("TOY_URL")]},
    "policy": {"policy": rk.Every(7)},
    "gates": {"gates": []},
    "guards": {"guards": [rk.Cooldown("24h")]},
    "triggers": {"triggers": []},
    "act": {"act": "advise"},
    "metric": {"metric": "roc_auc"},
}


@pytest.mark.parametrize("field", OTHER_MODELS)
def test_what_makes_another_model_is_noted(store, toy, stream_frame, field):
    told(store, toy())
    found = told(store, OTHER_MODELS[field](toy, stream_frame(300, seed=3)))
    (line, *_) = found.changes["toy"]
    assert line.startswith(field)
    assert setting(store) == found.changes["toy"]


@pytest.mark.parametrize("field", SAME_MODEL)
def test_what_leaves_the_model_alone_is_only_a_revision(store, toy, stream_frame, field):
    told(store, toy())
    fields = SAME_MODEL[field]
    changed = rk.Loop("toy", toy().source, toy().trainer, **{"policy": rk.Never(), **fields})
    found = told(store, changed)
    assert found.changes["toy"]
    assert all(line.startswith(field) for line in found.changes["toy"])
    assert setting(store) == []


def test_a_comment_in_the_file_is_a_revision_and_no_change(store, toy):
    first = told(store, toy(), text="a = 1")
    second = told(store, toy(), text="a = 1  # one")
    assert first.revisions != second.revisions
    assert second.changes == {"toy": []}
    assert setting(store) == []


def test_a_default_of_nan_is_no_change(store, stream_frame):
    """SimpleImputer(missing_values=nan): nan differs from itself, and would retrain at every start."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    def loop(**fields):
        source = Frame(stream_frame(60), time="t", label="label")
        trainer = rk.Estimator(make_pipeline(SimpleImputer(), LogisticRegression()))
        return rk.Loop("toy", source, trainer, **fields)

    told(store, loop())
    found = told(store, loop(notify=[rk.env("TOY_URL")]))
    assert found.changes["toy"] == ["notify: [] -> [rk.env('TOY_URL')]"]
    assert setting(store) == []


def test_the_signal_comes_once_and_a_run_answers_it(home_of, toy):
    home = home_of(toy(every=60))
    assert home.tick("toy").run.outcome is Outcome.PROMOTED
    assert home.tick("toy").decisions == ()

    changed = toy(every=60, trainer=rk.Estimator(DecisionTreeClassifier(max_depth=2)))
    home = home_of(changed)
    assert home.check("toy").changed == ("trainer.model: DummyClassifier -> DecisionTreeClassifier",)
    report = home.tick("toy")
    (decision,) = report.decisions
    assert (decision.action, decision.reason) == ("retrain", "declaration changed")
    assert decision.signals[0].kind == "manual"
    assert decision.evidence["changed"] == ["trainer.model: DummyClassifier -> DecisionTreeClassifier"]
    assert report.run.strategy == "manual"
    assert home.tick("toy").decisions == (), "answered"
    assert home_of(changed).tick("toy").decisions == (), "also after a restart"


def test_a_change_of_notify_starts_nothing(home_of, toy):
    home = home_of(toy(every=60))
    home.tick("toy")
    home = home_of(toy(every=60, notify=[rk.env("TOY_URL")]))
    assert home.check("toy").changed == ("notify: [] -> [rk.env('TOY_URL')]",), "said, but nothing follows"
    assert home.tick("toy").decisions == ()
    assert len(home.runs("toy")) == 1


def test_revisions_keep_what_was_declared(store, toy):
    declared = LoopsFile("/x/loops.py", "text", (toy(),), "abc", True)
    found = register(store, declared, SystemClock())
    with store.read() as conn:
        (kept,) = loops.revisions(conn, "toy")
    assert (kept.id, kept.source, kept.git_commit, kept.git_dirty) == (
        found.revisions["toy"],
        "text",
        "abc",
        True,
    )
    assert kept.declaration["name"] == "toy"
    register(store, replace(declared, text="more"), SystemClock())
    with store.read() as conn:
        assert len(loops.revisions(conn, "toy")) == 2

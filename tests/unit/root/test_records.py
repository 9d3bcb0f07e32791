"""The nouns: frozen, shown safely, and states that know their end."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import UTC, datetime

import pytest

from rekindle import records
from rekindle.errors import ConfigError, DeclarationError
from rekindle.records import Action, Decision, Env, Kind, Run, RunState, Signal

NOUNS = [t for t in vars(records).values() if is_dataclass(t) and t.__module__ == records.__name__]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda n: n.__name__)
def test_nouns_are_frozen_and_slim(noun):
    assert noun.__dataclass_params__.frozen
    assert "__slots__" in vars(noun)
    assert noun.__doc__
    assert not noun.__doc__.startswith(f"{noun.__name__}("), "a docstring of its own"


def test_every_field_is_explained():
    import inspect

    source = inspect.getsource(records)
    for noun in NOUNS:
        text = source[source.index(f"class {noun.__name__}") :]
        for field in fields(noun):
            line = next(row for row in text.splitlines() if row.strip().startswith(f"{field.name}:"))
            rest = text[text.index(line) :].split("\n    def ")[0]
            assert "#" in rest.split("\n\n")[0], f"{noun.__name__}.{field.name} has no comment"


def test_a_noun_does_not_change():
    signal = Signal(Kind.DATA_DRIFT, "DataDrift", 3, 0.3, 0.2, "psi")
    with pytest.raises(FrozenInstanceError):
        signal.severity = 5


def test_notebooks_show_tables_without_running_anything():
    decision = Decision(Action.WAIT, "Never", "<script>alert(1)</script>", {"x": "<b>"}, would_change="")
    shown = decision._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<caption>Decision</caption>" in shown
    assert "would_change" not in shown, "what is empty is left out"
    assert "priority" in shown


def test_only_three_states_are_final():
    assert {state for state in RunState if state.final} == {
        RunState.COMPLETED,
        RunState.FAILED,
        RunState.ERROR,
    }
    run = Run("run-1", "churn", "abc", "manual", "", "manual", 3, 9, datetime(2026, 1, 1, tzinfo=UTC))
    assert run.state is RunState.QUEUED
    assert run._repr_html_()


def test_a_secret_is_read_when_it_is_needed(monkeypatch):
    secret = Env("CHURN_URL")
    monkeypatch.delenv("CHURN_URL", raising=False)
    with pytest.raises(ConfigError, match=r"export CHURN_URL=\.\.\."):
        secret.value()
    monkeypatch.setenv("CHURN_URL", "")
    with pytest.raises(ConfigError):
        secret.value()
    monkeypatch.setenv("CHURN_URL", "tgram://T0K3N")
    assert secret.value() == "tgram://T0K3N"
    assert "T0K3N" not in repr(secret)


@pytest.mark.parametrize("name", ["", "A B", "a-b", "1a", "tgram://T0K3N", None, 5, b"A"])
def test_a_secret_has_the_name_of_a_variable(name):
    with pytest.raises(DeclarationError, match="name a variable"):
        Env(name)

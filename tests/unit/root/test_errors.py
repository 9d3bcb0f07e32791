"""One tree of errors; each is a sentence that names the next action."""

import inspect

import pytest

from rekindle import errors
from rekindle.errors import (
    ConfigError,
    DeclarationError,
    RekindleError,
    SourceError,
    StoreError,
    UnknownName,
    did_you_mean,
)

ALL = [
    thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, RekindleError)
]


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = {}
    for line in errors.__doc__.splitlines():
        name = line.lstrip("├└─│ ").split(" ")[0]
        if name in vars(errors):
            drawn[name] = line
    assert set(drawn) == {kind.__name__ for kind in ALL}
    for kind in ALL:
        parent = kind.__bases__[1] if len(kind.__bases__) > 1 else None
        if parent is not None:
            assert f"({parent.__name__})" in drawn[kind.__name__], (
                f"{kind.__name__} has the parent {parent.__name__}"
            )
        below_another = kind is not RekindleError and kind.__bases__[0] is not RekindleError
        assert drawn[kind.__name__].startswith("│   ") == below_another, (
            f"{kind.__name__} stands at the wrong depth"
        )


def test_every_error_is_exported():
    assert set(errors.__all__) == {kind.__name__ for kind in ALL} | {"did_you_mean"}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DeclarationError("every", "soon", "give a span"), "every='soon' cannot be used: give a span"),
        (
            ConfigError("threads", "x", "REKINDLE_THREADS", "give a whole number"),
            "setting threads='x' (from REKINDLE_THREADS) cannot be used: give a whole number",
        ),
        (UnknownName("loop", "chrun", ["churn", "fraud"]), "no loop named 'chrun'. Did you mean 'churn'?"),
        (UnknownName("run", "x", []), "no run named 'x'. Known: none."),
        (SourceError("no file matches"), "no file matches"),
        (StoreError("disk full", 28), "disk full"),
        (SourceError(), ""),
    ],
)
def test_sentences(error, sentence):
    assert str(error) == sentence


def test_standard_parents():
    assert issubclass(DeclarationError, ValueError)
    assert issubclass(UnknownName, LookupError)
    assert issubclass(SourceError, OSError)
    assert issubclass(errors.HomeBusy, StoreError)
    assert issubclass(errors.TrainingKilled, errors.TrainingError)


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("triger", ["trainer", "triggers"], "Did you mean 'triggers'?"),
        ("xyz", ["b", "a"], "Known: a, b."),
        ("", ["a"], "Known: a."),
        ("a", [], "Known: none."),
        ("aa", iter(["ab", "zz"]), "Did you mean 'ab'?"),
    ],
)
def test_did_you_mean(word, known, said):
    assert did_you_mean(word, known) == said

"""A declaration as JSON: the same in every process, another one when anything in it was edited."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import rekindle as rk
from rekindle.declaration import declare, differences, fingerprint, head_field
from rekindle.records import Action, Env

LOOPS = """
import functools
import numpy as np
import rekindle as rk
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

LIMIT = 1.0

class Mine:
    words = {"alpha", "beta", "gamma", "delta"}
    def __init__(self):
        self.words = {"alpha", "beta", "gamma", "delta", "epsilon"}
        self.table = {"a": np.arange(5.0), "b": frozenset([3, 1, 2])}
    def decide(self, view):
        return None
    def observe(self, outcome):
        pass

def scaled(by):
    def loss(label, predicted):
        return by * abs(label - predicted)
    return loss

def notify(event, *, to="me"):
    print(event, to)

toy = rk.Loop(
    "toy", rk.Parquet("toy.parquet", time="t", label="y"),
    rk.Estimator(make_pipeline(SimpleImputer(), FunctionTransformer(lambda x: x * 2), LogisticRegression())),
    loss=scaled(2.0),
    policy=Mine(),
    gates=[lambda candidate, champion, rows, run: None, functools.partial(notify, to="you")],
    guards=[Mine().decide],
    notify=[notify, rk.env("TOY_URL")],
)
"""
TELL = """
import json, sys
from rekindle.app.loading import load_loops
from rekindle.declaration import fingerprint
found = [load_loops(path).loops[0].declaration() for path in sys.argv[1:]]
print(json.dumps([[fingerprint(said), said] for said in found]))
"""
EDITS = [
    ("x * 2", "x * 3", "trainer.model.steps[1][1].func: its code was edited"),
    ("by * abs", "by + abs", "loss: its code was edited"),
    ("scaled(2.0)", "scaled(3.0)", "loss.holds: [2.0] -> [3.0]"),
    ("return None\n", "return view\n", "policy: its code was edited"),
    ("print(event, to)", "print(to, event)", "notify[0]: its code was edited"),
    ('to="me"', 'to="us"', "notify[0].holds: ['me'] -> ['us']"),
    ('to="you"', 'to="them"', "gates[1].keywords.to: 'you' -> 'them'"),
    ("rows, run: None", "rows, run: 0", "gates[0]: its code was edited"),
    ('"delta", "epsilon"', '"delta", "zeta"', "policy.words: ['alpha'"),
    ("np.arange(5.0)", "np.arange(6.0)", "policy.table.a.shape: [5] -> [6]"),
    ("LogisticRegression())),", "LogisticRegression(C=2))),", "trainer.model.steps[2][1].C: 1.0 -> 2"),
    ("SimpleImputer()", "SimpleImputer(strategy='median')", "steps[0][1].strategy: 'mean' -> 'median'"),
    ("TOY_URL", "TOY_MAIL", "notify[1]: rk.env('TOY_URL') -> rk.env('TOY_MAIL')"),
    ("toy.parquet", "toys.parquet", "source.path: 'toy.parquet' -> 'toys.parquet'"),
]
IDLE = ["\n# a comment at the end\n", "\nUNUSED = 1\n"]


def tell(folder, texts, seed):
    """Fingerprint and declaration of each text, in a process of its own."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / str(number) / "loops.py")
        paths[-1].parent.mkdir()
        paths[-1].write_text(text)
    done = subprocess.run([sys.executable, "-c", TELL, *map(str, paths)], check=True, capture_output=True,
                          text=True, env={**os.environ, "PYTHONHASHSEED": seed})  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes say of the loop, and one of each of its edited forms."""
    edited = [LOOPS.replace(before, after) for before, after, _ in EDITS]
    idle = [LOOPS + more for more in IDLE]
    first, *others = tell(tmp_path_factory.mktemp("one"), [LOOPS, *edited, *idle], "0")
    (second,) = tell(tmp_path_factory.mktemp("two"), [LOOPS], "4711")
    return first, second, others


def test_it_is_the_same_in_every_process_and_place(told):
    first, second, _ = told
    assert first == second


@pytest.mark.parametrize("number", range(len(EDITS)), ids=[f"{b} becomes {a}" for b, a, _ in EDITS])
def test_every_edit_makes_another_one_and_is_told(told, number):
    (one, before), _, others = told
    other, after = others[number]
    assert one != other
    lines = differences(before, after)
    said = EDITS[number][2]
    assert any(said in line for line in lines), lines
    named = "trainer" if said.startswith("steps") else head_field(said)
    assert {head_field(line) for line in lines} <= {named, "guards", "gates"}, (
        "which hold the same class and function"
    )


def test_what_the_loop_does_not_use_is_no_part_of_it(told):
    first, _, others = told
    assert others[len(EDITS) :] == [first, first]


def test_the_text_of_the_file_is_part_of_the_fingerprint():
    assert (
        fingerprint({"a": 1}, "text")
        != fingerprint({"a": 1}, "other text")
        != fingerprint({"a": 2}, "other text")
    )
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint({})) == 12


class Colour(Enum):
    RED = "red"


@dataclass
class Plain:
    a: int = 1
    hidden: dict = field(default_factory=dict, compare=False)
    later: int = field(default=0, init=False)


class Slotted:
    __slots__ = ()


class Describing:
    def describe(self):
        return {"what": (1, 2)}


class Circle:
    def __init__(self):
        self.me, self._private = [self], object()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("a", "a"),
        (timedelta(hours=1), "1:00:00"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:00+00:00"),
        (Colour.RED, "red"),
        (Action.WAIT, "wait"),
        (Env("X"), {"env": "X"}),
        ((1, [2, {"b": 3}]), [1, [2, {"b": 3}]]),
        ({1: 2}, {"1": 2}),
        ({"c", "a", "b"}, ["a", "b", "c"]),
        (frozenset([2, 1]), [1, 2]),
        (float("nan"), {"float": "nan"}),
        (float("-inf"), {"float": "-inf"}),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
    ],
)
def test_values(value, told):
    assert declare(value) == told
    assert json.loads(json.dumps(declare(value), allow_nan=False)) == told


def test_objects():
    assert declare(Plain(2)) == {"a": 2, "kind": f"{__name__}.Plain", "code": declare(Plain())["code"]}
    assert declare(Describing())["what"] == [1, 2]
    assert "0x" not in json.dumps(declare(Slotted()))
    assert declare(Circle())["me"] == [{"again": f"{__name__}.Circle"}]
    assert (
        declare(np.arange(10_000))["content"] != declare(np.where(np.arange(10_000) == 5000, 1, 0))["content"]
    )
    assert declare(np.array(["a", None], dtype=object))["values"] == ["a", None]


def test_bound_methods_and_partial_calls_tell_what_they_hold():
    def one(x, y=1):
        return x + y

    assert declare(functools.partial(one, 2)) != declare(functools.partial(one, 3))
    assert declare(Plain(1).__eq__) != declare(Plain(2).__eq__)
    assert declare(one)["holds"] == [1]


def test_code_without_text_is_told_by_its_instructions():
    """Typed in a shell, or compiled from a string."""

    def made(text):
        place = {"__name__": "shell"}
        exec(text, place)  # noqa: S102
        return place["f"]

    assert declare(made("def f(x): return x + 1")) == declare(made("def f(x): return x + 1"))
    assert declare(made("def f(x): return x + 1")) != declare(made("def f(x): return x + 2"))
    nested = "def f(x):\n    def g(y): return y in {1, 2, 3, %d}\n    return g"
    assert declare(made(nested % 4)) == declare(made(nested % 4)) != declare(made(nested % 5))


def test_installed_packages_are_told_by_their_version():
    assert "code" not in json.dumps(declare(make_pipeline(SimpleImputer(), LogisticRegression())))
    assert "code" not in declare(rk.Never())


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def test_nothing_and_not_there_are_the_same():
    """A field that a newer rekindle adds is no change of a declaration that does without it."""
    assert differences({"a": 1}, {"a": 1, "added": None}) == []


@given(
    st.dictionaries(st.text(max_size=4), JSON, max_size=4),
    st.dictionaries(st.text(max_size=4), JSON, max_size=4),
)
def test_there_is_a_difference_exactly_where_there_is_one(old, new):
    assert differences(old, old) == []
    lines = differences(old, new)
    assert bool(lines) == (old != new)
    assert all(len(line) < 400 for line in lines)


def test_differences_survive_the_store():
    """What was stored as JSON is compared with what is declared now."""
    said = rk.Loop("a", rk.Parquet("x", time="t", label="y"), rk.Estimator(SimpleImputerModel)).declaration()
    assert differences(json.loads(json.dumps(said)), said) == []


SimpleImputerModel = make_pipeline(SimpleImputer(missing_values=float("nan")), LogisticRegression())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("every: '1d' -> '7d'", "every"),
        ("trainer.model.C: 1 -> 2", "trainer"),
        ("features[0]: {} -> []", "features"),
        ("source: Parquet -> CSV", "source"),
        ("loss: its code was edited", "loss"),
        ("trainer", "trainer"),
    ],
)
def test_the_field_of_a_difference(line, name):
    assert head_field(line) == name

"""Bad input on the command line: exit 1 or 2 with one sentence, never a trace; the champion serves on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekindle.app.cli import build
from rekindle.app.cli.ending import run_to_exit_code
from rekindle.engine.nursery import Nursery

LOOPS = """
import rekindle as rk
from sklearn.ensemble import HistGradientBoostingClassifier

trainer = rk.Estimator(HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=4))
source = rk.CSV("rows.csv", time="t", label="label")
toy = rk.Loop("toy", source, trainer, every=100, policy=rk.Never(), gates=[], guards=[])
"""
Rows = pd.DataFrame


class Kept:
    """The session's nursery, which no command may close."""

    def __init__(self, nursery: Nursery) -> None:
        self.run, self.warm = nursery.run, nursery.warm

    def close(self) -> None: ...

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None: ...


class Shell:
    """Runs commands in a folder of its own and keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = run_to_exit_code(build, list(words))
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        assert "defect of rekindle" not in self.err, self.err
        return code

    def champion(self) -> str | None:
        assert self("status", "--json") == 0
        found: str | None = json.loads(self.out)[0]["champion"]
        return found


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, stream_frame: Callable[..., Rows]
) -> Path:
    """A folder with a loops file, 400 rows and a home whose champion learned from them."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "loops.py").write_text(LOOPS)
    stream_frame(400, seed=1).to_csv(folder / "rows.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("rekindle.app.home.Nursery", lambda: Kept(nursery))
        assert run_to_exit_code(build, ["tick"]) == 0
    return folder


@pytest.fixture
def shell(
    tmp_path: Path,
    trained: Path,
    nursery: Nursery,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """A shell in a copy of that folder."""
    place = tmp_path / "here"
    shutil.copytree(trained, place)
    monkeypatch.chdir(place)
    monkeypatch.setattr("rekindle.app.home.Nursery", lambda: Kept(nursery))
    monkeypatch.setattr("rekindle.app.demo.play.Nursery", lambda: Kept(nursery))
    capsys.readouterr()
    return Shell(capsys)


@pytest.fixture
def rows(stream_frame: Callable[..., Rows]) -> Rows:
    return stream_frame(600, seed=1)


def write(table: Rows, path: str = "rows.csv") -> None:
    table.to_csv(path, index=False)


BROKEN: dict[str, tuple[Any, str]] = {
    "empty": (b"", "is empty (0 bytes)"),
    "garbage": (b"\x00\xff\xfe", "error:"),
    "ragged": (b"t,x0,x1,colour,label\n1,2\n3,4,5,6,7,8,9\n", "fields"),
    "no label": (lambda rows: rows.drop(columns="label"), "no column 'label'"),
    "no time": (
        lambda rows: rows.rename(columns={"t": "tt"}),
        "no column 't' (declared as time). Did you mean 'tt'?",
    ),
    "feature gone": (lambda rows: rows.drop(columns="x1"), "column 'x1' is gone from the source"),
    "fractions": (lambda rows: rows.assign(t=rows["t"] + 0.5), "'t' holds 0.5"),
    "words": (lambda rows: rows.assign(t="yesterday"), "which is no time"),
    "dates now": (lambda rows: rows.assign(t="2026-03-01"), "held an index and now holds dates"),
    "mixed": (
        lambda rows: rows.assign(t=["2026-03-01T00:00:00", *["2026-03-01T00:00:00Z"] * (len(rows) - 1)]),
        "mixes times with and without a time zone",
    ),
    "header only": (lambda rows: rows.head(0), "no rows any more"),
    "leap": (lambda rows: rows.assign(t=rows["t"] * 10**12), "is the newest time a mistake?"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", ["tick", "check"])
def test_a_broken_file_ends_in_a_sentence_and_nothing_is_lost(
    shell: Shell, rows: Rows, case: str, command: str
) -> None:
    content, said = BROKEN[case]
    if isinstance(content, bytes):
        Path("rows.csv").write_bytes(content)
    else:
        write(content(rows))
    assert shell(command) == 1
    assert said in shell.err + shell.out
    write(rows)
    assert shell.champion() == "v1"
    assert shell("tick", "--json") == 0
    assert [d["batch"] for d in json.loads(shell.out)[0]["decisions"]] == [4, 5]


@pytest.mark.parametrize("command", ["status", "decisions", "runs", "versions"])
def test_looking_works_without_the_rows(shell: Shell, command: str) -> None:
    Path("rows.csv").unlink()
    assert shell(command, "--json") == 0
    assert json.loads(shell.out)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("x0", "n/k", "holds text where a number was"),
        ("x0", "inf", "is infinite"),
        ("label", "perhaps", "holds text where a number was"),
    ],
)
def test_bad_rows_are_quarantined(shell: Shell, rows: Rows, column: str, value: str, reason: str) -> None:
    rows[column] = rows[column].astype(object)
    rows.loc[450, column] = value
    write(rows)
    assert shell("tick") == 0
    aside = pd.read_csv(".rekindle/quarantine/toy/batch-4.csv")
    assert aside["t"].tolist() == [450]
    assert reason in aside["reason"][0]
    assert shell.champion() == "v1"


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(x0=rows["x0"].where(rows["t"] < 400)),
        lambda rows: rows.assign(colour=rows["colour"].where(rows["t"] < 400, "ultraviolet")),
        lambda rows: rows.assign(label=rows["label"].where(rows["t"] < 400)),
        lambda rows: rows.assign(label=rows["label"].where(rows["t"] < 400, 1)),
        lambda rows: rows.sample(frac=1, random_state=0),
        lambda rows: pd.concat([rows, rows.tail(50)]),
        lambda rows: rows.assign(extra=1),
    ],
    ids=["all null", "new category", "no labels", "one class", "unsorted", "duplicated", "extra column"],
)
def test_rows_that_may_pass_are_decided_on(shell: Shell, rows: Rows, change: Callable[[Rows], Rows]) -> None:
    write(change(rows))
    assert shell("tick", "--json") == 0
    assert [d["decision"] for d in json.loads(shell.out)[0]["decisions"]] == ["wait", "wait"]
    assert shell.champion() == "v1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.assign(label=1), "one class only"),
        (lambda rows: rows.assign(label=None), "no row of the window has a known label"),
        (
            lambda rows: rows.assign(x0=rows["x0"].where(rows["t"] % 3 == 0, np.inf)),
            "break the contract, e.g. 'x0' is infinite",
        ),
    ],
    ids=["one class", "no labels", "all bad"],
)
def test_a_first_history_that_cannot_train_is_exit_1(
    shell: Shell, rows: Rows, change: Callable[[Rows], Rows], said: str
) -> None:
    shutil.rmtree(".rekindle")
    write(change(rows))
    assert shell("tick") == 1
    assert said in shell.out + shell.err
    assert shell.champion() is None


@pytest.mark.parametrize("command", ["tick", "check", "status", "up"])
def test_a_file_where_the_home_should_be(shell: Shell, command: str) -> None:
    Path("file").write_text("not a folder")
    for home in ("file", "file/deeper"):
        assert shell(command, "loops.py", "--home", home) == 1
        assert "cannot be made" in shell.err
        assert "--home FOLDER or REKINDLE_HOME" in shell.err


def test_a_folder_where_the_database_should_be(shell: Shell) -> None:
    shutil.rmtree(".rekindle")
    Path(".rekindle/rekindle.db").mkdir(parents=True)
    assert shell("tick") == 1
    assert "rekindle.db" in shell.err


def test_a_database_that_is_none(shell: Shell) -> None:
    for extra in Path(".rekindle").glob("rekindle.db*"):
        extra.unlink()
    Path(".rekindle/rekindle.db").write_text("not a database" * 100)
    assert shell("tick") == 1
    assert "rekindle.db" in shell.err


# rekindle demo --data


def demo(shell: Shell, path: str = "own.csv", **flags: str) -> int:
    given = {"time": "t", "label": "label", "batches": "12", **flags}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return shell("demo", "--data", path, *words, "--json")


DEMO_BROKEN: dict[str, tuple[Any, str]] = {
    **{
        k: BROKEN[k]
        for k in ("empty", "garbage", "ragged", "no label", "no time", "fractions", "words", "mixed")
    },
    "header only": (lambda rows: rows.head(0), "no rows"),
    "one row": (lambda rows: rows.head(1), "make no 12 batches"),
    "one time": (lambda rows: rows.assign(t=5), "make no 12 batches"),
    "no labels": (lambda rows: rows.assign(label=None), "no row has a known label"),
    "no labels yet": (
        lambda rows: rows.assign(label=rows["label"].where(rows["t"] > 450)),
        "no row has a known label",
    ),
    "one class": (lambda rows: rows.assign(label=1), "one class only"),
    "no feature": (lambda rows: rows[["t", "label"]], "no feature column is left"),
    "nothing known": (lambda rows: rows.assign(x0=None, x1=None, colour=None), "no feature column is left"),
}


@pytest.mark.parametrize("case", DEMO_BROKEN)
def test_a_demo_on_a_broken_file_ends_in_a_sentence(shell: Shell, rows: Rows, case: str) -> None:
    content, said = DEMO_BROKEN[case]
    if isinstance(content, bytes):
        Path("own.csv").write_bytes(content)
    else:
        write(content(rows), "own.csv")
    assert demo(shell) in (1, 2)
    assert said in shell.err
    assert shell.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "nowhere.csv", "--time", "t", "--label", "label"), "no file matches"),
        (("--data", "rows.csv", "--label", "label"), "--time"),
        (("--data", "rows.csv", "--time", "t"), "--label"),
        (("--time", "t"), "--data FILE"),
        (("--data", "rows.csv", "--time", "t", "--label", "label", "--tz", "Mars/Olympus"), "Europe/Berlin"),
        (("--data", "rows.csv", "--time", "t", "--label", "label", "--batches", "3"), "12 or more"),
        (("--data", "rows.csv", "--time", "t", "--label", "lable"), "Did you mean 'label'"),
        (("--data", "rows.csv", "--time", "t", "--label", "t"), "different columns"),
        (("--stream", "credits"), "Did you mean 'credit'"),
    ],
)
def test_a_demo_asked_wrongly_ends_in_a_sentence(shell: Shell, words: tuple[str, ...], said: str) -> None:
    assert shell("demo", *words) in (1, 2)
    assert said in shell.err


@pytest.mark.slow
def test_a_demo_on_dirty_rows_plays_to_the_end(shell: Shell, rows: Rows) -> None:
    """Words among numbers, inf, new categories, holes in the labels, one null column, odd names: all at once."""
    dirty = rows.assign(nothing=None, flag=rows["x1"] > 0).astype({"x0": object, "label": object})
    dirty.loc[::97, "x0"] = "n/k"
    dirty.loc[13::101, "x0"] = "inf"
    dirty.loc[::83, "label"] = None
    dirty.loc[7, "label"] = "perhaps"
    dirty.loc[500:, "colour"] = "ultraviolet"
    write(dirty.rename(columns={"x1": 'it\'s "x1"'}), "own file.csv")
    assert demo(shell, "own file.csv") == 0
    told = json.loads(shell.out)
    assert told["batches"] == 12
    assert set(told["baselines"]) == {"never", "always"}
    assert 0 < told["mean_loss"] < 0.5


@pytest.mark.slow
def test_a_demo_with_labels_of_words_and_dates(shell: Shell, rows: Rows) -> None:
    worded = rows.assign(
        label=rows["label"].map({0: "red", 1: "blue"}), t=pd.date_range("2026-01-01", periods=600, freq="h")
    )
    write(worded, "own.csv")
    assert demo(shell, tz="Europe/Berlin") == 0
    assert 0 < json.loads(shell.out)["mean_loss"] < 0.5

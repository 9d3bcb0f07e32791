"""In a notebook: `rk.open`, the verbs as methods, tables as DataFrames, records as small HTML tables."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.errors import DeclarationError, SourceError, UnknownName
from rekindle.records import Action, Decision, Kind, Signal

LOOPS = """
from pathlib import Path
from sklearn.linear_model import LogisticRegression
import rekindle as rk

ROWS = str(Path(__file__).parent / "rows.parquet")
churn = rk.Loop("churn", rk.Parquet(ROWS, time="t", label="label"), rk.Estimator(LogisticRegression()), every=100)
fraud = rk.Loop("fraud", rk.Parquet(ROWS, time="t", label="label"), rk.Estimator(LogisticRegression()), every=100)
"""


@pytest.fixture
def folder(
    tmp_path: Path, stream_frame: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> Path:
    frame = stream_frame(500)
    assert len(frame) == 500
    duckdb.sql("SELECT * FROM frame").write_parquet(str(tmp_path / "rows.parquet"))
    (tmp_path / "loops.py").write_text(LOOPS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home(folder: Path) -> Iterator[rk.Home]:
    with rk.open("loops.py") as home:
        yield home


def cells(shown: str) -> dict[str, str]:
    return {k: html.unescape(v) for k, v in re.findall(r"<th>(.*?)</th><td>(.*?)</td>", shown)}


def test_the_verbs_of_a_home(home: rk.Home, folder: Path) -> None:
    assert home.names() == ["churn", "fraud"]
    assert home.names("c*") == ["churn"]
    checked = home.check("churn")
    assert checked.advised
    assert home.decisions("churn").empty
    ticked = home.tick("churn")
    assert ticked.outcome == "PROMOTED"
    decisions, runs, versions = home.decisions("churn"), home.runs("churn"), home.versions("churn")
    assert isinstance(decisions, pd.DataFrame)
    assert decisions[["loop", "action", "rule"]].to_numpy().tolist() == [["churn", "retrain", "FirstModel"]]
    assert runs.loc[0, "outcome"] == "PROMOTED"
    assert versions[["label", "alias"]].to_numpy().tolist() == [["v1", "champion"]]
    rows = duckdb.sql("FROM 'rows.parquet'").df()
    assert set(home.champion("churn").predict(rows)) == {0, 1}
    assert home.champion("churn").predict_proba({"x0": 1.0, "x1": 0.0, "colour": "red"}).shape == (1, 2)
    assert home.retrain("churn", "to see").run is not None
    assert len(home.runs("churn")) == 2
    assert [s["loop"] for s in home.status()] == ["churn", "fraud"]
    home.pause("churn")
    assert home.status("churn")[0]["paused"]
    home.resume("churn")
    with pytest.raises(UnknownName, match="champion"):
        home.champion("fraud")
    with pytest.raises(UnknownName, match="Did you mean 'churn'"):
        home.tick("chrun")


def test_a_loop_declared_in_python_opens_and_trains(
    tmp_path: Path, stream_frame: Callable[..., pd.DataFrame]
) -> None:
    rows = stream_frame(500)
    loop = rk.Loop(
        "churn", rk.Frame(rows, time="t", label="label"), rk.Estimator(LogisticRegression()), every=100
    )
    for given in (loop, [loop], iter([loop])):
        with rk.open(given, home=tmp_path / "home") as home:
            assert home.names() == ["churn"]
            if not len(home.runs()):
                assert home.tick("churn").outcome == "PROMOTED"
            assert home.champion("churn").predict(rows).shape == (500,)


def test_open_takes_a_file_one_of_its_loops_and_settings(folder: Path) -> None:
    with rk.open("loops.py:fraud", home=folder / "other", threads=2) as home:
        assert home.names() == ["fraud"]
        assert home.folder == folder / "other"
        assert home.shop.limits.threads == 2
    with pytest.raises(SourceError, match="rekindle init"):
        rk.open("nowhere.py")
    with pytest.raises(UnknownName, match="Did you mean 'fraud'"):
        rk.open("loops.py:frud")


def test_two_loops_of_one_name_are_refused(folder: Path, stream_frame: Callable[..., pd.DataFrame]) -> None:
    rows = stream_frame(100)
    twins = [
        rk.Loop("a", rk.Frame(rows, time="t", label="label"), rk.Estimator(LogisticRegression(C=c)))
        for c in (1, 2)
    ]
    with pytest.raises(DeclarationError, match="names are unique"):
        rk.open(twins, home=folder / "home")
    for strays in ([], [twins[0], "loops.py"], 7):
        with pytest.raises((DeclarationError, TypeError)):
            rk.open(strays, home=folder / "home")  # type: ignore[arg-type]


def test_records_show_as_tables(home: rk.Home) -> None:
    ticked = home.tick("churn")
    shown = cells(ticked._repr_html_())
    assert shown["loop"] == "churn"
    assert ticked.decisions[0]._repr_html_().startswith("<table>")
    assert cells(ticked.decisions[0]._repr_html_())["reason"] == "there is no champion yet"
    assert ticked.run is not None
    assert cells(ticked.run._repr_html_())["cause"].startswith("v1: ")
    assert "CheckReport" in home.check("churn")._repr_html_()
    signal = Signal(Kind.MANUAL, "Person", 3, 1.0, 0.0, "<script>alert(1)</script>")
    decision = Decision(Action.WAIT, "mine", "a < b & c", signals=(signal,))
    assert "<script>" not in signal._repr_html_() + decision._repr_html_()
    assert cells(decision._repr_html_())["reason"] == "a < b & c"


def test_a_closed_home_leaves_no_process(folder: Path) -> None:
    import psutil

    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with rk.open("loops.py") as home:
        home.tick("churn")
        assert {p.pid for p in psutil.Process().children(recursive=True)} - before
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert all(p.status() == psutil.STATUS_ZOMBIE for p in left)

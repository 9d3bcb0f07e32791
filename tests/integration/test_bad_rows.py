"""Bad input through the tick: an error in a sentence, or rows in quarantine with a reason; the champion serves on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looptoys import champion, counted, ran, told
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sqlalchemy import event

import rekindle as rk
from rekindle.app.config import Settings
from rekindle.app.home import Home
from rekindle.app.loading import LoopsFile
from rekindle.clock import ManualClock
from rekindle.data import snapshot
from rekindle.engine.nursery import Nursery
from rekindle.errors import NotEnoughData, SchemaError, SourceError, StoreError
from rekindle.observing import Scorer

NOON = datetime(2026, 3, 2, tzinfo=UTC)
TREES = HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=4)
Rows = pd.DataFrame
Change = Callable[[Rows], Any]


class Bench:
    """One loop on `rows.csv` of the present folder, which a test rewrites; 400 rows are history, batches hold 100."""

    def __init__(self, rows: Rows, **fields: Any) -> None:
        self.path, self.rows = Path("rows.csv"), rows
        columns = {c: fields.pop(c) for c in ("id", "label_time", "tz") if c in fields}
        given = {"trainer": rk.Estimator(TREES), "policy": rk.Never(), "triggers": [rk.DataDrift(min_rows=50)],
                 "gates": [], "guards": [], "every": 100}  # fmt: skip
        self.loop = rk.Loop(
            "toy", rk.CSV(self.path, time="t", label="label", **columns), **{**given, **fields}
        )
        self.write(rows.head(400))
        self.home: Home

    def write(self, rows: Rows) -> None:
        rows.to_csv(self.path, index=False)

    def start(self) -> Bench:
        """The first champion."""
        if champion(self.home) is None:
            assert self.home.tick("toy").outcome == "PROMOTED", ran(self.home)[-1].cause
        return self

    def next_batch(self, change: Change) -> Any:
        """Tick on rows 400 to 499 after `change` had its way with a copy of them."""
        fresh = self.rows.iloc[400:500].copy()
        changed = change(fresh)
        self.write(pd.concat([self.rows.head(400), fresh if changed is None else changed]))
        return self.home.tick("toy")

    def goes_on(self) -> None:
        """With good rows again nothing is lost: the batch is scored, by the champion that always served."""
        self.write(self.rows.head(500))
        assert self.home.tick("toy").loop == "toy"
        assert counted(self.home)[4] == (100, 100)
        assert champion(self.home) == "v1"


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, stream_frame: Callable[..., Rows]
) -> Path:
    """The home of the plainest bench, with its champion: most tests begin on a copy."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = Bench(stream_frame(600, seed=1))
        declared = [LoopsFile("", "", (made.loop,), None, None)]
        with Home(declared, Settings(home=folder / "home"), nursery=nursery) as made.home:
            made.start()
    return folder / "home"


@pytest.fixture
def bench(
    tmp_path: Path,
    trained: Path,
    home_of: Callable[..., Home],
    stream_frame: Callable[..., Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Bench]:
    monkeypatch.chdir(tmp_path)

    def make(**fields: Any) -> Bench:
        clock = fields.pop("clock", None)
        if not fields:
            shutil.copytree(trained, tmp_path / "home")
        rows = fields.pop("rows", stream_frame(600, seed=1))
        made = Bench(rows, **fields)
        made.home = home_of(made.loop, clock=clock)
        return made

    return make


def put(column: str, *values: Any) -> Change:
    """Other values into the first rows of a column."""

    def change(rows: Rows) -> None:
        rows[column] = rows[column].astype(object)
        rows.iloc[: len(values), rows.columns.get_loc(column)] = values

    return change


def quarantined(bench: Bench, name: str = "batch-4") -> list[str]:
    path = bench.home.folder / "quarantine" / "toy" / f"{name}.csv"
    return list(pd.read_csv(path)["reason"]) if path.exists() else []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("x0", "n/k"), "'x0' holds text where a number was, e.g. 'n/k'"),
        (put("x0", "inf"), "'x0' is infinite"),
        (put("x0", "-inf"), "'x0' is infinite"),
        (put("x0", "1e999"), "'x0' is infinite"),
        (put("label", "perhaps"), "'label' holds text where a number was, e.g. 'perhaps'"),
        (put("label", "0.5"), "'label' holds a fraction where a whole number was"),
    ],
)
def test_a_bad_row_is_quarantined_and_the_others_are_scored(
    bench: Callable[..., Bench], change: Change, reason: str
) -> None:
    made = bench().start()
    report = made.next_batch(change)
    assert [d.action for d in report.decisions] == ["wait"]
    assert quarantined(made) == [reason]
    assert counted(made.home)[4] == (100, 99)
    assert champion(made.home) == "v1"


def test_a_batch_with_a_bad_row_is_scored_once(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its label is known, but the row never counts: that is no label that came late."""
    made = bench().start()
    made.next_batch(put("x0", "inf"))
    scored: list[int] = []
    plain = Scorer.score

    def score(self: Scorer, checked: Any, span: Any, known: Any) -> Any:
        scored.append(span.seq)
        return plain(self, checked, span, known)

    monkeypatch.setattr(Scorer, "score", score)
    made.home.tick("toy")
    assert scored == []


def test_duplicated_ids(bench: Callable[..., Bench], stream_frame: Callable[..., Rows]) -> None:
    rows = stream_frame(600, seed=1).assign(key=range(600))
    made = bench(rows=rows, id="key").start()
    made.next_batch(put("key", 450, 450))
    assert quarantined(made) == ["duplicate id in 'key'"] * 2


def test_a_batch_of_bad_rows_alone_is_decided_on(bench: Callable[..., Bench]) -> None:
    made = bench().start()
    report = made.next_batch(put("x0", *["inf"] * 100))
    assert len(report.decisions) == 1
    assert len(quarantined(made)) == 100
    assert counted(made.home)[4] == (100, 0)


def test_a_new_category_passes_and_is_noted(bench: Callable[..., Bench]) -> None:
    made = bench().start()
    made.next_batch(put("colour", "ultraviolet", "ultraviolet"))
    assert quarantined(made) == []
    assert counted(made.home)[4] == (100, 100)
    assert "'colour' has 1 new categories, e.g. 'ultraviolet'" in notes(made.home, 4)


def notes(home: Home, seq: int) -> list[str]:
    from rekindle.store import batches

    with home.store.read() as conn:
        found = batches.find(conn, "toy", seq)
    assert found is not None
    return list(found.note["notes"])


@pytest.mark.parametrize("column", ["x0", "colour"])
def test_an_all_null_column_passes_where_the_model_takes_it(bench: Callable[..., Bench], column: str) -> None:
    made = bench().start()
    report = made.next_batch(lambda rows: rows.assign(**{column: None}))
    assert [d.action for d in report.decisions] == ["wait"]
    assert f"{column!r} is missing in every row" in notes(made.home, 4)


def test_missing_values_that_the_champion_cannot_take_escalate(bench: Callable[..., Bench]) -> None:
    made = bench(trainer=rk.Estimator(LogisticRegression())).start()
    report = made.next_batch(lambda rows: rows.assign(x0=None))
    assert [(d.action, d.rule) for d in report.decisions] == [("escalate", "ChampionFailed")]
    assert "v1 cannot predict these rows: ValueError: Input X contains NaN" in report.decisions[0].reason
    assert champion(made.home) == "v1"
    made.write(made.rows.head(600))
    assert [d.action for d in made.home.tick("toy").decisions] == ["wait"]


def test_a_champion_that_cannot_predict_does_not_stand_in_the_way_of_a_retraining(
    bench: Callable[..., Bench],
) -> None:
    made = bench(
        trainer=rk.Estimator(LogisticRegression()), policy=rk.Always(), features=["x0", "x1"]
    ).start()
    report = made.next_batch(put("x0", ""))
    assert report.decisions[0].action == "retrain"
    assert report.outcome == "ERROR"
    assert "takes no missing values" in report.run.cause
    assert champion(made.home) == "v1"


def test_a_champion_that_cannot_take_the_rows_is_replaced_by_one_that_can(
    bench: Callable[..., Bench], home_of: Callable[..., Home]
) -> None:
    made = bench(trainer=rk.Estimator(LogisticRegression()), features=["x0", "x1"]).start()
    assert made.next_batch(put("x0", "")).decisions[0].action == "escalate"
    imputing = rk.Estimator(make_pipeline(SimpleImputer(), LogisticRegression()))
    home = home_of(rk.Loop("toy", made.loop.source, imputing, every=100, policy=rk.Never(), guards=[], triggers=[],
                           gates=[rk.NotWorse()], features=["x0", "x1"]))  # fmt: skip
    report = home.tick("toy")
    assert report.decisions[0].reason.endswith("declaration changed")
    assert report.outcome == "PROMOTED"
    made.write(made.rows)
    assert [d.action for d in home.tick("toy").decisions] == ["wait"]


def test_one_class_only_in_a_batch(bench: Callable[..., Bench]) -> None:
    made = bench(metric="roc_auc").start()
    report = made.next_batch(lambda rows: rows.assign(label=1))
    assert [d.action for d in report.decisions] == ["wait"]
    assert counted(made.home)[4] == (100, 100)


def test_one_class_only_in_the_history(
    bench: Callable[..., Bench], stream_frame: Callable[..., Rows]
) -> None:
    made = bench(rows=stream_frame(600, seed=1).assign(label=1))
    report = made.home.tick("toy")
    assert report.outcome == "ERROR"
    assert "one class only (1); a classifier needs two" in report.run.cause.replace("np.int64(1)", "1")
    assert champion(made.home) is None


@pytest.mark.parametrize("trainer", [rk.Estimator(TREES), None])
def test_labels_missing_for_everything(
    bench: Callable[..., Bench], stream_frame: Callable[..., Rows], trainer: Any
) -> None:
    rows = stream_frame(600, seed=1).assign(label=None)
    made = bench(rows=rows, **({} if trainer is None else {"trainer": trainer}))
    report = made.home.tick("toy")
    assert report.outcome == "ERROR"
    assert "no row of the window has a known label; wait for labels" in report.run.cause
    again = made.home.tick("toy")
    assert (again.decisions, again.run) == ((), None)


def test_a_batch_without_labels_waits_for_them(bench: Callable[..., Bench]) -> None:
    made = bench().start()
    report = made.next_batch(lambda rows: rows.assign(label=None))
    assert [d.action for d in report.decisions] == ["wait"]
    assert counted(made.home)[4] == (100, 0)
    made.goes_on()


def test_a_column_gone_stops_the_tick_and_a_retraining_without_it_mends_it(
    bench: Callable[..., Bench], home_of: Callable[..., Home]
) -> None:
    made = bench().start()
    made.write(made.rows.drop(columns="x1"))
    with pytest.raises(SchemaError, match=r"column 'x1' is gone.*features=\[...\].*rekindle retrain"):
        made.home.tick("toy")
    assert champion(made.home) == "v1"
    made.home.close()
    loop = rk.Loop("toy", made.loop.source, rk.Estimator(TREES), every=100, policy=rk.Never(), gates=[], guards=[],
                   triggers=[], features=["x0", "colour"])  # fmt: skip
    home = home_of(loop)
    assert home.retrain("toy", "x1 is gone").outcome == "PROMOTED"
    assert {d.action for d in home.tick("toy").decisions} == {"wait"}
    assert champion(home) == "v2"


def test_rows_in_any_order_make_the_same_batches(bench: Callable[..., Bench]) -> None:
    made = bench().start()
    made.next_batch(lambda rows: rows.sample(frac=1, random_state=0))
    assert counted(made.home)[4] == (100, 100)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"rows.csv is empty \(0 bytes\)"),
        (b"\x00\xff\xfe\x01", "rows.csv"),
        (b"t,x0,x1,colour,label\n1,2\n", "rows.csv"),
        (b"when,x0,x1,colour,label\n1,2,3,red,0\n", "no column 't'"),
        (b"t,x0,x1,colour\n1,2,3,red\n", "no column 'label'"),
        (b"t,x0,x1,colour,label\n", "no rows any more"),
        (b"t,x0,x1,colour,label\nyesterday,2,3,red,0\n", "'yesterday', which is no time"),
        (b"t,x0,x1,colour,label\n1.5,2,3,red,0\n", "'t' holds 1.5"),
        (b"t,x0,x1,colour,label\n2026-03-01,2,3,red,0\n", "held an index and now holds dates"),
        (b"t,x0,x1,colour,label\n999999999999,2,3,red,0\n", "is the newest time a mistake"),
    ],
)
def test_a_broken_file_stops_the_tick_and_nothing_is_lost(
    bench: Callable[..., Bench], content: bytes, said: str
) -> None:
    made = bench().start()
    made.path.write_bytes(content)
    with pytest.raises((SourceError, NotEnoughData), match=said):
        made.home.tick("toy")
    made.goes_on()


def test_a_leap_of_the_index_in_the_history_costs_no_memory(
    bench: Callable[..., Bench], stream_frame: Callable[..., Rows]
) -> None:
    rows = stream_frame(400, seed=1)
    rows.loc[390:, "t"] += 10**15
    report = bench(rows=rows).home.tick("toy")
    assert report.outcome == "PROMOTED", report.run.cause
    assert report.run.metadata["window_batches"] == pytest.approx(9.17, abs=0.01)


def test_column_names_that_differ_in_case_only(
    tmp_path: Path, home_of: Callable[..., Home], stream_frame: Callable[..., Rows]
) -> None:
    rows = stream_frame(400, seed=1).rename(columns={"x0": "Age", "x1": "age"})
    source = rk.Frame(rows, time="t", label="label")
    home = home_of(rk.Loop("toy", source, rk.Estimator(TREES), every=100, triggers=[rk.DataDrift()]))
    assert home.tick("toy").outcome == "PROMOTED"
    assert {"Age", "age"} <= set(home.champion("toy").signature.names)


def test_a_file_that_is_gone_or_a_folder(bench: Callable[..., Bench]) -> None:
    made = bench().start()
    made.path.unlink()
    with pytest.raises(SourceError, match="no file matches"):
        made.home.tick("toy")
    made.path.mkdir()
    with pytest.raises(SourceError, match="no file matches"):
        made.home.tick("toy")
    made.path.rmdir()
    made.goes_on()


def test_an_empty_file_at_the_start_trains_nothing(bench: Callable[..., Bench]) -> None:
    made = bench(triggers=[])
    made.write(made.rows.head(0))
    with pytest.raises(NotEnoughData, match="the source has no rows yet"):
        made.home.tick("toy")
    made.write(made.rows.head(400))
    assert made.home.tick("toy").outcome == "PROMOTED"


def dated(rows: Rows) -> Rows:
    """100 rows a day."""
    return rows.assign(t=[(NOON + k * timedelta(days=1) / 100).isoformat() for k in range(len(rows))])


def test_mixed_aware_and_naive_times(bench: Callable[..., Bench], stream_frame: Callable[..., Rows]) -> None:
    clock = ManualClock(NOON + timedelta(days=4))
    made = bench(rows=dated(stream_frame(600, seed=1)), every="1d", clock=clock).start()
    clock.advance(timedelta(days=1))
    with pytest.raises(SchemaError, match="'t' mixes times with and without a time zone"):
        made.next_batch(put("t", "2026-03-06T00:00:00", "2026-03-06T00:00:01"))
    made.goes_on()


def test_future_times_wait_until_they_come(
    bench: Callable[..., Bench], stream_frame: Callable[..., Rows]
) -> None:
    clock = ManualClock(NOON + timedelta(days=4))
    made = bench(rows=dated(stream_frame(600, seed=1)), every="1d", clock=clock).start()
    clock.advance(timedelta(days=1))
    future = [(NOON + timedelta(days=40 + k)).isoformat() for k in range(50)]
    report = made.next_batch(put("t", *future))
    assert [d.batch for d in report.decisions] == [4]
    assert counted(made.home)[4] == (50, 50)
    assert made.home.tick("toy").decisions == ()
    clock.advance(timedelta(days=39))
    decisions = made.home.tick("toy").decisions
    assert [d.batch for d in decisions][-1] == 43
    assert sum(rows for rows, _ in counted(made.home).values()) == 50 + 4


def test_a_time_far_in_the_future_is_told(
    bench: Callable[..., Bench], stream_frame: Callable[..., Rows]
) -> None:
    clock = ManualClock(NOON + timedelta(days=4))
    made = bench(rows=dated(stream_frame(600, seed=1)), every="1d", clock=clock).start()
    with pytest.raises(SchemaError, match="outside the years 1 to 9999"):
        made.next_batch(put("t", "9999-12-31T23:59:59.999999+00:00", "0001-01-01T00:00:00+05:00"))
    made.goes_on() if clock.advance(timedelta(days=1)) else None


def test_most_rows_bad_is_no_training_data(bench: Callable[..., Bench]) -> None:
    made = bench(policy=rk.Always(), window=rk.Rolling(batches=1)).start()
    report = made.next_batch(put("x0", *["inf"] * 60))
    assert report.outcome == "ERROR"
    assert "60 of 100 rows of the window break the contract, e.g. 'x0' is infinite" in report.run.cause
    assert champion(made.home) == "v1"


# a full disk, and places that cannot be written


def fill(home: Home) -> None:
    """From here on the control database cannot grow."""
    home.store.engine.dispose()

    @event.listens_for(home.store.engine, "connect")
    def _(connection: Any, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_under_the_control_database(
    bench: Callable[..., Bench], home_of: Callable[..., Home]
) -> None:
    made = bench().start()
    made.write(made.rows)
    fill(made.home)
    with pytest.raises(StoreError, match="full"):
        made.home.retrain("toy", "x" * 200_000)
    assert len(ran(made.home)) == 1
    again = home_of(made.loop)
    assert [d.batch for d in again.tick("toy").decisions] == [4, 5]
    assert champion(again) == "v1"


def no_room(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    plain = Path.mkdir

    def mkdir(path: Path, *args: Any, **kwargs: Any) -> None:
        if place in path.parts:
            raise OSError(28, "No space left on device")
        plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)


@pytest.mark.parametrize("place", ["snapshots", "runs"])
def test_a_full_disk_under_a_run(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    made = bench(policy=rk.Always()).start()
    no_room(monkeypatch, place)
    report = made.next_batch(lambda rows: rows)
    assert report.outcome == "ERROR"
    assert "No space left on device" in report.run.cause
    assert place in report.run.cause
    assert champion(made.home) == "v1"


def test_a_full_disk_under_the_quarantine(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench().start()
    with monkeypatch.context() as patch:
        no_room(patch, "quarantine")
        with pytest.raises(
            StoreError, match=r"batch-4.csv cannot be written: No space left.*Free some space"
        ):
            made.next_batch(put("x0", "inf"))
    made.next_batch(put("x0", "inf"))
    assert counted(made.home)[4] == (100, 99)
    assert quarantined(made) == ["'x0' is infinite"]


def test_a_full_disk_in_the_middle_of_a_snapshot(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(policy=rk.Always()).start()

    def full(rows: Rows, part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "_copy", full)
        report = made.next_batch(lambda rows: rows)
    assert report.outcome == "ERROR"
    assert "cannot be written" in report.run.cause
    assert "Free some space" in report.run.cause
    assert champion(made.home) == "v1"
    assert not list((made.home.folder / "snapshots" / "toy").glob(".new-*"))
    made.write(made.rows)
    assert made.home.tick("toy").outcome == "PROMOTED"


def test_a_file_where_the_home_should_be(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(StoreError, match=r"the home .* cannot be made.*--home FOLDER or REKINDLE_HOME"):
        bench(triggers=[])


@pytest.mark.parametrize("place", ["snapshots", "models", "runs", "quarantine"])
def test_a_file_where_a_folder_of_the_home_should_be(bench: Callable[..., Bench], place: str) -> None:
    made = bench(triggers=[])
    (made.home.folder / place).mkdir(exist_ok=True)
    shutil.rmtree(made.home.folder / place)
    (made.home.folder / place).write_text("not a folder")
    made.write(made.rows.head(400).replace({"x0": {made.rows["x0"].iloc[3]: np.inf}}))
    report = made.home.tick("toy")
    assert report.outcome == "ERROR"
    assert place in report.run.cause
    (made.home.folder / place).unlink()
    made.write(made.rows.head(500))
    assert made.home.tick("toy").outcome == "PROMOTED"
    assert len(told(made.home)) == 2

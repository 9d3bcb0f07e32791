"""Frozen rows: equal rows share a folder, half of one is never seen, an altered byte is noticed."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekindle.data import duck, snapshot
from rekindle.data.canonical import canonical_hash
from rekindle.data.snapshot import BATCH, PART, freeze, manifest_of, thaw, verify
from rekindle.errors import SourceError, StoreError
from rekindle.records import Snapshot, Window

FULL = Window(None, None)


def rows(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "t": pd.date_range("2026-01-01", periods=n, freq="h", tz="UTC").as_unit("us"),
            "x": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "word": pd.Series(rng.choice(["a", "b", None], n), dtype=object),
            "flag": pd.Series(rng.choice([True, False, None], n), dtype=object),
            "count": pd.array(np.where(rng.random(n) < 0.5, None, rng.integers(0, 9, n)), dtype="Int64"),
            "y": rng.integers(0, 2, n),
            BATCH: np.arange(n) // 50,
        }
    )


def frozen(table: pd.DataFrame, into: Path, **changes: Any) -> Snapshot:
    said = {"window": FULL, "time": "t", "label": "y", "features": ("x", "word"), "task": "classification",
            "about": {"revision": "r1"}}  # fmt: skip
    return freeze(table, into=into, **{**said, **changes})


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    made = frozen(rows(), tmp_path)
    back, manifest = thaw(made.folder)
    assert canonical_hash(back) == manifest["content_hash"]
    assert back["t"].tolist() == rows()["t"].tolist()
    assert back["flag"].isna().sum() == rows()["flag"].isna().sum()
    assert manifest["revision"] == "r1"
    assert (made.rows, manifest["rows"]) == (300, 300)
    assert manifest["files"][PART].keys() == {"bytes", "sha256", "md5"}


def test_equal_rows_share_one_folder_whatever_their_order(tmp_path: Path) -> None:
    made = [frozen(rows(), tmp_path), frozen(rows().sample(frac=1, random_state=3), tmp_path)]
    made.append(frozen(rows()[sorted(rows().columns)], tmp_path))
    assert len({m.id for m in made}) == 1
    assert [f.name for f in tmp_path.iterdir()] == [made[0].id]


@pytest.mark.parametrize("changes", [{"label": "flag"}, {"features": ("x",)}, {"task": "regression"}])
def test_another_meaning_is_another_snapshot(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert frozen(rows(), tmp_path).id != frozen(rows(), tmp_path, **changes).id
    assert frozen(rows(), tmp_path).id != frozen(rows(seed=1), tmp_path).id


@pytest.mark.parametrize("threads", [1, 4])
def test_the_id_does_not_depend_on_threads_or_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    expected = frozen(rows(5000), tmp_path / "a")
    before = duck.run("SELECT current_setting('threads')", reading="").fetchone()
    plain = duck.cursor

    def small_groups() -> Any:
        found = plain()

        class Other:
            def execute(self, sql: str, *rest: Any) -> Any:
                return found.execute(sql.replace("100000", "2048").replace("zstd", "snappy"), *rest)

            def __getattr__(self, name: str) -> Any:
                return getattr(found, name)

        return Other()

    monkeypatch.setattr(duck, "cursor", small_groups)
    duck.run(f"SET threads = {threads}", reading="")
    try:
        made = frozen(rows(5000), tmp_path / "b")
    finally:
        duck.run(f"SET threads = {before[0] if before else 1}", reading="")
    assert made.id == expected.id
    one, other = (manifest_of(m.folder) for m in (expected, made))
    assert one["content_hash"] == other["content_hash"]
    assert one["files"] != other["files"]
    pd.testing.assert_frame_equal(thaw(made.folder)[0], thaw(expected.folder)[0])


def test_objects_of_mixed_kinds_are_written_as_text(tmp_path: Path) -> None:
    """The writer would guess integers from a sample and fail on the first word."""
    table = rows(3000).assign(key=pd.Series([*range(2999), "last"], dtype=object))
    back, manifest = thaw(frozen(table, tmp_path).folder)
    assert back["key"].iloc[-1] == "last"
    assert back["key"].iloc[0] == "0"
    assert canonical_hash(back) == manifest["content_hash"]


def test_names_with_quotes_and_spaces(tmp_path: Path) -> None:
    odd = rows().rename(columns={"x": 'it\'s a "name"', "word": "Größe; DROP"})
    made = frozen(odd, tmp_path / "a 'folder' \" [1]", features=('it\'s a "name"',))
    assert list(thaw(made.folder)[0].columns) == list(odd.columns)


@pytest.mark.parametrize("names", [("Age", "age"), ("a\x00b", "a\x00c"), ("", " "), ("c0", "C1")])
def test_names_that_the_writer_would_confuse(tmp_path: Path, names: tuple[str, str]) -> None:
    odd = rows().rename(columns={"x": names[0], "count": names[1]})
    back, manifest = thaw(frozen(odd, tmp_path, features=names).folder)
    assert list(back.columns) == list(odd.columns)
    assert canonical_hash(back) == manifest["content_hash"]


def test_an_integer_axis_and_no_rows(tmp_path: Path) -> None:
    made = frozen(rows().assign(t=np.arange(300)[::-1]), tmp_path)
    assert thaw(made.folder)[0]["t"].tolist() == list(range(300))
    assert thaw(frozen(rows().iloc[:0], tmp_path).folder)[0].empty


@pytest.mark.parametrize("position", [0.1, 0.5, 0.99])
def test_one_altered_byte_is_noticed(tmp_path: Path, position: float) -> None:
    made = frozen(rows(), tmp_path)
    assert verify(made.folder)
    part = Path(made.folder) / PART
    content = bytearray(part.read_bytes())
    content[int(position * len(content))] ^= 1
    part.write_bytes(content)
    assert not verify(made.folder)
    with pytest.raises(SourceError, match=r"was altered since it was frozen. Start the run again"):
        thaw(made.folder)


def test_a_damaged_snapshot_is_frozen_again(tmp_path: Path) -> None:
    made = frozen(rows(), tmp_path)
    (Path(made.folder) / PART).write_bytes(b"")
    assert frozen(rows(), tmp_path) == made
    assert verify(made.folder)
    (Path(made.folder) / "manifest.json").unlink()
    assert frozen(rows(), tmp_path) == made
    assert verify(made.folder)


def test_what_is_no_snapshot_is_told_so(tmp_path: Path) -> None:
    assert not verify(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no readable manifest"):
        thaw(tmp_path)
    for said in ("{", "[]", json.dumps({"version": 99})):
        (tmp_path / "manifest.json").write_text(said)
        with pytest.raises(SourceError, match=r"manifest|version"):
            thaw(tmp_path)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StoreError, match=r"snapshot .* cannot be written: .*No space left.*Free some space"):
        frozen(rows(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert verify(frozen(rows(), tmp_path).folder)


def test_a_part_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(table: pd.DataFrame, part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "_copy", full)
    with pytest.raises(StoreError, match="No space left"):
        frozen(rows(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_threads_freeze_at_once(tmp_path: Path) -> None:
    """Whoever looks meanwhile sees a whole snapshot or none."""
    tables = [rows(400, seed) for seed in (0, 0, 1, 2)]
    made: list[Snapshot] = []
    halves: list[Path] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            halves.extend(f for f in tmp_path.glob("[0-9a-f]*") if not verify(f))

    watcher = threading.Thread(target=look)
    watcher.start()
    workers = [threading.Thread(target=lambda t=t: made.append(frozen(t, tmp_path))) for t in tables]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    watcher.join()
    assert halves == []
    assert len(made) == 4
    assert len({m.id for m in made}) == 3
    assert all(verify(m.folder) for m in made)


def test_the_window_is_told_in_the_manifest(tmp_path: Path) -> None:
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "weighted", 6.0)
    told = manifest_of(frozen(rows(), tmp_path, window=window).folder)["window"]
    assert told == {"start": "2026-01-01T00:00:00+00:00", "end": "2026-02-01T00:00:00+00:00",
                    "rule": "weighted", "half_life": 6.0}  # fmt: skip

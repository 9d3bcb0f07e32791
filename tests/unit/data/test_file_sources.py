"""Parquet and CSV files: which files, which columns, and what is said when they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rekindle.data import duck, files
from rekindle.data.files import CSV, Parquet
from rekindle.errors import DeclarationError, SchemaError, SourceError
from rekindle.records import Extent, Window

ALL = Window(None, None)
TEN = "SELECT i AS t, i / 7 AS x, i % 2 AS y FROM range(10) r(i)"


def write(path: Path, sql: str = TEN) -> Path:
    target = str(path).replace("'", "''")
    path.parent.mkdir(parents=True, exist_ok=True)
    duck.run(f"COPY ({sql}) TO '{target}' (FORMAT {path.suffix.strip('.')})", reading=str(path))
    return path


def parquet(path: Any, **said: Any) -> Parquet:
    return Parquet(path, **{"time": "t", "label": "y", **said})


def csv(path: Any, text: str | None = None, **said: Any) -> CSV:
    if text is not None:
        Path(path).write_text(text)
    return CSV(path, **{"time": "t", "label": "y", **said})


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_file(tmp_path: Path, kind: str) -> None:
    make: Any = {"parquet": Parquet, "csv": CSV}[kind]
    source = make(write(tmp_path / f"rows.{kind}"), time="t", label="y")
    assert source.extent() == Extent(0, 9, 10)
    rows = source.read(Window(3, 6))
    assert rows["t"].tolist() == [3, 4, 5]
    assert rows["t"].dtype == "int64"
    assert sorted(rows.columns) == ["t", "x", "y"]


def test_a_folder_and_a_glob(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.parquet", f"SELECT * FROM ({TEN}) WHERE t >= 5")
    write(tmp_path / "in" / "deep" / "b.parquet", f"SELECT * FROM ({TEN}) WHERE t < 5")
    (tmp_path / "in" / "notes.txt").write_text("not a Parquet file")
    for path in (tmp_path / "in", tmp_path / "in" / "**" / "*.parquet"):
        assert parquet(path).read(ALL)["t"].tolist() == list(range(10))
    assert parquet(tmp_path / "in" / "*.parquet").extent().rows == 5


def test_rows_come_in_time_order_and_equal_times_in_theirs(tmp_path: Path) -> None:
    rows = csv(tmp_path / "u.csv", "t,x,y\n3,0,0\n1,1,0\n2,2,0\n1,3,0\n").read(ALL)
    assert rows[["t", "x"]].to_numpy().tolist() == [[1, 1], [1, 3], [2, 2], [3, 0]]


@pytest.mark.parametrize(
    "name", ["it's.parquet", 'two "words".parquet', "part[1].parquet", "a*b?.parquet", "größe;--.parquet"]
)
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    odd = tmp_path / "a [folder] it's" / name
    plain = write(tmp_path / "plain.parquet")
    odd.parent.mkdir()
    plain.rename(odd)
    write(odd.parent.parent / "decoy" / "part1.parquet", "SELECT 99 AS t, 0 AS x, 0 AS y")
    assert parquet(odd).extent() == Extent(0, 9, 10)
    assert parquet(odd.parent).read(ALL)["t"].tolist() == list(range(10))


def test_odd_column_names(tmp_path: Path) -> None:
    names = {"time": 'time of "day"', "label": "la bel", "label_time": "known 'at'"}
    columns = {
        names["time"]: "i",
        names["label"]: "i % 2",
        names["label_time"]: "i",
        "it's": "i",
        "x; DROP": "'a'",
    }
    sql = f"SELECT {', '.join(f'{v} AS {duck.quote(k)}' for k, v in columns.items())} FROM range(4) r(i)"
    for kind, suffix in ((Parquet, "parquet"), (CSV, "csv")):
        path = write(tmp_path / f"odd.{suffix}", sql)
        source = kind(path, **names)
        assert source.extent() == Extent(0, 3, 4)
        assert len(source.read(Window(1, 3))) == 2


def test_odd_names_of_aware_times_in_csv(tmp_path: Path) -> None:
    text = '"it\'s ""t""",y\n2026-03-01T12:00:00Z,0\n2026-03-01T13:00:00,1\n'
    with pytest.raises(SchemaError, match="mixes times"):
        csv(tmp_path / "a.csv", text, time='it\'s "t"').extent()


def test_no_match(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file matches .*looked in .*Check the path or the glob"):
        parquet(tmp_path / "*.parquet").extent()
    with pytest.raises(SourceError, match="no file matches"):
        parquet(tmp_path).extent()


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").touch()
    with pytest.raises(SourceError, match=r"b.parquet is empty \(0 bytes\)"):
        parquet(tmp_path).extent()


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(SourceError, match=r"a.parquet cannot be read: .*Is the file complete"):
        parquet(path).extent()


def test_a_damaged_page_shows_while_rows_are_fetched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "SELECT i AS t, random() AS x, 0 AS y FROM range(50000) r(i)")
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read"):
        parquet(path).read(ALL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"t,x,y\n1,\xff\xfe,0\n2,b,1\n", "not utf-8"),
        (b"t,x,y\n1,2,0\n2,3,1,9,9\n", "same number of fields"),
        (b"t,x,y\n" + b"1,2,0\n" * 500 + b"2,3\n" + b"1,2,0\n" * 500, "fields"),
        (b"PAR1\x00\x01", "no column 't'"),
    ],
)
def test_a_csv_that_cannot_be_read(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(SourceError, match=said) as raised:
        csv(tmp_path / "a.csv").extent()
    assert "\n" not in str(raised.value)


def test_a_file_of_the_other_kind(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("t,x,y\n1,2,0\n")
    with pytest.raises(SourceError, match=r"cannot be read.*of the declared kind"):
        parquet(tmp_path / "a.parquet").extent()


def test_a_wrong_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "SELECT 1 AS t, 0 AS label")
    with pytest.raises(SchemaError, match=r"no column 'lable' \(declared as label\). Did you mean 'label'"):
        parquet(path, label="lable").extent()
    with pytest.raises(SchemaError, match=r"no column 'when' \(declared as time\)"):
        parquet(path, time="when", label="label").extent()


def test_a_header_alone_holds_no_rows(tmp_path: Path) -> None:
    source = csv(tmp_path / "a.csv", "t,x,y\n")
    assert source.extent() == Extent(None, None, 0)
    assert source.read(ALL).empty


def test_a_replaced_file_is_looked_at_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    source = parquet(path)
    assert source.extent().rows == 10
    write(path, "SELECT DATE '2026-01-01' AS t, 'new' AS z, true AS y")
    assert source.extent().rows == 1
    rows = source.read(ALL)
    assert sorted(rows.columns) == ["t", "y", "z"]
    assert str(rows["t"].dtype) == "datetime64[us, UTC]"


def test_a_new_file_beside_the_old(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    source = parquet(tmp_path)
    assert source.extent().last == 9
    write(tmp_path / "b.parquet", "SELECT 10 AS t, 1.0 AS x, 0 AS y, 'more' AS z")
    assert source.extent().last == 10
    assert source.read(ALL)["z"].isna().sum() == 10


def test_one_look_serves_many_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parquet(write(tmp_path / "a.parquet"))
    source.extent()
    asked: list[str] = []
    plain = duck.run
    monkeypatch.setattr(duck, "run", lambda sql, *a, **k: asked.append(sql) or plain(sql, *a, **k))
    source.extent()
    source.read(ALL)
    assert len(asked) == 1  # the extent of files that did not change is known


def test_a_file_that_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parquet(write(tmp_path / "a.parquet"))
    monkeypatch.setattr(type(source), "files", lambda self: [str(tmp_path / "gone.parquet")])
    with pytest.raises(SourceError, match="changed while it was read"):
        source.extent()


def test_a_folder_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    source = parquet(write(tmp_path / "a.parquet"))
    monkeypatch.setattr(files, "glob", refused)
    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(SourceError, match=r"cannot be read.*ermission"):
        source.extent()


def test_a_label_of_words_and_of_truths(tmp_path: Path) -> None:
    words = csv(tmp_path / "a.csv", "t,x,y\n1,2,red\n2,3,blue\n3,4,\n").read(ALL)
    assert words["y"].dropna().tolist() == ["red", "blue"]
    truths = csv(tmp_path / "b.csv", "t,x,y\n1,2,true\n2,3,false\n").read(ALL)
    assert truths["y"].tolist() == [True, False]


def test_missing_values_in_csv_are_read_as_such(tmp_path: Path) -> None:
    text = "t,x,w,y\n1,2.5,a,0\n2,NA,NA,1\n3,NaN,null,0\n4,,,1\n"
    rows = csv(tmp_path / "a.csv", text).read(ALL)
    assert rows["x"].dtype == "float64"
    assert rows["x"].isna().tolist() == [False, True, True, True]
    assert rows["w"].isna().tolist() == [False, True, True, True]


def test_nested_and_dated_columns_are_left_out_aloud(tmp_path: Path) -> None:
    sql = "SELECT 1 AS t, 0 AS y, [1] AS l, {'a': 1} AS s, now() AS born, 'x'::BLOB AS b, TIME '12:00' AS hour, 2 AS x"
    source = parquet(write(tmp_path / "a.parquet", sql))
    assert source.left_out == (
        "l (a nested or binary column)",
        "s (a nested or binary column)",
        "born (a date)",
        "b (a nested or binary column)",
        "hour (a date)",
    )
    assert sorted(source.read(ALL).columns) == ["t", "x", "y"]


@pytest.mark.parametrize("label", ["DATE '2026-01-01'", "now()", "[1]"])
def test_a_label_that_is_no_label(tmp_path: Path, label: str) -> None:
    path = write(tmp_path / "a.parquet", f"SELECT 1 AS t, {label} AS y")
    with pytest.raises(SchemaError, match="the label 'y' is a"):
        parquet(path).extent()


def test_an_id_may_be_a_date_but_not_nested(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "SELECT 1 AS t, 0 AS y, now() AS key")
    assert isinstance(parquet(path, id="key").read(ALL)["key"].iloc[0], str)
    nested = write(tmp_path / "b.parquet", "SELECT 1 AS t, 0 AS y, [1] AS key")
    with pytest.raises(SchemaError, match="the id 'key'"):
        parquet(nested, id="key").extent()


def test_a_bucket_is_refused_where_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match=r"path='s3://.*a path on this machine"):
        parquet("s3://bucket/rows.parquet")


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "rows.parquet")
    assert parquet("~/rows.parquet").extent().rows == 10


def test_it_describes_what_was_declared(tmp_path: Path) -> None:
    said = parquet("a.parquet", tz="Europe/Berlin", exclude=["z"]).describe()
    assert said == {"kind": "Parquet", "path": "a.parquet", "time": "t", "label": "y", "label_time": None, "id": None,
                    "tz": "Europe/Berlin", "exclude": ["z"]}  # fmt: skip
    assert os.linesep not in repr(parquet("a.parquet"))

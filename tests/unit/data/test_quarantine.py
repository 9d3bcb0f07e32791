"""Rows that may not be used are kept with their reason."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rekindle.data.quarantine import put_aside
from rekindle.errors import StoreError

BAD = pd.DataFrame({"t": [1, 2], "x": ["oops", 'a,b\n"c"'], "reason": ["text", "text"]})


def test_rows_are_written_with_their_reason(tmp_path: Path) -> None:
    path = put_aside(BAD, tmp_path / "quarantine" / "churn", "batch-7")
    assert path == str(tmp_path / "quarantine" / "churn" / "batch-7.csv")
    pd.testing.assert_frame_equal(pd.read_csv(path), BAD, check_dtype=False)
    assert [f.name for f in Path(path).parent.iterdir()] == ["batch-7.csv"]


def test_no_rows_no_file(tmp_path: Path) -> None:
    assert put_aside(BAD.iloc[:0], tmp_path / "quarantine", "batch-7") is None
    assert not (tmp_path / "quarantine").exists()


def test_written_again_it_replaces(tmp_path: Path) -> None:
    put_aside(BAD, tmp_path, "batch-7")
    path = put_aside(BAD.iloc[:1], tmp_path, "batch-7")
    assert path is not None
    assert len(pd.read_csv(path)) == 1


def test_half_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    path = put_aside(BAD.assign(x=["\ud800", "b"]), tmp_path, "batch-7")
    assert path is not None
    assert "d800" in Path(path).read_text()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"quarantine .*batch-7.csv cannot be written.*Free some space"):
        put_aside(BAD, tmp_path / "quarantine", "batch-7")

"""A folder appears whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rekindle.objects.folder import whole_folder


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def test_it_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "it"
    with whole_folder(target) as scratch:
        (scratch / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert names(target.parent) == ["it"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "it") as scratch:
            (scratch / "a").write_text("1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path) == []


def test_who_comes_second_is_dropped(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole_folder(tmp_path / "it") as scratch:
            (scratch / "a").write_text(text)
    assert (tmp_path / "it" / "a").read_text() == "first"
    assert names(tmp_path) == ["it"]


def test_with_replace_the_second_takes_its_place(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole_folder(tmp_path / "it", replace=True) as scratch:
            (scratch / text).write_text(text)
    assert names(tmp_path / "it") == ["second"]
    assert names(tmp_path) == ["it"]


def test_a_failed_replacement_keeps_the_old_one(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "it") as scratch:
        (scratch / "a").write_text("first")
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "it", replace=True):
        raise RuntimeError
    assert (tmp_path / "it" / "a").read_text() == "first"


def test_nobody_sees_half_of_it_while_it_is_replaced(tmp_path: Path) -> None:
    target, files, stop = tmp_path / "it", [str(k) for k in range(20)], threading.Event()
    halves: list[list[str]] = []

    def look() -> None:
        while not stop.is_set():
            try:
                before = target.stat().st_ino
                seen = sorted(os.listdir(target))
                stayed = target.stat().st_ino == before
            except FileNotFoundError:
                continue
            if stayed and seen != sorted(files):
                halves.append(seen)

    def write() -> None:
        with whole_folder(target, replace=True) as scratch:
            for name in files:
                (scratch / name).write_text(name)

    write()
    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(50):
        write()
    stop.set()
    watcher.join()
    assert halves == []


def test_others_may_read_it(tmp_path: Path) -> None:
    """A server under another user opens what the trainer wrote."""
    with whole_folder(tmp_path / "it"):
        pass
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "it").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_place_that_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), whole_folder(tmp_path / "file" / "it"):
        pass
    with pytest.raises(OSError, match="file"), whole_folder(tmp_path / "file") as scratch:
        (scratch / "a").write_text("1")
    assert names(tmp_path) == ["file"]

"""Opening, transactions, and the sentences for everything that can go wrong underneath."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from rekindle.clock import ManualClock
from rekindle.errors import StoreError
from rekindle.store import Store, database, open_store

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

SPAWN = multiprocessing.get_context("spawn")


def _count_up(path: Path, times: int) -> None:
    with open_store(path, ManualClock(START)) as store:
        for _ in range(times):
            with store.begin() as conn:
                seen = conn.execute(text("SELECT paused FROM loops WHERE name = 'churn'")).scalar_one()
                conn.execute(text("UPDATE loops SET paused = :next WHERE name = 'churn'"), {"next": seen + 1})


def _open_at_once(path: Path, barrier: Any, answers: Any) -> None:
    barrier.wait(30)
    try:
        open_store(path, ManualClock(START)).close()
        answers.put("opened")
    except StoreError as error:
        answers.put(str(error))


def test_two_processes_lose_no_update(store: Store, tmp_path: Path) -> None:
    workers = [SPAWN.Process(target=_count_up, args=(tmp_path / "control.db", 300)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    with store.read() as conn:
        assert conn.execute(text("SELECT paused FROM loops WHERE name = 'churn'")).scalar_one() == 600


def test_processes_may_open_a_new_database_at_the_same_time(tmp_path: Path) -> None:
    barrier, answers = SPAWN.Barrier(3), SPAWN.Queue()
    args = (tmp_path / "home" / "control.db", barrier, answers)
    workers = [SPAWN.Process(target=_open_at_once, args=args) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [answers.get(timeout=60) for _ in workers] == ["opened"] * 3
    for worker in workers:
        worker.join(60)


def test_threads_may_open_different_databases_at_the_same_time(tmp_path: Path) -> None:
    def open_one(number: int) -> None:
        open_store(tmp_path / f"{number}.db", ManualClock(START)).close()

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(open_one, range(18))) == [None] * 18


def test_opening_waits_for_a_writer_in_the_old_journal_mode(tmp_path: Path) -> None:
    # SQLite does not wait by itself when the journal mode changes
    other = sqlite3.connect(tmp_path / "control.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.rollback)
    release.start()
    open_store(tmp_path / "control.db", ManualClock(START)).close()
    release.join()
    other.close()


def test_an_exception_takes_everything_back(store: Store) -> None:
    def write_and_stop() -> None:
        with store.begin() as conn:
            conn.execute(text("UPDATE loops SET task = 'regression'"))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        write_and_stop()
    with store.read() as conn:
        assert conn.execute(text("SELECT DISTINCT task FROM loops")).scalars().all() == [None]


def test_a_write_inside_a_write_is_a_mistake_said_at_once(store: Store) -> None:
    with store.begin(), pytest.raises(RuntimeError, match="pass its connection on"), store.begin():
        pass
    with store.begin() as conn:  # and the store is still usable
        assert conn.execute(text("SELECT 1")).scalar() == 1


def test_reading_beside_a_writer_sees_the_old_state_and_cannot_write(store: Store) -> None:
    with store.begin() as writer, store.read() as reader:
        writer.execute(text("UPDATE loops SET task = 'regression'"))
        assert reader.execute(text("SELECT DISTINCT task FROM loops")).scalars().all() == [None]
    with pytest.raises(StoreError, match="cannot be written"), store.read() as reader:
        reader.execute(text("DELETE FROM outbox"))
    with store.begin() as conn:  # the same connection writes again
        conn.execute(text("UPDATE loops SET task = 'regression'"))


def test_the_connection_is_set_up_for_many_processes(store: Store) -> None:
    with store.read() as conn:
        pragmas = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}


def test_a_lock_that_stays_is_a_sentence(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    with open_store(path, store.clock, wait=0.05) as hasty, store.begin():
        with (
            pytest.raises(StoreError, match=r"control\.db stayed locked .* 0.05 s; .*try again"),
            hasty.begin(),
        ):
            pass
        with hasty.read() as conn:  # readers never wait
            assert conn.execute(text("SELECT 1")).scalar() == 1


def test_a_full_disk_is_a_sentence_and_loses_nothing(store: Store) -> None:
    insert = text("INSERT INTO outbox VALUES (:id, 'k', '', '', :payload, NULL, 0, '')")
    rows = [{"id": str(number), "payload": "x" * 5000} for number in range(50)]
    with store.read() as conn:  # the pool hands the same connection out again
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="disk is full; free some space"), store.begin() as conn:
        conn.execute(insert, rows)
    with store.begin() as conn:
        assert conn.execute(text("SELECT count(*) FROM outbox")).scalar() == 0
        assert conn.execute(text("SELECT count(*) FROM loops")).scalar() == 3


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    path.write_bytes(b"this is a letter, not a database. " * 300)
    with pytest.raises(StoreError, match=r"control\.db is not a database file; move it away"):
        open_store(path, ManualClock(START))


def test_a_damaged_file(store: Store, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "control.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"control\.db is damaged; .*backup"):
        open_store(path, ManualClock(START))


def test_a_file_with_tables_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE runs (id TEXT)")
    other.close()
    with pytest.raises(StoreError, match="already holds tables named runs"):
        open_store(path, ManualClock(START))


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "control.db").touch()
    open_store(tmp_path / "control.db", ManualClock(START)).close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StoreError, match=r"control\.db cannot be created: .*choose a folder"):
        open_store(tmp_path / "home" / "control.db", ManualClock(START))


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened; check that its folder"):
        open_store(tmp_path, ManualClock(START))


def test_a_read_only_file(store: Store, tmp_path: Path) -> None:
    # root may write anywhere, so SQLite itself is asked to refuse
    url = f"sqlite:///file:{tmp_path / 'control.db'}?mode=ro&uri=true"
    with open_store(url, ManualClock(START)) as opened:
        with opened.read() as conn:
            assert conn.execute(text("SELECT count(*) FROM loops")).scalar() == 3
        with (
            pytest.raises(StoreError, match="cannot be written; give yourself write access"),
            opened.begin() as conn,
        ):
            conn.execute(text("DELETE FROM loops"))


def test_a_row_that_belongs_to_nothing_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"refused a row .*FOREIGN KEY"), store.begin() as conn:
        conn.execute(text("INSERT INTO trigger_states VALUES ('nobody', 't', '{}', '')"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://host/name", "cannot live in 'mysql'"),
        ("sqlite://", "in memory would be lost"),
        ("sqlite:///:memory:", "in memory would be lost"),
        ("://", "cannot be read"),
    ],
)
def test_urls_that_cannot_be(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=re.escape(sentence)):
        open_store(url, ManualClock(START))


def test_postgresql_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=re.escape("pip install 'rekindle[postgres]'")):
        open_store("postgresql://me:secret@host/name", ManualClock(START))


def test_a_password_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    url = database._url("postgres://me:secret@host/name")
    assert (url.drivername, str(url)) == ("postgresql+psycopg", "postgresql+psycopg://me:***@host/name")


def test_opening_a_current_database_imports_nothing_heavy(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys, datetime\n"
        "from rekindle.clock import SystemClock\n"
        "from rekindle.store import open_store, loops, batches, decisions, runs, steps, versions, commands, outbox\n"
        f"with open_store({str(tmp_path / 'control.db')!r}, SystemClock()) as store, store.read() as conn:\n"
        "    assert len(loops.names(conn)) == 3\n"
        "print(sorted({'alembic', 'numpy', 'pandas', 'scipy'} & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

"""Migrations: from nothing to exactly the tables of the code, once, and never backwards."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from rekindle.clock import ManualClock
from rekindle.errors import StoreError
from rekindle.store import Store, open_store
from rekindle.store.tables import SCHEMA, VERSION_TABLE, metadata

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _ddl(path: Path) -> set[tuple[str, str]]:
    found = sqlite3.connect(path).execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(name, sql) for name, sql in found if name != VERSION_TABLE}


def test_migrating_from_empty_makes_the_tables_of_the_code(store: Store, tmp_path: Path) -> None:
    with store.read() as conn:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(conn, opts=options), metadata) == []
    plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    metadata.create_all(plain)
    plain.dispose()
    # word for word, so that partial indexes and constraint names count too
    assert _ddl(tmp_path / "control.db") == _ddl(tmp_path / "plain.db")


def test_the_code_knows_its_newest_migration_and_ships_them() -> None:
    folder = files("rekindle.store") / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA
    assert (folder / "env.py").is_file()


def test_a_newer_schema_is_refused(store: Store, tmp_path: Path) -> None:
    with store.begin() as conn:
        conn.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer rekindle \(schema 9999\); upgrade rekindle"):
        open_store(tmp_path / "control.db", ManualClock(START))


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    real = command.upgrade

    def half(config: Config, revision: str) -> None:
        real(config, revision)
        raise KeyError("power cut")

    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(KeyError):
        open_store(tmp_path / "control.db", ManualClock(START))
    assert _ddl(tmp_path / "control.db") == set()
    monkeypatch.undo()
    open_store(tmp_path / "control.db", ManualClock(START)).close()


def test_tables_of_others_are_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "control.db")
    other.execute("CREATE TABLE workflow_status (id TEXT)")
    other.execute("CREATE TABLE alembic_version (version_num TEXT)")
    other.execute("INSERT INTO alembic_version VALUES ('mlflow')")
    other.commit()
    open_store(tmp_path / "control.db", ManualClock(START)).close()
    assert other.execute("SELECT version_num FROM alembic_version").fetchall() == [("mlflow",)]
    other.close()

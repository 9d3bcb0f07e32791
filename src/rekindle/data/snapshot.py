"""Frozen training rows: sorted Parquet, a manifest, and an id that is the hash of what the rows say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekindle.data import duck
from rekindle.data.cadence import moment_json
from rekindle.data.canonical import canonical_hash, canonical_order
from rekindle.data.columns import as_text
from rekindle.errors import SourceError, StoreError
from rekindle.objects.folder import whole_folder
from rekindle.records import Snapshot, Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BATCH", "freeze", "thaw", "verify"]

# Column with the batch number of each row: age weights and the judging rows come from it.
BATCH = "__batch__"
# Manifest format. A reader of version 1 must keep working when this is raised; write the upgrade here.
VERSION = 1
PART = "part-0.parquet"


def freeze(
    rows: pd.DataFrame,
    *,
    window: Window,
    time: str,
    label: str,
    features: tuple[str, ...],
    task: str,
    into: Path,
    about: Mapping[str, Any],
) -> Snapshot:
    """Write rows for ever; equal rows share one snapshot.

    Parameters: `rows` with time, label, features and a `__batch__` column; `into` the folder of this loop's
    snapshots; `about` what else the manifest should say (revision, contract, quarantined count).
    The folder appears whole or not at all. Raises StoreError when it cannot be written.
    """
    rows = canonical_order(_unboxed(rows), time)
    content = canonical_hash(rows)
    name = hashlib.blake2b(
        f"{content}|{label}|{','.join(features)}|{task}".encode(), digest_size=10
    ).hexdigest()
    folder = into / name
    if not verify(folder):  # not there, or damaged
        manifest = {
            "version": VERSION,
            "id": name,
            "content_hash": content,
            "rows": len(rows),
            "window": _window_json(window),
            "time": time,
            "label": label,
            "features": list(features),
            "task": task,
            **about,
        }
        if not _writable(rows):
            manifest["columns"] = [str(c) for c in rows.columns]
        try:
            _write(rows, folder, manifest)
        except OSError as error:
            raise StoreError(
                f"snapshot {folder} cannot be written: {error.strerror or error}. Free some space and run again."
            ) from error
    return Snapshot(name, str(folder), len(rows), window, features, label, task)


def _write(rows: pd.DataFrame, folder: Path, manifest: dict[str, Any]) -> None:
    with whole_folder(folder, replace=folder.exists()) as scratch:
        part = scratch / PART
        _copy(rows if "columns" not in manifest else rows.set_axis(_numbered(rows), axis=1), part)
        whole = part.read_bytes()
        manifest["files"] = {
            PART: {
                "bytes": len(whole),
                "sha256": hashlib.sha256(whole).hexdigest(),
                "md5": hashlib.md5(whole, usedforsecurity=False).hexdigest(),
            }
        }
        (scratch / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))


def _copy(rows: pd.DataFrame, part: Path) -> None:
    import duckdb

    open_cursor = duck.cursor()
    open_cursor.register("frozen_rows", rows)
    target = str(part).replace("'", "''")
    try:
        open_cursor.execute(
            f"COPY frozen_rows TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
        )
    except duckdb.Error as error:
        raise OSError(str(error).splitlines()[0]) from error
    finally:
        open_cursor.unregister("frozen_rows")


def thaw(folder: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a snapshot, in order, and its manifest. Raises SourceError when a byte of it was altered."""
    folder = Path(folder)
    manifest = manifest_of(folder)
    if not _whole(folder, manifest):
        raise SourceError(f"snapshot {folder} was altered since it was frozen. Start the run again.")
    rows = _read(folder / PART)
    return rows.set_axis(manifest.get("columns", rows.columns), axis=1), manifest


def _read(part: Path) -> pd.DataFrame:
    """All columns; zoned times by way of integers, since DuckDB's own conversion warns about pandas."""
    import pandas as pd

    relation = "read_parquet('{}')".format(str(part).replace("'", "''"))
    described = duck.run(f"DESCRIBE SELECT * FROM {relation}", reading=str(part)).fetchall()
    zoned = [str(name) for name, kind, *_ in described if kind == "TIMESTAMP WITH TIME ZONE"]
    swaps = ", ".join(f"epoch_us({duck.quote(c)}) AS {duck.quote(c)}" for c in zoned)
    rows = duck.frame(f"SELECT *{f' REPLACE ({swaps})' if zoned else ''} FROM {relation}", reading=str(part))
    times = {c: pd.to_datetime(rows[c], unit="us", utc=True).dt.as_unit("us") for c in zoned}
    return rows.assign(**times) if times else rows


def verify(folder: str | Path) -> bool:
    """True when the snapshot is there and its bytes are those the manifest names."""
    try:
        return _whole(Path(folder), manifest_of(folder))
    except SourceError:
        return False


def manifest_of(folder: str | Path) -> dict[str, Any]:
    """What a snapshot says about itself. Raises SourceError when nothing readable is there."""
    try:
        manifest: dict[str, Any] = json.loads((Path(folder) / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise SourceError(
            f"snapshot {folder} has no readable manifest: {error}. Start the run again."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("version") != VERSION:
        raise SourceError(
            f"snapshot {folder} is of another version than {VERSION}; upgrade rekindle to read it"
        )
    return manifest


def _whole(folder: Path, manifest: Mapping[str, Any]) -> bool:
    try:
        with (folder / PART).open("rb") as part:
            held = hashlib.file_digest(part, "sha256").hexdigest()
    except OSError:
        return False
    return bool(held == manifest["files"][PART]["sha256"])


def _writable(rows: pd.DataFrame) -> bool:
    """Can the column names stand in the file? DuckDB takes "Age" and "age" for one name, and ends one at NUL."""
    names = [str(c) for c in rows.columns]
    return len({n.casefold() for n in names}) == len(names) and not any(n == "" or "\x00" in n for n in names)


def _numbered(rows: pd.DataFrame) -> list[str]:
    return [f"c{k}" for k in range(len(rows.columns))]


def _unboxed(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns of Python objects as truths or text: a writer that guesses from a sample may guess wrong."""
    import pandas as pd

    plain: dict[str, Any] = {}
    for name in rows.columns:
        values = rows[name]
        if values.dtype != object and not isinstance(values.dtype, pd.CategoricalDtype):
            continue
        truths = pd.api.types.infer_dtype(values, skipna=True) == "boolean"
        plain[name] = values.astype("boolean") if truths else as_text(values).astype("str")
    return rows.assign(**plain) if plain else rows


def _window_json(window: Window) -> dict[str, Any]:
    return {
        "start": moment_json(window.start),
        "end": moment_json(window.end),
        "rule": window.rule,
        "half_life": window.half_life,
    }

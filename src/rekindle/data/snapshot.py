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
    rows = canonical_order(rows, time)
    content = canonical_hash(rows)
    name = hashlib.blake2b(
        f"{content}|{label}|{','.join(features)}|{task}".encode(), digest_size=10
    ).hexdigest()
    folder = into / name
    if not (folder / "manifest.json").exists():
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
        try:
            _write(rows, folder, manifest)
        except OSError as error:
            raise StoreError(
                f"snapshot {folder} cannot be written: {error}. Free some space and run again."
            ) from error
    return Snapshot(name, str(folder), len(rows), window, features, label, task)


def _write(rows: pd.DataFrame, folder: Path, manifest: dict[str, Any]) -> None:
    with whole_folder(folder) as scratch:
        part = scratch / PART
        _copy(rows, part)
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
    """The rows of a snapshot, in order, and its manifest."""
    folder = Path(folder)
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise SourceError(
            f"snapshot {folder} has no readable manifest: {error}. Start the run again."
        ) from error
    if manifest.get("version") != VERSION:
        raise SourceError(
            f"snapshot {folder} is of version {manifest.get('version')}; upgrade rekindle to read it"
        )
    part = str(folder / PART).replace("'", "''")
    rows = duck.run(f"SELECT * FROM read_parquet('{part}')", reading=str(folder / PART)).df()
    return rows, manifest


def verify(folder: str | Path) -> bool:
    """True when the part's bytes are those the manifest names."""
    folder = Path(folder)
    _, manifest = thaw(folder)
    held = hashlib.sha256((folder / PART).read_bytes()).hexdigest()
    return bool(held == manifest["files"][PART]["sha256"])


def _window_json(window: Window) -> dict[str, Any]:
    return {
        "start": moment_json(window.start),
        "end": moment_json(window.end),
        "rule": window.rule,
        "half_life": window.half_life,
    }

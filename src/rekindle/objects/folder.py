"""Put-if-absent for folders: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A scratch folder that becomes `target` when the block ends without an error.

    Nobody ever sees half of it, whatever is killed when. If `target` is there already, the new one is dropped,
    or with `replace` takes its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.parent / f".new-{secrets.token_hex(8)}"
    scratch.mkdir()
    try:
        yield scratch
        if replace:
            _set_aside(target)
        try:
            os.rename(scratch, target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _set_aside(target: Path) -> None:
    """Take the old folder out of its place in one step; removing it where it lies would show half of it."""
    old = target.parent / f".old-{secrets.token_hex(8)}"
    try:
        os.rename(target, old)
    except FileNotFoundError:
        return
    shutil.rmtree(old, ignore_errors=True)

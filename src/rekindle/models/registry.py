"""Versions of a model and who bears which alias; opens their bundles and keeps the newest ones in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.models.bundle import Bundle, open_bundle
from rekindle.store import versions

if TYPE_CHECKING:
    from rekindle.protocols import Trainer
    from rekindle.records import Version
    from rekindle.store import Store

__all__ = ["Registry"]


class Registry:
    """Reads the model plane: the database says which version, a folder holds it.

    Parameters: `store` the control database; `folder` root of all bundles; `cache` how many opened bundles to keep.
    """

    def __init__(self, store: Store, folder: Path, cache: int = 16) -> None:
        self.store, self.folder, self._size = store, folder, cache
        self._opened: OrderedDict[tuple[str, int], Bundle] = OrderedDict()
        self._lock = threading.Lock()

    def bundle_folder(self, loop: str, run: str) -> Path:
        """Where the bundle of a run lies: under the model's name and the run's id."""
        return self.folder / loop / run

    def champion(self, loop: str) -> Version | None:
        """The version that serves, if any."""
        return self.bearer(loop, "champion")

    def bearer(self, loop: str, alias: str) -> Version | None:
        """The version that bears an alias: champion, challenger or previous."""
        with self.store.read() as conn:
            held = versions.alias(conn, loop, alias)
            return None if held is None else versions.get(conn, loop, held.version)

    def get(self, loop: str, number: int) -> Version:
        """A version by its number; UnknownName when there is none."""
        with self.store.read() as conn:
            return versions.get(conn, loop, number)

    def open(self, version: Version, trainer: Trainer) -> Bundle:
        """The version's model, loaded once and checked. Raises BundleError when its folder is not what it was."""
        key = (version.loop, version.number)
        with self._lock:
            if key in self._opened:
                self._opened.move_to_end(key)
                return self._opened[key]
        bundle = open_bundle(version.folder, trainer, version=version.number, label=version.label)
        with self._lock:
            self._opened[key] = bundle
            while len(self._opened) > self._size:
                self._opened.popitem(last=False)
        return bundle

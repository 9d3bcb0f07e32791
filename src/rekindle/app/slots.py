"""rk.Slot: the hot swap that follows a loop's champion in a home, free of any server."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.app.config import load_settings
from rekindle.app.loading import load_loops
from rekindle.clock import SystemClock
from rekindle.errors import RekindleError, StoreError, UnknownName
from rekindle.models.bundle import open_bundle
from rekindle.serving.slot import Slot as BareSlot
from rekindle.store import loops, open_store, versions
from rekindle.training.estimator import Estimator

if TYPE_CHECKING:
    from rekindle.models.bundle import Bundle
    from rekindle.protocols import Trainer
    from rekindle.store import Store

__all__ = ["Slot"]


class Slot(BareSlot):
    """A model that stays fresh inside your own program: `slot = rk.Slot.follow("churn")`, then `slot.predict(rows)`.

    It learns of promotions by itself (it looks once a second), loads and checks the new model on a thread and swaps
    it in between two predictions; nobody waits, nothing fails. `slot.rollback()` goes back without loading.
    """

    @classmethod
    def follow(cls, name: str, *, home: str | Path | None = None, every: float = 1.0) -> Slot:
        """A slot that serves the champion of loop `name`.

        Parameters: `home` the folder that `rekindle up` works in (default: the setting, `./.rekindle`); `every`
        seconds between two looks. Raises StoreError where there is no home, UnknownName when it does not know the
        loop. With no champion yet the slot waits for the first one; `slot.ready` tells.
        """
        settings, _ = load_settings({"home": home})
        place = Path(settings.home).expanduser().absolute()
        if not settings.database and not (place / "rekindle.db").is_file():
            raise StoreError(
                f"there is no home in {place}; give the folder that `rekindle up` works in: home=..."
            )
        store = open_store(settings.database or place / "rekindle.db", SystemClock())
        try:
            slot = cls(_Opener(store, name), name=name)
            slot.follow_source(_Champion(store, name), every)
        except BaseException:
            store.close()
            raise
        weakref.finalize(slot, store.close)
        return slot


class _Opener:
    """Opens a version's bundle with the loop's own trainer, or the one for estimators where it has none at hand."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        with store.read() as conn:
            known = loops.find(conn, name)
            if known is None:
                raise UnknownName("loop", name, loops.names(conn))
        self._trainer = _trainer(known.file, name)

    def __call__(self, number: int) -> Bundle:
        with self._store.read() as conn:
            version = versions.get(conn, self._name, number)
        return open_bundle(version.folder, self._trainer, version=version.number, label=version.label)


class _Champion:
    """Who is champion now, and how often that changed."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def __call__(self) -> tuple[int, int] | None:
        with self._store.read() as conn:
            alias = versions.alias(conn, self._name)
        return None if alias is None else (alias.version, alias.generation)


def _trainer(file: str, name: str) -> Trainer:
    """A loops file may be missing on a serving machine; estimators need none."""
    try:
        declared = {loop.name: loop.trainer for loop in load_loops(file).loops} if file else {}
    except RekindleError:
        declared = {}
    return declared.get(name) or Estimator.for_loading()

"""The hot swap: one reference store publishes a new model, readers take no lock, the old one's memory comes back.

Readers take one local reference to a small `Live` and call through it, so an answer can never mix two versions.
Loading, checking and warming up happen before, on a thread. What becomes of old versions: `reaper.py`.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from rekindle.errors import BundleError, DeclarationError, RekindleError, StaleSwap
from rekindle.serving.follower import Follower
from rekindle.serving.reaper import Held, Reaper, refusing, release
from rekindle.serving.warmup import count_rows, warm_up

if TYPE_CHECKING:
    import asyncio

    from rekindle.serving.reaper import Live

__all__ = ["ANY", "Answer", "Servable", "Slot"]

log = logging.getLogger("rekindle.serving")


class _Any(Enum):
    ANY = "any"


ANY: Final = _Any.ANY  # swap whatever the slot serves
Expected: TypeAlias = int | _Any | None


class Servable(Protocol):
    """What a slot serves: one model with its preprocessing, immutable. May have `close()`, called when let go."""

    @property
    def version(self) -> int:
        """Its number, the one it was asked for by."""
        ...

    @property
    def label(self) -> str:
        """What people call it, e.g. "v16"."""
        ...

    @property
    def probe(self) -> Any:
        """A few real rows to warm up on; None: there are none, so it is neither checked nor timed."""
        ...

    def predict(self, rows: Any) -> Any:
        """One prediction per row; called from many threads at once."""
        ...


class Answer(NamedTuple):
    """A prediction and the version that made it, both from one reference: never mixed."""

    prediction: Any  # what predict returned
    version: int  # number of the version that made it
    label: str  # its label


class Slot:
    """Serves one version of a model in this process and swaps it for another without a pause.

    `predict` and `answer` may be called from any thread, also while a swap loads; they take no lock. A swap that
    fails in any way changes nothing. Make it after forking: its threads do not survive a fork.

    load:       version -> Servable; runs on a thread of its own
    keep:       most old versions that calls may still be running on; a swap beyond that is refused
    warm_up:    predictions on `probe` before a version is published (at least one, which is also the check)
    on_swap:    called with the old version (None at first) and the new one, after the swap, on the swapping thread
    name:       the loop's name, for messages
    warn_after: seconds after which a call that keeps an old version is reported

    >>> from types import SimpleNamespace
    >>> slot = Slot(
    ...     lambda version: SimpleNamespace(
    ...         version=version, label=f"v{version}", probe=[0], predict=lambda rows: [version for _ in rows]
    ...     )
    ... )
    >>> slot.swap(1)
    >>> slot.swap(2, expect=1)
    >>> slot.answer([0])
    Answer(prediction=[2], version=2, label='v2')
    >>> slot.rollback()
    1
    >>> slot.close()
    """

    def __init__(
        self,
        load: Callable[[int], Servable],
        *,
        keep: int = 4,
        warm_up: int = 3,
        on_swap: Callable[[int | None, int], None] | None = None,
        name: str = "NAME",
        warn_after: float = 60.0,
    ) -> None:
        if keep < 1:
            raise DeclarationError("keep", keep, "write 1 or more; 1 waits for every call on the old version")
        self._load, self._keep, self._warm_up, self._on_swap = load, keep, warm_up, on_swap
        adopt = f"`rekindle adopt {name} --model FILE`"
        self._live = refusing(f"no champion yet: run `rekindle retrain {name}` or {adopt}")
        self._current: Held | None = None
        self._previous: Held | None = None
        self._lock = threading.Lock()  # swaps only; readers never touch it
        self._process = os.getpid()
        self._tickets = itertools.count(1)
        self._newest = 0  # ticket of the newest swap that was published
        self._closed = False
        self._follower: Follower | None = None
        self._reaper = Reaper(self, warn_after)
        # Its own threads: asyncio's default pool is shared with whatever else the program waits for.
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="rekindle-predict")

    def predict(self, rows: Any) -> Any:
        """One prediction per row, by the version that serves now."""
        live = self._live  # a name of its own: it keeps the version until the call has returned
        return live.predict(rows)

    def answer(self, rows: Any) -> Answer:
        """The predictions together with the version that made them."""
        live = self._live
        return Answer(live.predict(rows), live.version or 0, live.label)

    async def apredict(self, rows: Any) -> Any:
        """`predict` for an event loop: cheap calls run at once, others on the slot's own threads."""
        live = self._live
        if count_rows(rows) <= live.inline_rows:
            return live.predict(rows)
        return await self._elsewhere(live, rows)

    async def aanswer(self, rows: Any) -> Answer:
        """`answer` for an event loop."""
        live = self._live
        if count_rows(rows) <= live.inline_rows:
            return Answer(live.predict(rows), live.version or 0, live.label)
        return Answer(await self._elsewhere(live, rows), live.version or 0, live.label)

    def _elsewhere(self, live: Live, rows: Any) -> asyncio.Future[Any]:
        from asyncio import get_running_loop

        return get_running_loop().run_in_executor(self._pool, live.call, rows)

    @property
    def version(self) -> int | None:
        """Number of the version that serves; None before the first. For a prediction's version use `answer`."""
        return self._live.version

    @property
    def label(self) -> str | None:
        """Label of the version that serves; None before the first."""
        live = self._live
        return None if live.version is None else live.label

    @property
    def ready(self) -> bool:
        """True once a version serves."""
        return self.version is not None

    def swap(self, version: int, expect: Expected = ANY) -> None:
        """Load a version, check it, warm it up, then serve it; returns when it serves. In asyncio use `aswap`.

        expect: the version that must serve now, None for an empty slot; otherwise StaleSwap and nothing changes,
                as when a newer swap was published while this one loaded
        """
        swapping = self._begin(version, expect)
        try:
            swapping.result()
        finally:
            swapping.cancel()  # a caller interrupted while waiting gets no swap behind its back
            del swapping  # its exception's traceback holds this frame: break the circle

    async def aswap(self, version: int, expect: Expected = ANY) -> None:
        """`swap` for an event loop, which goes on meanwhile; a cancelled one changes nothing."""
        from asyncio import wrap_future

        await wrap_future(self._begin(version, expect))

    def rollback(self, expect: Expected = ANY) -> int:
        """Serve the previous version again: kept warm, not loaded. Returns its number; a second call undoes it."""
        version = self._recall(None, expect)
        if version is None:
            raise RekindleError(
                f"no previous version: the slot has served only {self.label or 'nothing'}. Name one: swap(version)"
            )
        return version

    def reach(self, version: int) -> None:
        """Serve this version by the cheapest way: nothing to do, the warm previous one, or a swap."""
        if self.version != version and self._recall(version, ANY) is None:
            self.swap(version)

    def _begin(self, version: int, expect: Expected) -> Future[None]:
        with self._swapping():
            self._check(expect)
            ticket = next(self._tickets)
        swapping: Future[None] = Future()
        threading.Thread(
            target=self._carry_out,
            args=(swapping, version, expect, ticket),
            name=f"rekindle-load-{version}",
            daemon=True,
        ).start()
        return swapping

    def _carry_out(self, swapping: Future[None], version: int, expect: Expected, ticket: int) -> None:
        held: Held | None = None
        try:
            self._reaper.make_room(version, self._keep)
            held = self._prepared(version)
            if not swapping.set_running_or_notify_cancel():
                held.free()
                return
            old = self._publish(held, expect, ticket)
            new, held = held, None  # it serves: no longer ours to free
            self._tell(old, new)
            swapping.set_result(None)
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits for the swap
            if held is not None:
                held.free()
            if swapping.running() or swapping.set_running_or_notify_cancel():
                swapping.set_exception(exc)
        finally:
            del swapping  # as in swap

    def _prepared(self, version: int) -> Held:
        servable = self._load(version)
        try:
            if servable.version != version:
                raise BundleError(f"asked for version {version}, the bundle says it is {servable.version}")
            return Held(servable, warm_up(servable, self._warm_up))
        except BaseException:
            release(servable, version)
            raise

    def _publish(self, held: Held, expect: Expected, ticket: int) -> Held | None:
        with self._swapping():
            self._check(expect)
            if ticket < self._newest:
                raise StaleSwap(f"swap to {held.label} dropped: {self.label} was swapped in while it loaded")
            self._reaper.make_room(held.version, self._keep)
            self._newest = ticket
            old = self._current
            # Loading the serving version anew leaves the way back as it was.
            again = old is not None and old.version == held.version
            self._store(held, self._previous if again else old)
        return old

    def _recall(self, version: int | None, expect: Expected) -> int | None:
        with self._swapping():
            self._check(expect)
            current, previous = self._current, self._previous
            if previous is None or (version is not None and previous.version != version):
                return None
            self._newest = next(self._tickets)
            self._store(previous, current)
        self._tell(current, previous)
        return previous.version

    def _swapping(self) -> threading.Lock:
        if os.getpid() != self._process:
            raise RekindleError(
                "this slot was made before a fork, which its threads did not survive; make it after"
            )
        return self._lock

    def _store(self, held: Held, previous: Held | None) -> None:
        live = held.live(self._reaper.bell)
        self._reaper.pin(held, previous)
        self._current, self._previous = held, previous
        self._live = live  # the swap

    def _check(self, expect: Expected) -> None:
        if self._closed:
            raise RekindleError("this slot is closed; open a new one")
        if expect is not ANY and self.version != expect:
            raise StaleSwap(
                f"the slot serves {self.label or 'nothing'}, not version {expect} as expected: another swap came first"
            )

    def _tell(self, old: Held | None, new: Held) -> None:
        log.info("model updated: %s -> %s", old.label if old else "none", new.label)
        if self._on_swap is not None:
            try:
                self._on_swap(old.version if old else None, new.version)
            except Exception:  # the swap has happened; a listener cannot undo it by failing
                log.exception("on_swap failed after the swap to %s", new.label)

    def follow_source(self, current: Callable[[], tuple[int, int] | None], every: float = 1.0) -> None:
        """Keep up with a champion by itself: the first look happens now, the next ones on a daemon thread.

        On errors the old version serves on; `last_error` and `stale_for` tell. A rollback by hand holds until the
        source names another champion.

        current: -> (version, generation), or None without a champion; must not hold this slot, or both stay for ever
        every:   seconds between two looks
        """
        if every <= 0:
            raise DeclarationError("every", every, "write the seconds between two looks, more than 0")
        follower = Follower(self, current, every)
        with self._swapping():
            self._check(ANY)
            old, self._follower = self._follower, follower
        if old is not None:
            old.bell.put(None)
        follower.look()
        threading.Thread(target=follower.run, name="rekindle-follow", daemon=True).start()

    @property
    def stale_for(self) -> float:
        """Seconds since the followed champion was last seen and served; 0.0 when nothing is followed."""
        return 0.0 if (follower := self._follower) is None else time.monotonic() - follower.good_at

    @property
    def last_error(self) -> str | None:
        """Why the champion cannot be followed at present; None when all is well."""
        return None if (follower := self._follower) is None else follower.error

    def close(self) -> None:
        """Stop following and let go of all versions; calls in flight finish, new ones are refused."""
        with self._lock:
            self._closed = True
            self._live = refusing("this slot is closed; open a new one")
            self._current = self._previous = None
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.bell.put(None)
        self._reaper.close()
        self._pool.shutdown(wait=False)

    def __repr__(self) -> str:
        return f"<Slot {self.label or 'empty'}>"

"""Home: the verbs on loops. A composition root with little logic of its own; the command line calls these."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rekindle import monitor, retrain
from rekindle.app import adopting, registering, standing
from rekindle.app.config import Settings, load_settings
from rekindle.app.loading import LoopsFile, given_loops, load_loops, matching, split_target
from rekindle.app.lock import HomeLock
from rekindle.app.reports import CheckReport, TickReport
from rekindle.clock import Clock, SystemClock
from rekindle.engine.inline import InlineEngine
from rekindle.engine.nursery import Nursery
from rekindle.engine.watchdog import Limits
from rekindle.errors import ConfigError, StoreError, UnknownName
from rekindle.events.bus import LocalBus
from rekindle.events.delivery import Delivery
from rekindle.loop import Loop
from rekindle.models.registry import Registry
from rekindle.records import Env, Kind, RunState, Signal
from rekindle.store import commands, decisions, loops, open_store, outbox, runs, steps, versions
from rekindle.store.rehearsal import rehearse
from rekindle.story import APPROVAL
from rekindle.workshop import Workshop

if TYPE_CHECKING:
    import pandas as pd

    from rekindle.models.bundle import Bundle
    from rekindle.protocols import Notifier
    from rekindle.records import Run, Version
    from rekindle.store.commands import Command

__all__ = ["Home", "open_home"]

log = logging.getLogger("rekindle")
ACTOR = "local"


class Home:
    """A folder that remembers: open it with `rk.open("loops.py")` and act on its loops by name.

    Not to be shared between threads; several processes may open one home, one acts at a time.
    """

    def __init__(
        self,
        declared: Sequence[LoopsFile],
        settings: Settings,
        *,
        clock: Clock | None = None,
        nursery: Nursery | None = None,
        say: Callable[[str, float], None] | None = None,
    ) -> None:
        self.settings, self.clock = settings, clock or SystemClock()
        self.folder = Path(settings.home).expanduser().absolute()
        self.stopping = self.hurried = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the home {self.folder} cannot be made: {error.strerror}. Give a folder you may write: "
                "--home FOLDER or REKINDLE_HOME"
            ) from error
        self.store = open_store(settings.database or self.folder / "rekindle.db", self.clock)
        self.registry = Registry(self.store, self.folder / "models")
        self.lock = HomeLock(self.folder)
        self.bus = LocalBus()
        self._delivery = Delivery(self.store, self.bus, lambda name: _notifiers(self.loops.get(name)))
        self._own_nursery = nursery is None
        self.shop = Workshop(
            store=self.store,
            registry=self.registry,
            clock=self.clock,
            folder=self.folder,
            nursery=nursery or Nursery(),
            limits=Limits(settings.train_seconds, settings.train_memory_mb or None, settings.threads),
            stop=lambda: self.stopping,
            hurry=lambda: self.hurried,
            say=say or (lambda text, share: None),
            approval_days=settings.approval_days,
        )
        self.engine = InlineEngine(self.store, self._carry_out)
        self.loops: dict[str, Loop] = {loop.name: loop for file in declared for loop in file.loops}
        revisions: dict[str, str] = {}
        for file in declared:
            revisions |= registering.register(self.store, file, self.clock).revisions
        self.shop.revisions = revisions

    def close(self) -> None:
        """Let go of the database and the nursery."""
        if self._own_nursery:
            self.shop.nursery.close()
        self.store.close()

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def names(self, pattern: str = "*") -> list[str]:
        """Names of the loops that fit a glob."""
        return matching(self.loops, pattern)

    def check(self, name: str) -> CheckReport:
        """What a tick would decide now. Nothing is stored, trained or changed."""
        loop = self._loop(name)
        with (
            TemporaryDirectory(prefix="rekindle-check-") as aside,
            rehearse(self.store, Path(aside)) as rehearsal,
        ):
            shop = standing.rehearsal_shop(self.shop, rehearsal, Path(aside))
            changed = standing.changed(shop, name)
            return standing.check_report(loop, shop, monitor.tick(loop, shop), changed)

    def tick(self, name: str) -> TickReport:
        """Bring one loop up to date: score the batches that are due, decide, and carry out what was decided."""
        loop = self._loop(name)
        with self.lock.held("tick", wait=5.0):
            resumed = self._resume(name)
            if self._paused(name):
                self._deliver()
                return TickReport(name, (), resumed, "paused; `rekindle resume` lets it go on")
            taken = monitor.tick(loop, self.shop)
            run = self._submit(next((d.run for d in taken if d.run), None)) or resumed
            self._deliver()
            return TickReport(name, tuple(taken), run, standing.next_batch(loop, self.shop))

    def retrain(self, name: str, reason: str) -> TickReport:
        """A person wants a retraining now. Refused (as a `wait`) only while a run or an approval is open."""
        if not reason.strip():
            raise ConfigError("reason", reason, "the command", "say why, for the record: --reason 'why'")
        loop = self._loop(name)
        signal = Signal(Kind.MANUAL, "Person", 3, 1.0, 0.0, f"manual: {reason}", evidence={"actor": ACTOR})
        with self.lock.held("retrain", wait=5.0):
            self._resume(name)
            decision = monitor.manual_decision(loop, self.shop, signal)
            run = self._submit(decision.run)
            self._deliver()
            return TickReport(name, (decision,), run, standing.next_batch(loop, self.shop))

    def approve(self, run: str, reason: str = "") -> Run:
        """Release a candidate that passed its gates and waits for a person."""
        with self.lock.held("approve", wait=5.0):
            waiting = self._waiting(run)
            with self.store.begin() as conn:
                now = self.clock.now()
                steps.begin_step(conn, waiting.id, APPROVAL, now)
                steps.end_step(
                    conn, waiting.id, APPROVAL, {"approved": True, "actor": ACTOR, "reason": reason}, now
                )
                runs.set_state(conn, waiting.id, RunState.RUNNING)
            ended = self._submit(waiting.id)
            self._deliver()
        assert ended is not None
        return ended

    def reject(self, run: str, reason: str) -> Run:
        """Keep the champion: the candidate that waits is not released."""
        with self.lock.held("reject", wait=5.0):
            waiting = self._waiting(run)
            ended = retrain.reject(waiting, self._loop(waiting.loop), self.shop, f"rejected: {reason}")
            self._deliver()
        return ended

    def rollback(self, name: str, reason: str = "") -> Version:
        """Make the previous version champion again, at once."""
        loop = self._loop(name)
        with self.store.begin() as conn:
            if versions.alias(conn, name, versions.PREVIOUS) is None:
                raise UnknownName(
                    f"earlier version of {name}: nothing to roll back to; version", "previous", ()
                )
            alias = versions.rollback(conn, name, self.clock.now())
            back = versions.get(conn, name, alias.version)
            payload = {
                "version": back.number,
                "cause": f"back to {back.label}: {reason or 'by hand'}",
                "actor": ACTOR,
            }
            outbox.add(conn, "rolled_back", name, payload, self.clock.now())
            standing.rereference(conn, loop, self.shop, back)
        self._deliver()
        return back

    def request(self, verb: str, name: str, args: Mapping[str, Any]) -> Command | None:
        """Queue a command for a running `rekindle up`; None when none runs, then act yourself."""
        holder = self.lock.holder()
        if holder is None or holder.verb != "up":
            return None
        with self.store.begin() as conn:
            return commands.add(conn, name, verb, args, ACTOR, self.clock.now())

    def pause(self, name: str) -> None:
        """No more ticks for this loop until `resume`."""
        self._set_paused(name, True)

    def resume(self, name: str) -> None:
        """Let a paused loop go on; what it missed is scored in order."""
        self._set_paused(name, False)

    def paused(self) -> frozenset[str]:
        """Names of the paused loops."""
        with self.store.read() as conn:
            return frozenset(loops.paused(conn))

    def adopt(self, name: str, model: str | Path, **about: Any) -> Version:
        """Make an existing model champion v1. See `rekindle.app.adopting.adopt` for the options."""
        with self.lock.held("adopt", wait=5.0):
            return adopting.adopt(self._loop(name), self.shop, Path(model), **about)

    def champion(self, name: str) -> Bundle:
        """The model that serves: `home.champion("churn").predict(X)`."""
        loop = self._loop(name)
        version = self.registry.champion(name)
        if version is None:
            raise UnknownName("champion", name, ())
        return self.registry.open(version, loop.trainer)

    def status(self, pattern: str = "*") -> list[dict[str, Any]]:
        """One mapping per loop: champion, age, health, last decision, next batch, what waits for a person."""
        return [standing.status_of(self._loop(name), self.shop) for name in self.names(pattern)]

    def decisions(self, name: str = "*", limit: int = 50) -> pd.DataFrame:
        """The newest decisions, one row each, with their reasons."""
        with self.store.read() as conn:
            return standing.as_frame(decisions.newest(conn, name, limit=limit))

    def runs(self, name: str = "*", limit: int = 50) -> pd.DataFrame:
        """The newest runs, one row each, with outcome and cause."""
        with self.store.read() as conn:
            return standing.as_frame(runs.newest(conn, name, limit=limit))

    def versions(self, name: str = "*", limit: int = 50) -> pd.DataFrame:
        """The newest versions and who bears which alias."""
        with self.store.read() as conn:
            return standing.versions_frame(conn, versions.newest(conn, name, limit=limit))

    def _resume(self, name: str) -> Run | None:
        """Take up again what a crash or a stop cut off, and let an old approval lapse."""
        with self.store.read() as conn:
            left = runs.open_run(conn, name)
            lapsed = {r.id for r in runs.expired(conn, self.clock.now())}
        if left is not None and left.id in lapsed:
            cause = "the approval lapsed: nobody decided in time"
            return retrain.reject(left, self._loop(name), self.shop, cause)
        if left is None or left.state is RunState.AWAITING_APPROVAL:
            return None
        log.info("%s: run %s is taken up again", name, left.id)
        return self._submit(left.id)

    def _submit(self, run: str | None) -> Run | None:
        if run is None:
            return None
        with self.store.read() as conn:
            waiting = runs.get(conn, run)
        self.engine.submit(waiting)
        with self.store.read() as conn:
            ended = runs.get(conn, run)
        if ended.state.final:
            try:
                self._loop(ended.loop).policy.observe(ended)
            except Exception:  # the run is over and told; a policy that does not learn must not undo that
                log.exception("%s: the policy could not take note of run %s", ended.loop, ended.id)
        return ended

    def _carry_out(self, run: Run) -> None:
        retrain.retrain(run, self._loop(run.loop), self.shop)

    def _waiting(self, run: str) -> Run:
        with self.store.read() as conn:
            loop = runs.get(conn, run).loop
        self._resume(loop)  # an approval that lapsed is not given any more
        with self.store.read() as conn:
            found = runs.get(conn, run)
            waiting = [r.id for r in runs.opened(conn) if r.state is RunState.AWAITING_APPROVAL]
        if found.state is not RunState.AWAITING_APPROVAL:
            raise UnknownName(f"run awaiting approval ({found.state.value}: {found.cause})", run, waiting)
        return found

    def _set_paused(self, name: str, paused: bool) -> None:
        self._loop(name)
        with self.store.begin() as conn:
            loops.set_paused(conn, name, paused)

    def _paused(self, name: str) -> bool:
        return name in self.paused()

    def _loop(self, name: str) -> Loop:
        if name not in self.loops:
            raise UnknownName("loop", name, self.loops)
        return self.loops[name]

    def _deliver(self) -> None:
        self._delivery.deliver()


def _notifiers(loop: Loop | None) -> Sequence[Notifier] | None:
    if loop is None:  # of another loops file
        return None
    from rekindle.contrib.apprise import UrlNotifier

    return [UrlNotifier(n) if isinstance(n, (Env, str)) else n for n in loop.notify]


def open_home(
    target: str | Path | Loop | Iterable[Loop],
    *,
    clock: Clock | None = None,
    flags: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Home:
    """Open a home with the loops of a file, or with loops given in Python.

    `target` is `loops.py`, `loops.py:name` or a list of loops; `settings` are those of `rekindle config show`,
    e.g. `home="~/models"`. Used as `rk.open("loops.py")`.
    """
    force, _ = load_settings({**(flags or {}), **settings})
    if isinstance(target, (str, Path)):
        path, pattern = split_target(str(target))
        declared = load_loops(path)
        if pattern is not None:
            keep = set(matching([loop.name for loop in declared.loops], pattern))
            kept = tuple(loop for loop in declared.loops if loop.name in keep)
            declared = LoopsFile(declared.path, declared.text, kept, declared.git_commit, declared.git_dirty)
    else:
        declared = given_loops(target)
    return Home([declared], force, clock=clock)

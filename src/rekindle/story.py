"""A run as it is told: its steps with their results, each done once, and how it ends."""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekindle.errors import RekindleError, StaleSwap, Stopped, StoreError
from rekindle.records import Outcome, Run, RunState
from rekindle.store import loops, outbox, runs, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rekindle.loop import Loop
    from rekindle.workshop import Workshop

__all__ = ["Story"]

log = logging.getLogger("rekindle.retrain")
APPROVAL = "approval"


class Story:
    """One run, its loop and its surroundings; `found[step]` is what each finished step found."""

    def __init__(self, run: Run, loop: Loop, shop: Workshop) -> None:
        self.run, self.loop, self.shop = run, loop, shop
        self.folder = shop.run_folder(run.id)
        self.memory: dict[str, Any] = {}  # rows and the like, handed from one step to the next in one process
        with shop.store.read() as conn:
            told = steps.steps(conn, run.id)
        self.found: dict[str, dict[str, Any]] = {s.name: dict(s.result) for s in told if s.state == "done"}

    def claim(self) -> bool:
        """Take the run into work; True also for one that a crash left running."""
        with self.shop.store.begin() as conn:
            state = runs.get(conn, self.run.id).state
            return state is RunState.RUNNING or runs.claim(conn, self.run.id, self.shop.clock.now())

    def outgrown(self) -> str:
        """Why a run that was cut off before its training must not go on; empty when it may.

        It pinned a declaration; under another trainer, source or features it would be neither the one nor the other.
        """
        with self.shop.store.read() as conn:
            stored = loops.get(conn, self.run.loop)
        lines = stored.settings.get("changed") or ()
        if "train" in self.found or not lines or self.shop.revision(stored) == self.run.revision:
            return ""
        return f"the declaration changed while this run was cut off ({'; '.join(lines)}); the change starts another"

    def standing(self) -> Run:
        """The run as the store has it."""
        with self.shop.store.read() as conn:
            return runs.get(conn, self.run.id)

    def once(self, name: str, act: Callable[[Story], dict[str, Any]]) -> dict[str, Any]:
        """Carry out a step unless it is done; its result is stored either way."""
        if name in self.found:
            return self.found[name]
        if self.shop.stop():
            raise Stopped(f"run {self.run.id} stops before {name!r}; `rekindle up` resumes it")
        with self.shop.store.begin() as conn:
            steps.begin_step(conn, self.run.id, name, self.shop.clock.now())
        self.shop.say(name, 0.0)
        try:
            result = act(self)
        except Stopped:
            raise
        except Exception as error:
            self._note_failure(name, error)
            raise
        with self.shop.store.begin() as conn:
            steps.end_step(conn, self.run.id, name, result, self.shop.clock.now())
        self.shop.say(name, 1.0)
        self.found[name] = result
        return result

    def approved(self) -> bool:
        """Did a person say yes?"""
        return APPROVAL in self.found

    def await_approval(self) -> Run:
        """Wait for a person; holds no slot, survives restarts, lapses after some days."""
        expires = self.shop.clock.now() + timedelta(days=self.shop.approval_days)
        with self.shop.store.begin() as conn:
            runs.set_state(conn, self.run.id, RunState.AWAITING_APPROVAL, expires_at=expires)
            self._tell(conn, "approval_wanted", {"expires_at": expires.isoformat()})
        return self.standing()

    def end(self, state: RunState, outcome: Outcome, cause: str) -> Run:
        """The run is over without a new champion."""
        with self.shop.store.begin() as conn:
            runs.finish(
                conn,
                self.run.id,
                state,
                outcome,
                at=self.shop.clock.now(),
                cause=cause,
                metadata=self.facts(),
            )
            self._tell(conn, "run_finished", {"outcome": outcome.value, "cause": cause})
        self._tidy()
        return self.standing()

    def promote(self, act: Callable[[Story, Connection], dict[str, Any]]) -> Run:
        """The last step: everything a promotion changes, in one transaction."""
        with self.shop.store.begin() as conn:
            now = self.shop.clock.now()
            steps.begin_step(conn, self.run.id, "release", now)
        try:
            return self._promote(act, now)
        except Exception as error:
            self._note_failure("release", error)
            raise

    def _promote(self, act: Callable[[Story, Connection], dict[str, Any]], now: datetime) -> Run:
        with self.shop.store.begin() as conn:
            result = act(self, conn)
            steps.end_step(conn, self.run.id, "release", result, now)
            ended = runs.finish(conn, self.run.id, RunState.COMPLETED, Outcome.PROMOTED, at=self.shop.clock.now(),
                                cause=result["cause"], version=result["version"], metadata=self.facts())  # fmt: skip
            if not ended:  # nothing of the promotion may stay
                raise StaleSwap(f"run {self.run.id} had ended before its release")
            self._tell(conn, "promoted", result)
        log.info("%s: model updated: %s", self.run.loop, result["cause"])
        self._tidy()
        return self.standing()

    def fail(self, error: Exception) -> Run:
        """A step raised: the champion keeps serving, the run says why."""
        cause = str(error) if isinstance(error, RekindleError) else f"{type(error).__name__}: {error}"
        log.error("%s: run %s failed: %s", self.run.loop, self.run.id, cause)
        return self.end(RunState.ERROR, Outcome.ERROR, cause)

    def facts(self) -> dict[str, Any]:
        """What the run's row keeps of all steps: window, rows, scores, verdicts, seconds."""
        facts: dict[str, Any] = dict(self.run.metadata)
        for name in ("select", "check", "snapshot", "train", "validate", "judge"):
            facts |= {
                k: v for k, v in self.found.get(name, {}).items() if k not in ("contract", "reason", "passed")
            }
        return facts

    def _note_failure(self, name: str, error: Exception) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{name}-error.txt").write_text("".join(traceback.format_exception(error)))
        except OSError:
            log.warning("the trace of run %s could not be written", self.run.id)
        try:
            with self.shop.store.begin() as conn:
                steps.fail_step(
                    conn, self.run.id, name, f"{type(error).__name__}: {error}", self.shop.clock.now()
                )
        except StoreError:
            log.warning("the failure of step %s could not be stored", name)

    def _tell(self, conn: Connection, kind: str, payload: dict[str, Any]) -> None:
        outbox.add(conn, kind, self.run.loop, {"run": self.run.id, **payload}, self.shop.clock.now())

    def _tidy(self) -> None:
        """The twin has been judged; only the candidate is worth its room."""
        twin = self.found.get("train", {}).get("twin")
        if twin:
            shutil.rmtree(Path(twin), ignore_errors=True)

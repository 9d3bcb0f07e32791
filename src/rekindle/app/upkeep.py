"""`rekindle up`: each loop is ticked when its next batch is complete; commands are taken as they come."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rekindle.app.standing import due_at
from rekindle.errors import RekindleError, Stopped, UnknownName
from rekindle.store import commands

if TYPE_CHECKING:
    from rekindle.app.home import Home
    from rekindle.app.reports import TickReport
    from rekindle.store.commands import Command

__all__ = ["carry_out", "keep_up"]

log = logging.getLogger("rekindle.up")
RETRY = timedelta(seconds=30)  # after a tick that could not read its rows
STOPPING = b"stopping: the step in hand is finished first; a second signal does not wait for it\n"
PATIENCE = 0.5  # seconds that `up` waits for the home: a command that only looks who holds it is quicker


def keep_up(home: Home, names: list[str], say: Callable[[str], None]) -> int:
    """Tick until a signal says stop: the step in hand is finished first, on a second signal it is not.

    Raises HomeBusy when another process acts on the home.
    """
    wake = threading.Event()

    def stop(number: int, _: object) -> None:
        home.hurried = home.stopping
        home.stopping = True
        wake.set()
        with suppress(OSError):  # not `say`: whatever is being printed was interrupted right here
            os.write(2, STOPPING)

    home.stopping = home.hurried = False
    with home.lock.held("up", wait=PATIENCE):
        before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            say(f"up: {shown}; home {home.folder}; a line for each batch; stop with Ctrl-C")
            with home.store.begin() as conn:
                commands.requeue(conn)
            _serve(home, names, say, wake)
        except Stopped as stopped:
            say(str(stopped))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    say("stopped; `rekindle up` goes on from here")
    return 0


def _serve(home: Home, names: list[str], say: Callable[[str], None], wake: threading.Event) -> None:
    due: dict[str, datetime | None] = dict.fromkeys(names)
    told: dict[str, str] = {}
    paused: frozenset[str] = frozenset()
    while not home.stopping:
        _take_commands(home, say)
        before, paused = paused, home.paused()
        for name in names:
            when = (
                None if name in before - paused else due[name]
            )  # a resumed loop has batches to catch up with
            if home.stopping or name in paused or (when is not None and home.clock.now() < when):
                continue
            due[name] = _tick(home, name, say, told)
        wake.wait(home.settings.poll_seconds)


def _tick(home: Home, name: str, say: Callable[[str], None], told: dict[str, str]) -> datetime | None:
    """Tick one loop; when to look again (None: at the next poll)."""
    try:
        report = home.tick(name)
        _tell(report, say)
        due = due_at(home.loops[name], home.shop)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - a source, trigger or policy is anybody's code; the other loops go on
        sentence = _sentence(error)
        if told.get(name) != sentence:
            say(f"{name}: {sentence}")
        told[name] = sentence
        return home.clock.now() + RETRY
    if told.pop(name, None):
        say(f"{name}: goes on")
    return due


def _tell(report: TickReport, say: Callable[[str], None]) -> None:
    name = report.loop
    for decision in report.decisions:
        say(f"{name}: batch {decision.batch}: {decision.action.value}: {decision.reason} ({decision.rule})")
    if report.run is not None:
        say(f"{name}: {report.outcome}: {report.run.cause or report.run.id}")


def _sentence(error: Exception) -> str:
    if isinstance(error, RekindleError):
        return str(error)
    log.debug("not an error of rekindle's own", exc_info=error)
    return f"{type(error).__name__}: {error}"


def _take_commands(home: Home, say: Callable[[str], None]) -> None:
    while not home.stopping:
        with home.store.begin() as conn:
            command = commands.take(conn, home.clock.now())
        if command is None:
            return
        failed = False
        try:
            result = carry_out(home, command)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - one bad command must not end `up`, and again after each restart
            failed, result = True, {"error": _sentence(error)}
        with home.store.begin() as conn:
            commands.finish(conn, command.id, result, home.clock.now(), failed=failed)
        say(
            f"{command.loop or 'home'}: {command.verb}: {result.get('error') or result.get('outcome', 'done')}"
        )


def carry_out(home: Home, command: Command) -> dict[str, Any]:
    """Do what a queued command says; its result as plain JSON."""
    args = command.args
    if command.verb == "tick":
        return home.tick(command.loop).to_json()
    if command.verb == "retrain":
        return home.retrain(command.loop, args["reason"]).to_json()
    if command.verb in ("approve", "reject"):
        ended = getattr(home, command.verb)(args["run"], args["reason"])
        return {
            "run": ended.id,
            "outcome": None if ended.outcome is None else ended.outcome.value,
            "cause": ended.cause,
        }
    raise UnknownName("command", command.verb, ("tick", "retrain", "approve", "reject"))

"""`rekindle up`: each loop is ticked when its next batch is complete; commands are taken as they come."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rekindle.app.standing import due_at
from rekindle.errors import RekindleError, Stopped
from rekindle.store import commands

if TYPE_CHECKING:
    from rekindle.app.home import Home
    from rekindle.store.commands import Command

__all__ = ["carry_out", "keep_up"]

log = logging.getLogger("rekindle.up")
RETRY = timedelta(seconds=30)  # after a tick that could not read its rows


def keep_up(home: Home, names: list[str], say: Callable[[str], None]) -> int:
    """Tick until a signal says stop. Raises HomeBusy when another process acts on the home."""
    wake = threading.Event()

    def stop(number: int, _: object) -> None:
        home.stopping = True
        wake.set()

    with home.lock.held("up"):
        before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            say(f"up: {len(names)} loops, home {home.folder}; stop with Ctrl-C")
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
    home.resume_open()
    due: dict[str, datetime | None] = dict.fromkeys(names)
    told: dict[str, str] = {}
    while not home.stopping:
        _take_commands(home, say)
        for name in names:
            when = due[name]
            if home.stopping or (when is not None and home.clock.now() < when):
                continue
            due[name] = _tick(home, name, say, told)
        wake.wait(home.settings.poll_seconds)


def _tick(home: Home, name: str, say: Callable[[str], None], told: dict[str, str]) -> datetime | None:
    """Tick one loop; when to look again (None: at the next poll)."""
    try:
        report = home.tick(name)
    except Stopped:
        raise
    except RekindleError as error:
        if told.get(name) != str(error):
            say(f"{name}: {error}")
        told[name] = str(error)
        return home.clock.now() + RETRY
    told.pop(name, None)
    for decision in report.decisions:
        say(f"{name}: batch {decision.batch}: {decision.action.value}: {decision.reason} ({decision.rule})")
    if report.run is not None:
        say(f"{name}: {report.outcome}: {report.run.cause}")
    return due_at(home.loops[name], home.shop)


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
        except RekindleError as error:
            failed, result = True, {"error": str(error)}
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
    return {"error": f"unknown command {command.verb!r}"}

"""Commands that act. Beside a running `up` they are queued, and `up` carries them out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rekindle.app.cli.printing import ACTION_STYLE, print_json, said
from rekindle.app.cli.progress import steps_shown
from rekindle.app.cli.targets import HomeFlag, JsonFlag, Target, each, opened

if TYPE_CHECKING:
    from rekindle.app.home import Home
    from rekindle.app.reports import TickReport
    from rekindle.records import Run

Reason = Annotated[str, Parameter(name="--reason", help="why, for the record")]


def tick(target: Target = None, /, *, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Bring loops up to date: score due batches, decide, retrain if it pays."""
    place, names = opened(target, home)
    with place:
        if _queued(place, "tick", names, {}, json):
            return 0
        with steps_shown(silent=json) as place.shop.say:
            reports = each(names, place.tick, _broken)
    return _finish(reports, json)


def retrain(target: str, /, *, reason: Reason, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Retrain now, with a reason."""
    place, names = opened(target, home)
    with place:
        if _queued(place, "retrain", names, {"reason": reason}, json):
            return 0
        with steps_shown(silent=json) as place.shop.say:
            reports = each(names, lambda name: place.retrain(name, reason), _broken)
    return _finish(reports, json)


def up(target: Target = None, /, *, home: HomeFlag = None, poll: float | None = None) -> int:
    """Tick every loop on its own cadence until stopped.

    SIGTERM or Ctrl-C finishes the step and leaves a state that the next `up` resumes.
    """
    from rekindle.app.upkeep import keep_up

    place, names = opened(target, home, poll_seconds=poll)
    with place:
        return keep_up(place, names, said)


def approve(run: str, /, *, reason: Reason = "", home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Release a candidate that waits for approval."""
    return _settle(run, "approve", reason, home, json)


def reject(run: str, /, *, reason: Reason, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Keep the champion instead of a candidate that waits for approval."""
    return _settle(run, "reject", reason, home, json)


def rollback(target: str, /, *, reason: Reason = "", home: HomeFlag = None) -> None:
    """Make the previous version champion again, at once."""
    place, names = opened(target, home)
    with place:
        for name in names:
            said(f"{name}: {place.rollback(name, reason).label} is champion again")
    said("the next batch may retrain once more; `rekindle pause` holds it", "dim")


def pause(target: str, /, *, home: HomeFlag = None) -> None:
    """Stop ticking loops until they are resumed."""
    place, names = opened(target, home)
    with place:
        for name in names:
            place.pause(name)
    said(f"paused: {', '.join(names)}. `rekindle resume` lets them go on; what they miss is scored then.")


def resume(target: str, /, *, home: HomeFlag = None) -> None:
    """Let paused loops go on."""
    place, names = opened(target, home)
    with place:
        for name in names:
            place.resume(name)
    said(f"resumed: {', '.join(names)}")


def _settle(run: str, verb: str, reason: str, home: Path | None, json: bool) -> int:
    place, _ = opened(None, home)
    with place:
        if _queued(place, verb, [""], {"run": run, "reason": reason}, json):
            return 0
        ended: Run = getattr(place, verb)(run, reason)
    if json:
        from rekindle.app.reports import run_json

        print_json(run_json(ended))
    else:
        said(f"{ended.loop}: {ended.outcome or ended.state}: {ended.cause}")
    return 1 if ended.state.value == "error" else 0


def _queued(place: Home, verb: str, names: list[str], args: dict[str, Any], json: bool) -> bool:
    """Hand the command to a running `up`, if there is one."""
    asked = [place.request(verb, name, args) for name in names]
    given = [command for command in asked if command is not None]
    if not given:
        return False
    if json:
        print_json([{"command": c.id, "loop": c.loop, "verb": c.verb, "state": c.state} for c in given])
    else:
        for command in given:
            said(f"queued as {command.id}: the running `rekindle up` takes it within a second or two")
    return True


def _broken(name: str, error: str) -> TickReport:
    from rekindle.app.reports import TickReport

    return TickReport(name, (), None, "", error)


def _finish(reports: list[TickReport], json: bool) -> int:
    if json:
        print_json([r.to_json() for r in reports])
    else:
        for report in reports:
            print_tick(report)
    return 1 if any(r.outcome == "ERROR" for r in reports) else 0


def print_tick(report: TickReport) -> None:
    """One tick in sentences."""
    said(f"{report.loop}: {report.outcome}", "bold")
    if report.error:
        said(f"  {report.error}", "red")
    elif not report.decisions and report.run is None:
        said(f"  no batch was due; {report.next}", "dim")
    missed = [d for d in report.decisions if d.rule == "Missed"]
    if missed:
        told = (
            f"batches {missed[0].batch} to {missed[-1].batch}"
            if len(missed) > 1
            else f"batch {missed[0].batch}"
        )
        said(
            f"  {told}: missed and scored late: {len(missed)} would have retrained; only the newest may",
            "dim",
        )
    for decision in (d for d in report.decisions if d.rule != "Missed"):
        said(f"  batch {decision.batch}: {decision.action.value}: {decision.reason} ({decision.rule})",
             ACTION_STYLE.get(decision.action.value, ""))  # fmt: skip
    if report.run is not None:
        said(f"  run {report.run.id}: {report.run.cause or report.run.state.value}")
        if report.run.state.value == "awaiting_approval":
            said(
                f"  `rekindle approve {report.run.id}` releases it, `rekindle reject ... --reason WHY` does not"
            )
    if report.decisions:
        said(f"  next: {report.next}", "dim")

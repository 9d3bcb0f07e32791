"""Commands that only look."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from rekindle.app.cli.printing import ACTION_STYLE, print_json, print_table, said
from rekindle.app.cli.targets import HomeFlag, JsonFlag, Target, each, opened
from rekindle.app.config import load_settings
from rekindle.app.reports import CheckReport, decision_json, run_json
from rekindle.store import decisions as stored_decisions
from rekindle.store import runs as stored_runs
from rekindle.store import versions as stored_versions

Limit = Annotated[int, Parameter(name=["--limit", "-n"], help="how many, newest first")]


def check(target: Target = None, /, *, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Say what a tick would decide, and why. Changes nothing. Exit 10: retrain advised."""
    place, names = opened(target, home)
    with place:
        reports = each(names, place.check, lambda name, error: CheckReport(name, None, 0, (), (), "", error))
    if json:
        print_json([r.to_json() for r in reports])
    else:
        for report in reports:
            _print_check(report)
    if any(r.error for r in reports):
        return 1
    return 10 if any(r.advised for r in reports) else 0


def status(target: Target = None, /, *, home: HomeFlag = None, json: JsonFlag = False) -> None:
    """How each loop stands."""
    place, names = opened(target, home)
    with place:
        rows = [row for name in names for row in place.status(name)]
    if json:
        return print_json(rows)
    columns = {"loop": "loop", "health": "health", "champion": "champion", "age_batches": "age (batches)",
               "newest_loss": "newest loss", "last_decision": "last decision", "next": "next"}  # fmt: skip
    if any("estimated_saving_not_acted_on" in row for row in rows):
        columns["estimated_saving_not_acted_on"] = "saving not taken (estimate, in loss x batches)"
    return print_table("loops", rows, columns)


def decisions(
    target: Target = None, /, *, limit: Limit = 20, home: HomeFlag = None, json: JsonFlag = False
) -> None:
    """The newest decisions with their reasons; waiting is a decision too."""
    place, names = opened(target, home)
    with place, place.store.read() as conn:
        found = [d for name in names for d in stored_decisions.newest(conn, name, limit=limit)]
    rows = [decision_json(d) for d in sorted(found, key=lambda d: d.id, reverse=True)[:limit]]
    if json:
        return print_json(rows)
    columns = {"loop": "loop", "batch": "batch", "at": "at", "decision": "decision", "rule": "rule", "reason": "reason",
               "would_change": "what would change it"}  # fmt: skip
    return print_table("decisions, newest first", rows, columns)


def runs(
    target: Target = None, /, *, limit: Limit = 20, home: HomeFlag = None, json: JsonFlag = False
) -> None:
    """The newest runs, how they ended and why."""
    place, names = opened(target, home)
    with place, place.store.read() as conn:
        found = [r for name in names for r in stored_runs.newest(conn, name, limit=limit)]
    rows = [run_json(r) for r in sorted(found, key=lambda r: r.id, reverse=True)[:limit]]
    if json:
        return print_json(rows)
    columns = {"run": "run", "loop": "loop", "batch": "batch", "state": "state", "outcome": "outcome",
               "candidate_loss": "candidate loss", "champion_loss": "champion loss", "cause": "cause"}  # fmt: skip
    return print_table("runs, newest first", rows, columns)


def versions(
    target: Target = None, /, *, limit: Limit = 20, home: HomeFlag = None, json: JsonFlag = False
) -> None:
    """The versions of a model and who is champion."""
    place, names = opened(target, home)
    rows: list[dict[str, Any]] = []
    with place, place.store.read() as conn:
        for name in names:
            borne = {a.version: a.alias for a in stored_versions.aliases(conn, name).values()}
            for v in stored_versions.newest(conn, name, limit=limit):
                rows.append(
                    {"loop": v.loop, "number": v.number, "version": v.label, "alias": borne.get(v.number, ""),
                     "created_at": v.created_at.isoformat(), "run": v.run, "rows": v.metadata.get("rows"),
                     "metric": v.metadata.get("metric"), "candidate_metric": v.metadata.get("candidate_metric"),
                     "champion_metric": v.metadata.get("champion_metric"), "folder": v.folder}
                )  # fmt: skip
    if json:
        return print_json(rows)
    columns = {"loop": "loop", "version": "version", "alias": "alias", "created_at": "created", "rows": "rows",
               "metric": "metric", "candidate_metric": "when judged", "champion_metric": "champion then"}  # fmt: skip
    return print_table("versions, newest first", rows, columns)


def config_show(*, home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Print every setting and its origin."""
    _, origins = load_settings({"home": home})
    rows = [{"setting": o.name, "value": str(o.value), "from": o.origin} for o in origins]
    if json:
        return print_json(rows)
    return print_table("settings", rows, {"setting": "setting", "value": "value", "from": "from"})


def _print_check(report: CheckReport) -> None:
    said(f"{report.loop}", "bold")
    for line in report.changed:
        said(f"  changed: {line}", "yellow")
    for note in report.notes:
        said(f"  note: {note}", "dim")
    decision = report.decision
    if report.error:
        said(f"  {report.error}", "red")
        return
    if decision is None:
        said(f"  nothing to decide yet; {report.next}")
        return
    if not report.due:
        said(f"  nothing is due. The last decision, on batch {decision.batch}, was:", "dim")
    said(f"  {decision.action.value}: {decision.reason} ({decision.rule}, batch {decision.batch})",
         ACTION_STYLE.get(decision.action.value, ""))  # fmt: skip
    if decision.price is not None and decision.expected_saving is not None:
        saving = f"expected saving {decision.expected_saving:.4g} (loss x batches)"
        said(f"  retraining now: price {decision.price:.4g}, {saving}")
    if decision.would_change:
        said(f"  it would take: {decision.would_change}")
    for signal in decision.signals:
        said(f"  signal: {signal.trigger} {signal.reason} (severity {signal.severity})")
    said(f"  next: {report.next}", "dim")

"""What the demo shows: a live table of decisions, a closing comparison, or one JSON object."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rekindle.app.cli.printing import ACTION_STYLE, console
from rekindle.app.demo.play import HISTORY, Played, Prepared
from rekindle.app.reports import TickReport
from rekindle.loop import DEFAULT_PRICE
from rekindle.records import Run

__all__ = ["Watching", "as_json", "close", "introduce"]

LOSS_IS = {
    "classification": "share of wrong predictions",
    "regression": "absolute error in spreads (p95 - p5) of the target, 1 at most",
}
BARS = " ▁▂▃▄▅▆▇█"
SHOWN = 14  # newest decisions in the live table


def introduce(prepared: Prepared) -> None:
    """What was found in the stream, and what is taken for granted."""
    out, contract = console(), prepared.contract
    kinds = Counter(c.kind for c in contract.features)
    counted = ", ".join(f"{n} {k}" for k, n in sorted(kinds.items()))
    out.print(Text(f"{prepared.stream.name}: {prepared.stream.about}", style="bold"))
    out.print(f"  task: {contract.task} of {contract.label!r}; features: {counted}")
    if contract.left_out:
        out.print(f"  left out: {', '.join(contract.left_out)}")
    holes = ", ".join(f"{name} {share:.1%}" for name, share in prepared.missing.items())
    out.print(f"  missing values: {holes or 'none'}")
    out.print(f"  loss: {LOSS_IS[contract.task]}")
    out.print(f"  {len(prepared.edges)} batches of equal size, the first {HISTORY} are history")
    out.print(f"  one retraining costs {DEFAULT_PRICE}: it pays once it saves 2 points of one batch's loss")


class Watching:
    """The live table; on a plain stream the same decisions as lines."""

    def __init__(self, prepared: Prepared) -> None:
        self._console = console()
        self._rows: list[tuple[int, str, str, str, str]] = []
        self._losses: list[float] = []
        self._progress = Progress(
            TextColumn("replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("replay", total=len(prepared.edges) - HISTORY + 1)
        self._live = Live(self._group(), console=self._console, refresh_per_second=8, transient=True)
        self._terminal = self._console.is_terminal

    def __enter__(self) -> Watching:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._live.stop()
            self._console.print(self._table(self._rows))

    def tell(self, batch: int, report: TickReport, loss: float | None) -> None:
        """One more batch."""
        if loss is not None:
            self._losses.append(loss)
        for decision in report.decisions:
            outcome = _outcome(report.run) if decision.run else ""
            shown = "" if loss is None else f"{loss:.4f}"
            row = (decision.batch, shown, decision.action.value, decision.reason, outcome)
            self._rows.append(row)
            if not self._terminal:
                self._console.print(_line(row))
        self._progress.advance(self._task)
        if self._terminal:
            self._live.update(self._group())

    def _group(self) -> Group:
        spark = Text(f"loss of each batch  {_spark(self._losses)}", style="cyan")
        return Group(self._table(self._rows[-SHOWN:]), spark, self._progress)

    def _table(self, rows: list[tuple[int, str, str, str, str]]) -> Table:
        table = Table(header_style="bold", expand=False)
        for heading in ("batch", "loss", "decision", "why", "run"):
            table.add_column(
                heading, overflow="fold", justify="right" if heading in ("batch", "loss") else "left"
            )
        for batch, loss, action, reason, outcome in rows:
            table.add_row(str(batch), loss, Text(action, style=ACTION_STYLE.get(action, "")), reason, outcome)
        return table


def close(played: Played) -> None:
    """The comparison with never and always, and what to do next."""
    out = console()
    ended = Counter(_outcome(r).split(" ")[0] for r in played.runs)
    table = Table(title="what it came to", title_justify="left", header_style="bold")
    for heading in ("policy", "mean loss", "trainings", "cost"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    rows = [("rekindle", played.mean_loss, len(played.runs), played.cost)]
    rows += [(n, b["mean_loss"], int(b["retrains"]), b["cost"]) for n, b in played.baselines.items()]
    best = min(cost for *_, cost in rows)
    for name, loss, trainings, cost in sorted(rows, key=lambda r: r[3]):
        style = "bold green" if cost == best else ""
        table.add_row(name, f"{loss:.4f}", str(trainings), f"{cost:.3f}", style=style)
    out.print(f"loss of each batch  {_spark(list(played.losses.values()))}", style="cyan")
    out.print(table)
    out.print(_verdict(played))
    told = ", ".join(f"{n} {k}" for k, n in sorted(ended.items())) or "none"
    out.print(
        f"runs: {told}. cost = sum of the batches' mean losses + {played.price:g} for every training, kept or released"
    )
    out.print(played.prepared.stream.next, style="dim")


def as_json(played: Played) -> dict[str, Any]:
    """The whole replay as one object."""
    return {
        "stream": played.prepared.stream.name,
        "batches": len(played.prepared.edges),
        "decisions": [
            {
                "batch": d.batch,
                "decision": d.action.value,
                "rule": d.rule,
                "reason": d.reason,
                "expected_saving": d.expected_saving,
                "price": d.price,
            }
            for d in played.decisions
        ],
        "runs": [_run_json(r) for r in played.runs],
        "retrains": len(played.runs),
        "mean_loss": played.mean_loss,
        "cost": played.cost,
        "baselines": played.baselines,
    }


def _run_json(run: Run) -> dict[str, Any]:
    told = run.metadata
    return {
        "run": run.id,
        "outcome": None if run.outcome is None else run.outcome.value,
        "window": told.get("window"),
        "rows": told.get("rows"),
        "candidate_loss": told.get("candidate_loss"),
        "champion_loss": told.get("champion_loss"),
        "verdicts": told.get("verdicts", []),
    }


def _verdict(played: Played) -> Text:
    cheaper = min(played.baselines, key=lambda n: played.baselines[n]["cost"])
    cost = played.baselines[cheaper]["cost"]
    share = (played.cost - cost) / cost
    word = "less" if share < 0 else "more"
    released = sum(r.outcome is not None and r.outcome.value == "PROMOTED" for r in played.runs)
    sentence = (
        f"rekindle trained {len(played.runs)} times, released {released}, and cost {abs(share):.1%} {word} "
        f"than the cheaper of never and always ({cheaper})."
    )
    return Text(sentence, style="bold green" if share < 0 else "bold")


def _outcome(run: Run | None) -> str:
    if run is None:
        return ""
    if run.outcome is None:
        return run.state.value
    label = run.cause.split(":")[0] if run.outcome.value == "PROMOTED" else ""
    return f"{run.outcome.value} {label}".strip()


def _line(row: tuple[int, str, str, str, str]) -> Text:
    batch, loss, action, reason, outcome = row
    text = Text(f"batch {batch:>3}  loss {loss or '-':<7} {action:<9}")
    text.stylize(ACTION_STYLE.get(action, ""), len(text) - 9, len(text))
    text.append(f"{reason}{'  -> ' + outcome if outcome else ''}")
    return text


def _spark(losses: list[float]) -> str:
    if not losses:
        return ""
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0
    return "".join(BARS[1 + int((loss - low) / span * (len(BARS) - 2))] for loss in losses)

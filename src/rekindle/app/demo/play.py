"""Replays a stream batch by batch under a manual clock, with the product's own tick and run."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rekindle import monitor
from rekindle.app.config import Settings
from rekindle.app.demo.streams import Stream
from rekindle.app.home import Home
from rekindle.app.loading import LoopsFile
from rekindle.app.reports import TickReport
from rekindle.backtest.baselines import BaselinePlan, baselines
from rekindle.clock import ManualClock
from rekindle.data.cadence import Edges, equal_batches
from rekindle.data.contract import Contract
from rekindle.data.replayed import Replayed
from rekindle.engine.nursery import Nursery
from rekindle.errors import NotEnoughData
from rekindle.loop import DEFAULT_PRICE, Loop
from rekindle.records import Decision, Moment, Run, Window
from rekindle.store import batches
from rekindle.training.estimator import Estimator

__all__ = ["HISTORY", "Played", "Prepared", "play", "prepare"]

HISTORY = 8  # batches before the first decision
BATCHES = 48
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # wall time of an index stream: one day a batch


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stream, its loop and its borders."""

    stream: Stream
    loop: Loop
    edges: Edges
    contract: Contract  # what was worked out of the history
    missing: dict[str, float]  # feature -> share of the history's rows without a value, where there are such


@dataclass(frozen=True, slots=True)
class Played:
    """What a replay came to."""

    prepared: Prepared
    decisions: tuple[Decision, ...]
    runs: tuple[Run, ...]  # trainings after the first model
    losses: dict[int, float]  # batch -> mean loss served
    metrics: dict[int, float | None]  # batch -> the loop's metric
    baselines: dict[str, dict[str, float]]  # "never" and "always"
    price: float

    @property
    def mean_loss(self) -> float:
        """Mean loss over the batches after the history."""
        return float(np.mean(list(self.losses.values())))

    @property
    def cost(self) -> float:
        """Sum of the batches' mean losses and the price of every training, kept or released."""
        return float(sum(self.losses.values()) + self.price * len(self.runs))


def prepare(stream: Stream, batches_: int = BATCHES) -> Prepared:
    """Cut the stream, work out task and features from its history, and declare its loop."""
    extent = stream.source.extent()
    if not extent.rows:
        raise NotEnoughData(f"{stream.name} holds no rows")
    rows = stream.source.read(Window(None, None))
    edges = equal_batches(rows[stream.source.time], batches_)
    history = rows[edges.numbers(rows[stream.source.time]) < HISTORY]
    contract = Contract.learn(history, stream.source)
    source = Replayed(stream.source, edges.edges[HISTORY])
    loop = Loop(
        _loop_name(stream.name),
        source,
        default_trainer(contract.task),
        every=edges,
        metric=stream.metric,
    )
    gone = history[list(contract.names)].isna().mean()
    return Prepared(stream, loop, edges, contract, {str(k): float(v) for k, v in gone.items() if v > 0})


def _loop_name(stream: str) -> str:
    """A file name as a loop's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stream).strip("-._")[:100] or "stream"


def default_trainer(task: str) -> Estimator:
    """Boosted trees that take categories and missing values as they are; 60 of them, as in the reference losses."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return Estimator(kind(max_iter=60, early_stopping=False, random_state=0))


def play(
    prepared: Prepared, tell: Callable[[int, TickReport, float | None], None] = lambda *_: None
) -> Played:
    """Replay the stream; `tell(batch, report, loss)` after each batch. Baselines run beside it on another core."""
    folder = Path(tempfile.mkdtemp(prefix="rekindle-demo-"))
    try:
        with Nursery() as nursery, ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(_baselines, prepared, nursery, folder / "baselines")
            played = _replay(prepared, nursery, folder, tell)
            found = waiting.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    price = DEFAULT_PRICE.in_loss(1)
    return Played(prepared, *played, _costs(found, price), price)


def _replay(
    prepared: Prepared, nursery: Nursery, folder: Path, tell: Callable[[int, TickReport, float | None], None]
) -> tuple[tuple[Decision, ...], tuple[Run, ...], dict[int, float], dict[int, float | None]]:
    edges, loop = prepared.edges, prepared.loop
    clock = ManualClock(_wall(edges, HISTORY))
    declared = [LoopsFile("", "", (loop,), None, None)]
    taken: list[Decision] = []
    ended: list[Run] = []
    with Home(declared, Settings(home=folder / "home"), clock=clock, nursery=nursery) as home:
        for seq in range(HISTORY, len(edges) + 1):
            loop.source.until = edges.edges[seq]
            clock.set(_wall(edges, seq))
            if seq == len(edges):  # the stream ends: nobody would be served by another training
                monitor.observe(loop, home.shop)
                report = TickReport(loop.name, (), None, "the stream ends here")
            else:
                report = home.tick(loop.name)
            if seq == HISTORY:
                _first_model(report)
            else:
                taken += report.decisions
                ended += [] if report.run is None else [report.run]
            tell(seq - 1, report, _loss(home, loop.name, seq - 1))
        losses, metrics = _served(home, loop.name)
    return tuple(taken), tuple(ended), losses, metrics


def _first_model(report: TickReport) -> None:
    if report.run is None or report.run.version is None:
        cause = report.run.cause if report.run else report.next
        raise NotEnoughData(f"the first model could not be trained: {cause}")


def _wall(edges: Edges, seq: int) -> datetime:
    moment: Moment = edges.edges[seq]
    return moment if isinstance(moment, datetime) else EPOCH + timedelta(days=seq)


def _loss(home: Home, name: str, seq: int) -> float | None:
    return _served(home, name)[0].get(seq)


def _served(home: Home, name: str) -> tuple[dict[int, float], dict[int, float | None]]:
    """Loss and metric of the version that served each batch: the champion of its time."""
    with home.store.read() as conn:
        scores = batches.history(conn, name)
    newest: dict[int, Any] = {}
    for score in scores:
        if score.seq not in newest or score.version > newest[score.seq].version:
            newest[score.seq] = score
    return {s: v.loss for s, v in newest.items()}, {s: v.metric for s, v in newest.items()}


def _baselines(prepared: Prepared, nursery: Nursery, folder: Path) -> dict[str, list[float]]:
    rows = prepared.stream.source.read(Window(None, None))
    plan = BaselinePlan(rows, prepared.edges, HISTORY, prepared.contract.task)
    loop = prepared.loop
    report = nursery.run(baselines, loop.source, loop.trainer, loop.window, loop.loss, plan, folder=folder)
    found: dict[str, list[float]] = report.result
    return found


def _costs(found: dict[str, list[float]], price: float) -> dict[str, dict[str, float]]:
    trainings = {"never": 0, "always": len(found["always"]) - 1}
    return {
        name: {
            "cost": float(sum(losses) + price * trainings[name]),
            "mean_loss": float(np.mean(losses)),
            "retrains": trainings[name],
        }
        for name, losses in found.items()
    }

"""Streams to replay: simulated credit applications, real S&P 500 returns, or the user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rekindle.data.files import CSV, Parquet
from rekindle.data.source import Frame
from rekindle.errors import SourceError, UnknownName

if TYPE_CHECKING:
    from rekindle.protocols import Source

__all__ = ["Stream", "credit", "named", "own_file", "sp500"]

DRIFTS = (0.0, 0.2, 0.5, 0.8, 1.0)  # by month, as in checklist row 86
REFERENCE, PRODUCTION, NEW = 500, 300, 2000  # rows: before the first month, and in each month
RULE_CHANGE = datetime(2026, 5, 15, tzinfo=UTC)  # a new lending rule: the relation itself changes


@dataclass(frozen=True, slots=True)
class Stream:
    """What the demo replays."""

    name: str
    source: Source
    about: str  # one sentence for people
    metric: str | None = None  # None: the default of the task
    next: str = (
        "next: `rekindle demo --data FILE --time COL --label COL` on your own rows, or `rekindle init NAME`"
    )


def named(name: str) -> Stream:
    """A built-in stream by name: "credit" or "sp500"."""
    known = {"credit": credit, "sp500": sp500}
    if name not in known:
        raise UnknownName("stream", name, known)
    return known[name]()


def own_file(path: str, time: str, label: str, tz: str | None = None) -> Stream:
    """Any Parquet or CSV file of the user's."""
    kind = CSV if Path(path).suffix.lower() in (".csv", ".tsv", ".txt") else Parquet
    onward = f"next: `rekindle init NAME --data {path} --time {time} --label {label}`, then `rekindle check`"
    return Stream(Path(path).stem, kind(path, time=time, label=label, tz=tz), f"rows of {path}", next=onward)


def credit(seed: int = 42) -> Stream:
    """Credit applications: a real relation between features and default, drifting month by month.

    Row 86 with its labels made learnable: drift 0, .2, .5, .8, 1.0 by month moves the applicants and turns the
    relation; on 15 May 2026 a new rule changes it abruptly.
    """
    rng = np.random.default_rng(seed)
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 8)]
    parts = [_applications(rng, REFERENCE, 0.0, months[0], months[1])]
    for k, drift in enumerate(DRIFTS):
        parts.append(_applications(rng, PRODUCTION + NEW, drift, months[k + 1], months[k + 2]))
    rows = pd.concat(parts).sort_values("applied_at", ignore_index=True)
    source = Frame(rows, time="applied_at", label="defaulted")
    return Stream(
        "credit",
        source,
        "simulated credit applications, drifting by month, a new rule on 15 May 2026",
        "roc_auc",
    )


def _applications(
    rng: np.random.Generator, rows: int, drift: float, begin: datetime, end: datetime
) -> pd.DataFrame:
    share = np.sort(rng.random(rows))
    times = pd.to_datetime([begin + s * (end - begin) for s in share], utc=True).as_unit("us")
    income = rng.lognormal(3.6 - 0.15 * drift, 0.4, rows)
    debt = rng.beta(2 + 2 * drift, 5, rows)
    age = rng.normal(42 - 6 * drift, 11, rows).clip(18, 90)
    late = rng.poisson(0.6 + 0.8 * drift, rows)
    work = rng.choice(["employed", "self-employed", "student", "retired"], rows, p=_work_shares(drift))
    ruled = np.asarray(times >= pd.Timestamp(RULE_CHANGE))
    turn = 1.2 * drift
    score = (
        3.0 * (debt - 0.3) * np.cos(turn)
        + 0.8 * (late - 0.8) * np.sin(turn + 0.3)
        - 1.4 * (np.log(income) - 3.6)
        + 0.9 * (work == "student")
        + np.where(ruled, 2.2 * (work == "self-employed") - 0.06 * (age - 42), 0.03 * (age - 42))
    )
    defaulted = rng.random(rows) < 1 / (1 + np.exp(-2.0 * (score - 0.2)))
    income[rng.random(rows) < 0.03] = np.nan
    return pd.DataFrame(
        {"applied_at": times, "income": income, "debt_ratio": debt, "age": age, "late_payments": late, "work": work,
         "defaulted": defaulted.astype(int)}
    )  # fmt: skip


def _work_shares(drift: float) -> list[float]:
    moved = 0.15 * drift
    return [0.6 - moved, 0.2 + moved, 0.1, 0.1]


def sp500() -> Stream:
    """Daily returns of ten stocks and of the S&P 500 on the next day, 2013-2018, as shipped with river."""
    from importlib.resources import files

    place = files("river") / "datasets" / "sp500.csv.gz"
    try:
        with place.open("rb") as packed:
            rows = pd.read_csv(packed, compression="gzip", parse_dates=["date"])
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise SourceError("this river release carries no sp500 data; use --stream credit") from error
    # A day's label is the next day's return: it is known one trading day later.
    rows["known_at"] = rows["date"].shift(-1).fillna(rows["date"].iloc[-1] + timedelta(days=1))
    source = Frame(rows, time="date", label="next_day_return", label_time="known_at")
    return Stream(
        "sp500", source, "daily S&P 500 returns 2013-2018 (ten stocks as features)", "directional_accuracy"
    )

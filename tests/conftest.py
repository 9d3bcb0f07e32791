"""What tests of every room share: a nursery, homes on a scratch folder, a toy stream, and the public streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekindle.app.config import Settings
from rekindle.app.home import Home
from rekindle.app.loading import LoopsFile
from rekindle.clock import Clock
from rekindle.engine.nursery import Nursery
from rekindle.loop import Loop

PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"
BEFORE_DRIFT, AFTER_DRIFT = 0.3, 0.7  # shares of the rows; in between the relation turns


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """One warm nursery for all trainings of the session."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def home_of(tmp_path: Path, nursery: Nursery) -> Iterator[Callable[..., Home]]:
    """Opens homes on the scratch folder: `home_of(loops, clock=..., home="other", threads=1)`; closed at the end.

    `loops` is a Loop or several; the same folder given twice opens the same home again.
    """
    with ExitStack() as closing:

        def make(loops: Loop | Iterable[Loop], *, clock: Clock | None = None, **settings: Any) -> Home:
            named = (loops,) if isinstance(loops, Loop) else tuple(loops)
            place = Path(tmp_path) / settings.pop("home", "home")
            declared = [LoopsFile("", "", named, None, None)]
            home = Home(declared, Settings(home=place, **settings), clock=clock, nursery=nursery)
            closing.callback(home.close)
            return home

        yield make


@pytest.fixture(scope="session")
def stream_frame() -> Callable[..., pd.DataFrame]:
    """Makes toy classification rows: `stream_frame(600, seed=1, drift=1.0, start=datetime(..., tzinfo=UTC))`."""
    return _stream_frame


def _stream_frame(
    rows: int,
    seed: int = 0,
    drift: float = 0.0,
    start: datetime | None = None,
    step: timedelta = timedelta(hours=1),
) -> pd.DataFrame:
    """Columns t, x0, x1, colour, label.

    `t` counts from 0, or from `start` in `step`s. With `drift` 1 the relation of x0 and label is turned round and x1
    moves by one deviation, step by step in the middle of the stream; 0 leaves all as it is.
    """
    rng = np.random.default_rng(seed)
    moved = drift * np.clip((np.linspace(0, 1, rows) - BEFORE_DRIFT) / (AFTER_DRIFT - BEFORE_DRIFT), 0, 1)
    x0, x1 = rng.normal(size=rows), rng.normal(size=rows) + moved
    colour = rng.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    score = 3.0 * (1 - 2 * moved) * x0 + 0.5 * (colour == "red")
    label = (score + rng.logistic(scale=0.5, size=rows) > 0).astype(int)
    times: Any = np.arange(rows)
    if start is not None:
        times = pd.date_range(start, periods=rows, freq=pd.Timedelta(step)).as_unit("us")
    return pd.DataFrame({"t": times, "x0": x0, "x1": x1, "colour": colour, "label": label})


@pytest.fixture(scope="session")
def public_stream() -> Callable[[str], Path]:
    """The file of a public stream, e.g. `public_stream("elec")`; skips where the streams are not beside the project."""

    def find(name: str) -> Path:
        path = PUBLIC / f"{name}.parquet"
        if not path.is_file():
            pytest.skip(f"the public stream {name} is not here ({path.parent})")
        return path

    return find

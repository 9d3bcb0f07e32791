"""The demo command: choose a stream, watch it, read the summary."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rekindle.app.cli.printing import print_json
from rekindle.app.cli.targets import JsonFlag
from rekindle.app.demo import screen
from rekindle.app.demo.play import BATCHES, play, prepare
from rekindle.app.demo.streams import named, own_file
from rekindle.errors import ConfigError

__all__ = ["demo"]


def demo(
    *,
    stream: Annotated[str, Parameter(help="credit (simulated) or sp500 (real returns)")] = "credit",
    data: Annotated[str | None, Parameter(help="your own Parquet or CSV file instead")] = None,
    time: Annotated[str | None, Parameter(help="its time column: dates, or a whole-number index")] = None,
    label: Annotated[str | None, Parameter(help="its label column")] = None,
    tz: Annotated[str | None, Parameter(help="zone of times without one, e.g. Europe/Berlin")] = None,
    batches: Annotated[int, Parameter(help="how many batches of equal row count to cut")] = BATCHES,
    json: JsonFlag = False,
) -> None:
    """Watch a model keep itself fresh: a stream replayed against never and always retraining.

    The first 8 batches are history; after each later one the loop decides: retrain, or wait.
    """
    if data is not None and (time is None or label is None):
        missing = "--time" if time is None else "--label"
        raise ConfigError(missing.strip("-"), None, "the command", f"name the column: {missing} COLUMN")
    if data is None and (time is not None or label is not None):
        raise ConfigError("data", None, "the command", "name the file: --data FILE")
    if batches < 12:
        raise ConfigError("batches", batches, "the command", "give 12 or more: 8 are history")
    chosen = named(stream) if data is None else own_file(data, str(time), str(label), tz)
    prepared = prepare(chosen, batches)
    if json:
        print_json(screen.as_json(play(prepared)))
        return
    screen.introduce(prepared)
    with screen.Watching(prepared) as watching:
        played = play(prepared, watching.tell)
    screen.close(played)

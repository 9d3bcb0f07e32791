"""Commands that begin something: a new loops file, or a model that already runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rekindle.app.cli.printing import print_json, said
from rekindle.app.cli.targets import HomeFlag, JsonFlag, opened
from rekindle.errors import ConfigError, DeclarationError

__all__ = ["adopt", "init"]

TEMPLATE = '''"""The models that rekindle keeps fresh. `rekindle check` says what it would do; `rekindle up` does it."""

import rekindle as rk
from sklearn.ensemble import HistGradientBoosting{kind}

{variable} = rk.Loop(
    "{name}",
    source=rk.{source}({path}, time={time}, label={label}),
    trainer=rk.Estimator(HistGradientBoosting{kind}()),
    every={every},  # one evaluation batch
    # What one retraining costs, and one error: money in, decisions out. Replace the example by your own figures.
    # policy=rk.SkiRental(rk.Price(per_retrain=4.0, per_error=0.35, currency="EUR")),
    # notify=[rk.env("{variable_upper}_NOTIFY")],  # a notification URL in an environment variable
    # act="advise",  # decide and explain, but never train
)
'''


def init(
    name: str,
    /,
    *,
    data: Annotated[str | None, Parameter(help="Parquet or CSV file, folder or glob")] = None,
    time: Annotated[str, Parameter(help="its time column")] = "ts",
    label: Annotated[str, Parameter(help="its label column")] = "label",
    file: Annotated[Path, Parameter(help="loops file to write")] = Path("loops.py"),
) -> None:
    """Write a loops file for a new model.

    With --data the file is looked into: its columns are checked and the task is worked out.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise DeclarationError(
            "name", name, "use letters, digits, '.', '-' and '_', beginning with a letter or digit"
        )
    if file.exists():
        raise ConfigError(
            "file", str(file), "the command", "it exists; add your Loop to it, or name another: --file FILE"
        )
    kind, every, found = "Classifier", '"1d"', ""
    if data is not None:
        kind, every, found = _look(data, time, label)
    variable = re.sub(r"\W", "_", name) if not name[0].isdigit() else "loop_" + re.sub(r"\W", "_", name)
    text = TEMPLATE.format(
        name=name, variable=variable, variable_upper=variable.upper(), kind=kind, every=every,
        source="CSV" if data and Path(data).suffix == ".csv" else "Parquet",
        path=json.dumps(data or f"{name}/*.parquet"), time=json.dumps(time), label=json.dumps(label),
    )  # fmt: skip
    file.write_text(text)
    if found:
        said(found)
    said(
        f"wrote {file}. Next: "
        + (
            "rekindle check"
            if data
            else f"put your file, time and label column into {file}, then rekindle check"
        )
    )


def adopt(
    name: str,
    /,
    *,
    model: Annotated[Path, Parameter(help=".skops, .joblib or .pkl file")],
    meta: Annotated[Path | None, Parameter(help='JSON with "version" and metrics by name')] = None,
    trained_through: Annotated[str | None, Parameter(help="when its training rows end; default now")] = None,
    allow_pickle: Annotated[
        bool, Parameter(negative="", help="loading a joblib file runs its code: you trust it")
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Make a model that already runs champion v1. NAME is a loop of loops.py, or loops.py:NAME."""
    place, names = opened(name, home)
    with place:
        if len(names) != 1:
            raise ConfigError("name", name, "the command", f"name one loop of {', '.join(names)}")
        version = place.adopt(
            names[0], model, meta=meta, trained_through=trained_through, allow_pickle=allow_pickle
        )
    if json:
        return print_json(
            {"loop": version.loop, "version": version.label, "trained_through": str(version.trained_through)}
        )
    said(
        f"{version.loop}: {version.label} is champion. Rows before {version.trained_through} never judge it."
    )
    return said("next: `rekindle check` scores it on newer rows and says whether retraining pays", "dim")


def _look(path: str, time: str, label: str) -> tuple[str, str, str]:
    from rekindle.data.contract import Contract
    from rekindle.data.files import CSV, Parquet
    from rekindle.data.periods import default_every
    from rekindle.records import Window

    kind = CSV if Path(path).suffix == ".csv" else Parquet
    source = kind(path, time=time, label=label)
    contract = Contract.learn(source.read(Window(None, None)), source)
    extent = source.extent()
    every = default_every(extent)
    shown = str(every) if isinstance(every, int) else '"1d"'
    found = f"{extent.rows:,} rows, {contract.task} of {label!r}, features: {', '.join(contract.names)}"
    if contract.left_out:
        found += f"\nleft out: {', '.join(contract.left_out)}"
    return ("Classifier" if contract.task == "classification" else "Regressor"), shown, found

"""Adopting: a model that already runs becomes champion v1; rows it may have trained on never judge it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle import monitor
from rekindle.data.contract import Contract
from rekindle.data.labels import clean_label
from rekindle.errors import BundleError, ConfigError, DeclarationError
from rekindle.models.bundle import write_bundle
from rekindle.models.signature import Signature
from rekindle.observing import champion_record, metric_of
from rekindle.records import Column, Version, Window
from rekindle.store import loops, new_id, outbox, triggers, versions
from rekindle.triggers.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from rekindle.data.cadence import Cadence
    from rekindle.loop import Loop
    from rekindle.records import Moment
    from rekindle.workshop import Workshop

__all__ = ["adopt"]

PICKLES = (".joblib", ".pkl", ".pickle")


def adopt(
    loop: Loop,
    shop: Workshop,
    model: Path,
    *,
    meta: Path | None = None,
    trained_through: str | int | datetime | None = None,
    allow_pickle: bool = False,
) -> Version:
    """Make an existing model champion v1.

    Parameters: `model` a .skops file, or .joblib / .pkl with `allow_pickle` (loading one runs its code: only for
    files you trust; it is kept as skops from then on); `meta` a JSON file with its "version" and metrics by name;
    `trained_through` the moment its training rows end, default now, so that no row it may have seen judges it.
    """
    if shop.registry.champion(loop.name) is not None:
        raise DeclarationError(
            "adopt", loop.name, "it has a champion already; a new model comes by `rekindle retrain`"
        )
    fitted = _load(loop, model, allow_pickle)
    said = _read_meta(meta)
    stored, cadence, now = monitor.standing(loop, shop)
    through = _moment(trained_through if trained_through is not None else said.get("trained_through"), now)
    contract = Contract.from_json(stored.settings["contract"])
    signature = _signature(fitted, contract)
    rows = contract.check(loop.source.read(Window(None, through)), loop.source).rows
    classes = tuple(getattr(loop.trainer, "classes", lambda _: ())(fitted))
    probe = rows[list(signature.names)].tail(20)
    answers = _try(loop, fitted, model, signature, probe)
    _compare_labels(classes or answers, rows[contract.label], contract.task, model)
    folder = shop.registry.folder / loop.name / new_id("adopted-", shop.clock.now())
    write_bundle(folder, loop.trainer, fitted, loop=loop.name, signature=signature, task=contract.task,
                 classes=classes, probe=probe, about={"adopted_from": model.name})  # fmt: skip
    return _register(loop, shop, folder, said, through, _newest_seen(cadence, through), contract)


def _register(
    loop: Loop,
    shop: Workshop,
    folder: Path,
    said: dict[str, Any],
    through: Moment,
    batch: int,
    contract: Contract,
) -> Version:
    now = shop.clock.now()
    measure = metric_of(loop, contract.task)
    known = {**said, **said.get("metrics", {})}
    baseline = known.get(measure.name, known.get(measure.name.removeprefix("roc_")))
    metadata = {"adopted": True, "meta": said, "candidate_metric": baseline}
    version = Version(
        loop.name, 1, str(said.get("version", "v1")), str(folder), None, batch, now, through, metadata
    )
    record = champion_record(loop, shop, version)
    watch = Watch(loop.triggers, {}, lambda: record)
    with shop.store.begin() as conn:
        versions.add(conn, version)
        versions.promote(conn, loop.name, 1, now, expect=None)
        loops.set_settings(conn, loop.name, {"first": batch + 1})
        triggers.save_states(conn, loop.name, watch.states(), now)
        outbox.add(conn, "adopted", loop.name, {"version": 1, "cause": f"{version.label} adopted"}, now)
    return version


def _load(loop: Loop, model: Path, allow_pickle: bool) -> Any:
    if not model.is_file():
        raise BundleError(f"there is no model file {model}")
    if model.suffix == ".skops":
        import shutil
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(model, Path(folder) / "model.skops")
            return loop.trainer.load(Path(folder))
    if model.suffix not in PICKLES:
        raise BundleError(f"{model} is no .skops, .joblib or .pkl file; save the model as one of these")
    if not allow_pickle:
        raise BundleError(
            f"loading {model} runs the code inside it; if you trust the file, say --allow-pickle"
        )
    import joblib

    try:
        return joblib.load(model)
    except Exception as error:
        raise BundleError(f"{model} cannot be loaded: {type(error).__name__}: {error}") from error


def _try(loop: Loop, fitted: Any, file: Path, signature: Signature, probe: pd.DataFrame) -> tuple[Any, ...]:
    """What it answers to rows of the source, or the reason why it cannot."""
    if not callable(getattr(fitted, "predict", None)):
        raise BundleError(
            f"{file} holds a {type(fitted).__name__}, which cannot predict; save the fitted model"
        )
    if probe.empty:
        return ()
    try:
        return tuple(np.asarray(loop.trainer.predict(fitted, signature.prepare(probe))).ravel())
    except Exception as error:  # a foreign model may raise anything
        raise BundleError(
            f"{file} cannot predict the rows of the source ({type(error).__name__}: {str(error).splitlines()[0]}). "
            f"It is given {', '.join(signature.names)}; save the fitted model with the steps that prepare its rows"
        ) from error


def _compare_labels(answers: tuple[Any, ...], label: pd.Series, task: str, file: Path) -> None:
    """A model that answers in other words than the labels would be wrong on every row."""
    known, said = ([str(v) for v in _distinct(values)] for values in (label.dropna(), answers))
    if task == "classification" and known and said and not set(known) & set(said):
        raise BundleError(
            f"{file} answers {', '.join(said[:5])}, but the labels of the source are {', '.join(known[:5])}"
        )


def _distinct(values: Any) -> list[Any]:
    import pandas as pd

    return sorted(set(clean_label(pd.Series(values), "classification")), key=str) if len(values) else []


def _read_meta(meta: Path | None) -> dict[str, Any]:
    if meta is None:
        return {}
    try:
        said = json.loads(Path(meta).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError("meta", str(meta), "--meta", f"give a JSON file: {error}") from error
    if not isinstance(said, dict):
        raise ConfigError(
            "meta", str(meta), "--meta", 'give a JSON object such as {"version": "1.4.2", "roc_auc": 0.91}'
        )
    return said


def _moment(given: str | int | datetime | None, now: Moment) -> Moment:
    if given is None:
        return now
    if isinstance(now, int):
        try:
            return int(given)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ConfigError(
                "trained_through", given, "the command", "give an index, as the time column has"
            ) from None
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        raise ConfigError(
            "trained_through", given, "the command", "give a time such as 2026-03-01T00:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(moment.astimezone(UTC), now)


def _newest_seen(cadence: Cadence, through: Moment) -> int:
    """The newest batch that holds a row before `through`."""
    import pandas as pd

    newest = int(cadence.numbers(pd.Series([through]))[0])
    return newest - 1 if cadence.span(newest).start == through else newest


def _signature(fitted: Any, contract: Contract) -> Signature:
    names = getattr(fitted, "feature_names_in_", None)
    by_name = {c.name: c for c in contract.features}
    if names is None:
        wanted = getattr(fitted, "n_features_in_", len(by_name))
        if wanted != len(by_name):
            raise BundleError(
                f"the model takes {wanted} features without names, the source has {len(by_name)}: "
                f"{', '.join(by_name)}. Name the columns it was fitted on: features=[...]"
            )
        names = list(by_name)
    missing = [n for n in names if n not in by_name]
    if missing:
        raise BundleError(f"the model takes a feature {missing[0]!r} that the source does not have")
    columns = [by_name[n] for n in names]
    return Signature(tuple(Column(c.name, "text" if c.kind == "category" else c.kind) for c in columns))

"""Loop: one declaration per model. It is plain Python and its own configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from rekindle.clock import parse_span
from rekindle.data.cadence import Edges
from rekindle.data.window import Weighted
from rekindle.declaration import declare
from rekindle.errors import DeclarationError, did_you_mean
from rekindle.policy.guards import MinRows
from rekindle.policy.price import Price
from rekindle.policy.ski_rental import SkiRental
from rekindle.protocols import Gate, Guard, Loss, Notifier, Policy, Source, Trainer, Trigger, WindowRule
from rekindle.records import Act, Env
from rekindle.serving.rollout import Immediate, Rollout
from rekindle.stats.metrics import METRICS, Metric
from rekindle.stats.metrics import metric as metric_named
from rekindle.triggers.drift import DataDrift
from rekindle.triggers.performance import PerformanceDecay
from rekindle.validation.gates import NotWorse

__all__ = ["DEFAULT_PRICE", "Loop"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# One retraining worth 2 points of one batch's loss, where the user states no price. Said aloud by `check`.
DEFAULT_PRICE = Price.ratio(0.02)
TRIGGER = ("observe", "reset", "get_state", "set_state")
POLICY = ("decide", "observe")
EXAMPLES = {
    "loss": "a function of (labels, predictions) that returns one loss per row",
    "window": "a window rule such as rk.Weighted() or rk.Rolling(batches=8)",
    "gates": "gates such as rk.NotWorse() or rk.Floor(0.9)",
    "guards": "guards such as rk.MinRows(100) or rk.Cooldown('24h')",
}
# Notification URLs of these kinds carry no credential; all others hold a token and come from rk.env.
OPEN_SCHEMES = {"json", "jsons", "xml", "xmls", "form", "forms", "syslog", "dbus"}


class Loop:
    """What rekindle needs to know to keep one model fresh. Only name, source and trainer are required.

    Parameters:
        name: letters, digits, dot, dash, underscore; at most 100.
        source: where the rows are, e.g. `rk.Parquet("churn/*.parquet", time="ts", label="churned")`.
        trainer: how a model is fitted, e.g. `rk.Estimator(HistGradientBoostingClassifier())`.
        metric: what people read, by name or `rk.Metric`; default accuracy for classes, mae for numbers.
        loss: row loss behind price, policy and gates, (labels, predictions) -> losses; default 0/1 error, or
            min(1, |error| / (p95 - p5 of the reference target)) for numbers.
        every: one evaluation batch, "1d" or a number of index units; default one day, on an index 1/48 of the
            first history.
        triggers: evidence that something moved; default data drift and performance decay.
        policy: when to retrain; default ski-rental at 2 points of one batch's loss.
        window: which rows to train on; default all, an older row weighing less.
        gates: what a candidate must show; default not significantly worse than the champion.
        guards: when not to retrain although the policy would; default fewer than 100 new labelled rows.
        rollout: how a candidate becomes champion.
        notify: who is told, as `rk.env("NAME")` of a notification URL, or functions.
        act: "auto", "advise" (never trains) or "approve" (trains and judges, then waits for a person).
        features: columns to use; default all that can be.

    Raises DeclarationError at once, naming field, value and what to write instead.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        trainer: Trainer,
        *,
        metric: str | Metric | None = None,
        loss: Loss | None = None,
        every: str | int | timedelta | Edges | None = None,
        triggers: Iterable[Trigger] | None = None,
        policy: Policy | None = None,
        window: WindowRule | None = None,
        gates: Iterable[Gate] | None = None,
        guards: Iterable[Guard] | None = None,
        rollout: Rollout | None = None,
        notify: Iterable[Env | str | Notifier] = (),
        act: str = "auto",
        features: Sequence[str] = (),
        **unknown: object,
    ) -> None:
        for field in unknown:
            raise DeclarationError(
                field, unknown[field], f"a Loop has no such field. {did_you_mean(field, FIELDS)}"
            )
        self.name = _name(name)
        self.source = _source(source)
        self.trainer = _like("trainer", trainer, ("fit", "predict", "save", "load"), "rk.Estimator(model)")
        self.metric = _metric(metric, self.task)
        self.loss = None if loss is None else _callable("loss", loss)
        self.every = every if every is None or isinstance(every, Edges) else parse_span(every, "every")
        defaults = (DataDrift(), PerformanceDecay()) if triggers is None else triggers
        self.triggers = tuple(
            _like("triggers", t, TRIGGER, "rk.DataDrift()") for t in _listed("triggers", defaults)
        )
        self.policy = _like(
            "policy", SkiRental(DEFAULT_PRICE) if policy is None else policy, POLICY, "rk.Every(7)"
        )
        self.window = _callable("window", Weighted() if window is None else window)
        self.gates = tuple(
            _callable("gates", g) for g in _listed("gates", (NotWorse(),) if gates is None else gates)
        )
        self.guards = tuple(
            _callable("guards", g) for g in _listed("guards", (MinRows(),) if guards is None else guards)
        )
        self.rollout = _rollout(rollout)
        self.notify = tuple(_notifier(n) for n in _listed("notify", notify))
        self.act = _act(act)
        self.features = _features(features, self.source)

    def __repr__(self) -> str:
        return f"Loop({self.name!r})"

    @property
    def price(self) -> Price | None:
        """The price the policy weighs, if it has one."""
        price = getattr(self.policy, "price", None)
        return price if isinstance(price, Price) else None

    @property
    def task(self) -> str | None:
        """What the trainer says it does; None when the labels must tell."""
        task = getattr(self.trainer, "task", None)
        return task if task in ("classification", "regression") else None

    def declaration(self) -> dict[str, Any]:
        """All fields as plain JSON: what the revision is the hash of."""
        return {field: declare(getattr(self, field)) for field in FIELDS}


FIELDS = ("name", "source", "trainer", "metric", "loss", "every", "triggers", "policy", "window", "gates", "guards",
          "rollout", "notify", "act", "features")  # fmt: skip


def _name(name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DeclarationError(
            "name", name, "use letters, digits, '.', '-' and '_', beginning with a letter or digit"
        )
    return name


def _like(field: str, value: Any, methods: Sequence[str], example: str) -> Any:
    if isinstance(value, type):
        raise DeclarationError(field, value.__name__, f"give an instance: {value.__name__}(...)")
    lacking = [m for m in methods if not callable(getattr(value, m, None))]
    if lacking:
        raise DeclarationError(field, value, f"it has no {lacking[0]}(); give e.g. {example}")
    return value


def _source(source: Any) -> Any:
    found = _like("source", source, ("extent", "read"), "rk.Parquet(path, time=..., label=...)")
    for name in ("time", "label", "label_time", "id"):
        if not hasattr(found, name):
            raise DeclarationError(
                "source", source, f"it does not say its {name!r} column; see rekindle.protocols.Source"
            )
    return found


def _metric(given: Any, task: str | None) -> Metric | None:
    if given is None:
        return None
    found = metric_named(given) if isinstance(given, str) else given
    if not isinstance(found, Metric):
        shown = getattr(given, "__name__", given)
        raise DeclarationError(
            "metric", shown, "give a name such as 'roc_auc', or rk.Metric.of(function, higher_is_better=True)"
        )
    if task is not None and task not in found.tasks:
        fit = " or ".join(sorted(name for name, m in METRICS.items() if task in m.tasks))
        raise DeclarationError("metric", found.name, f"this trainer does {task}; give {fit}")
    return found


def _callable(field: str, value: Any) -> Any:
    if isinstance(value, type) or not callable(value):
        shown = value.__name__ if isinstance(value, type) else value
        raise DeclarationError(field, shown, f"give {EXAMPLES[field]}")
    return value


def _listed(field: str, values: Any) -> list[Any]:
    if isinstance(values, (str, bytes, Env)) or not isinstance(values, Iterable):
        raise DeclarationError(field, values, f"give a list: {field}=[...]")
    return list(values)


def _rollout(rollout: object) -> Rollout:
    if rollout is None:
        return Immediate()
    if not isinstance(rollout, Immediate):
        raise DeclarationError("rollout", rollout, "rk.Immediate() is the one rollout there is so far")
    return rollout


def _notifier(target: Any) -> Env | str | Callable[..., None]:
    if isinstance(target, Env) or (callable(target) and not isinstance(target, type)):
        return target
    if isinstance(target, str):
        parts = urlsplit(target)
        if (
            parts.scheme in OPEN_SCHEMES
            and parts.username is None
            and parts.password is None
            and not parts.query
        ):
            return target
        shown = f"{parts.scheme or 'text'}://..."
        raise DeclarationError(
            "notify",
            shown,
            'secrets are named, never written: rk.env("NAME") of a variable that holds the URL',
        )
    raise DeclarationError("notify", target, 'give rk.env("NAME"), or a function that takes an Event')


def _act(act: object) -> Act:
    try:
        return Act(act)  # type: ignore[arg-type]
    except ValueError:
        raise DeclarationError("act", act, did_you_mean(str(act), [a.value for a in Act])) from None


def _features(features: Any, source: Source) -> tuple[str, ...]:
    if isinstance(features, str):
        raise DeclarationError("features", features, f"give a list of columns: features=[{features!r}]")
    named = tuple(features) if isinstance(features, Iterable) else (features,)
    if not all(isinstance(f, str) for f in named):
        raise DeclarationError(
            "features", features, "give column names; put a feature step into the trainer's pipeline"
        )
    for name in named:
        if named.count(name) > 1:
            raise DeclarationError("features", name, "name each column once")
        for role in ("label", "time", "label_time", "id"):
            if name == getattr(source, role):
                raise DeclarationError("features", name, f"it is the source's {role}, which no model may see")
    return named

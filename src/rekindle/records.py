"""The nouns of the story: frozen values, one comment line per field."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from rekindle.errors import ConfigError, DeclarationError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Frame: TypeAlias = pd.DataFrame
    Floats: TypeAlias = NDArray[np.float64]

# A point on a loop's own time axis: aware UTC, or an integer index.
Moment: TypeAlias = datetime | int
# What a decision, signal or verdict rests on: plain JSON values only.
Evidence: TypeAlias = Mapping[str, Any]


class Shown:
    """Shows a record as a small table in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = ((f.name, getattr(self, f.name)) for f in fields(self))  # type: ignore[arg-type]
        cells = (
            f"<tr><th>{n}</th><td>{html.escape(str(v))}</td></tr>" for n, v in rows if v not in (None, "", ())
        )
        return f"<table><caption>{type(self).__name__}</caption>{''.join(cells)}</table>"


class Kind(StrEnum):
    """Why a trigger spoke (checklist rows 11 and 12)."""

    DATA_DRIFT = "data_drift"
    PERFORMANCE_DECAY = "performance_decay"
    CONCEPT_DRIFT = "concept_drift"
    SCHEDULE = "schedule"
    MANUAL = "manual"
    DATA_VOLUME = "data_volume"


class Action(StrEnum):
    """What a decision orders; `wait` is a decision too."""

    RETRAIN = "retrain"
    WAIT = "wait"
    RECALL = "recall"
    ESCALATE = "escalate"


class RunState(StrEnum):
    """Where a run stands; the last three are final (checklist row 30)."""

    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    ERROR = "error"

    @property
    def final(self) -> bool:
        """True once the run will never move again."""
        return self in (RunState.COMPLETED, RunState.FAILED, RunState.ERROR)


class Outcome(StrEnum):
    """How a run or its rollout ended."""

    RELEASED = "RELEASED"
    KEPT_CHAMPION = "KEPT_CHAMPION"
    ERROR = "ERROR"
    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"


class Act(StrEnum):
    """How far a loop may go by itself."""

    AUTO = "auto"
    ADVISE = "advise"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Env:
    """A secret by the name of its environment variable; only the name is ever stored or shown."""

    name: str  # environment variable

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            # Not shown: it may well be the secret itself.
            raise DeclarationError("env", "...", 'name a variable that holds the secret: rk.env("CHURN_URL")')

    def value(self) -> str:
        """The secret itself. Raises ConfigError when the variable is not set."""
        found = os.environ.get(self.name, "")
        if not found:
            raise ConfigError(self.name, found, "the environment", f"set it: export {self.name}=...")
        return found


@dataclass(frozen=True, slots=True)
class Extent:
    """What a source holds."""

    first: Moment | None  # time of the oldest row; None when there are no rows
    last: Moment | None  # time of the newest row
    rows: int  # number of rows with a usable time


@dataclass(frozen=True, slots=True)
class Column:
    """One feature as the loop knows it."""

    name: str  # column name
    kind: str  # "number", "boolean", "category", or "text" (as it is, for adopted models)
    levels: tuple[str, ...] = ()  # known categories, most frequent first


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time: start <= t < end."""

    start: Moment | None  # None: from the oldest row
    end: Moment | None  # None: to the newest row
    rule: str = "full"  # the rule that chose it, in words
    half_life: float | None = None  # batches after which a row weighs half; None: all weigh the same


@dataclass(frozen=True, slots=True)
class Span:
    """One complete evaluation period of a loop."""

    seq: int  # number of the batch, 0 for the oldest of the loop's history
    start: Moment  # first moment that belongs to it
    end: Moment  # first moment that no longer does


@dataclass(frozen=True, slots=True)
class History:
    """What a window rule may look at."""

    extent: Extent  # all rows of the source
    span: Span  # the newest complete batch; training may not look past its end
    since: Moment | None  # when a signal says the change began
    last_end: Moment | None  # end of the window of the last released run
    starts: Sequence[Moment]  # starts of the newest batches, oldest first


@dataclass(frozen=True, slots=True)
class Champion:
    """What triggers learn when a model becomes champion."""

    version: int  # number of the version
    batch: int  # newest batch whose rows the recipe has used
    released_at: datetime  # wall time of the promotion
    metric: str  # name of the loop's metric
    higher_is_better: bool  # direction of that metric
    baseline_metric: float | None  # its value on the rows that judged it; None when adopted without one
    baseline_loss: float | None  # its mean row loss there
    rows: int  # rows in its training window
    reference: Frame | None  # feature rows of its training window (a sample when huge); None when unknown


@dataclass(frozen=True, slots=True)
class Batch:
    """One evaluation period as triggers see it, scored under the champion."""

    span: Span  # which period
    at: datetime  # wall time of the tick
    rows: int  # rows in the period
    features: Frame  # their features, quarantined rows taken out
    prediction: Any  # array of the champion's predictions, one per row; None without a champion
    label: (
        Any  # array of labels, one per row of `features`; missing where not known yet; None without champion
    )
    loss: Floats | None  # row losses of the labelled rows; None while no label is known
    metric: float | None  # the loop's metric on the labelled rows; None while it cannot be computed


@dataclass(frozen=True, slots=True)
class Signal(Shown):
    """A trigger saw a reason."""

    kind: Kind  # what sort of reason
    trigger: str  # the trigger's own name, e.g. "DataDrift"
    severity: int  # 1 (low) to 5 (high)
    statistic: float  # what was measured
    threshold: float  # what it was measured against
    reason: str  # machine-readable, e.g. "accuracy_0.481_below_0.52"
    since: Moment | None = None  # when the change began, as far as the trigger can tell
    evidence: Evidence = field(default_factory=dict)  # everything else it saw


@dataclass(frozen=True, slots=True)
class Decision(Shown):
    """What was decided after one batch, and why. `wait` is one too."""

    action: Action  # retrain, wait, recall or escalate
    rule: str  # the rule that decided, e.g. "SkiRental"
    reason: str  # one sentence for people
    evidence: Evidence = field(default_factory=dict)  # the numbers behind it
    expected_saving: float | None = (
        None  # forecast saving of retraining now, in loss x batches; None: not forecast
    )
    price: float | None = None  # price of one retraining in the same unit; None: the rule asks for none
    would_change: str = ""  # what would have changed the decision
    priority: int = 3  # 1 (low) to 5 (high)
    id: str = ""  # set when stored
    loop: str = ""  # set when stored
    batch: int = -1  # newest complete batch when it was taken
    at: datetime | None = None  # wall time
    signals: tuple[Signal, ...] = ()  # what the triggers said
    run: str | None = None  # the run it started, if any


@dataclass(frozen=True, slots=True)
class View:
    """All a policy or guard may know at the moment it decides. Nothing from the future is inside."""

    batch: int  # newest complete batch
    champion: int  # version number that serves
    trained: int  # newest batch in the champion's training window
    tried: int  # newest batch in the window of the last finished training, released or not
    losses: Mapping[int, Mapping[int, float]]  # version -> batch -> mean loss, labels arrived so far
    signals: tuple[Signal, ...]  # what the triggers said after this batch
    price: float | None  # one retraining in units of one batch's mean loss; None when the loop states none
    now: datetime  # wall time
    rows: int  # rows that arrived since the champion's window ended
    labelled: int  # those of them whose label is known
    finished_at: datetime | None  # when the last run finished
    first: int = 0  # first batch after the loop's initial history


@dataclass(frozen=True, slots=True)
class Run(Shown):
    """A durable attempt to replace the champion."""

    id: str  # sorts by time
    loop: str  # the model it belongs to
    revision: str  # the declaration it was started under
    strategy: str  # scheduled, triggered or manual
    reason: str  # the decision's reason
    trigger: str  # the kind that weighed most, e.g. "data_drift"
    priority: int  # 1 (low) to 5 (high)
    batch: int  # newest complete batch; the window ends with it
    created_at: datetime  # wall time of the decision
    state: RunState = RunState.QUEUED  # where it stands
    outcome: Outcome | None = None  # how it ended
    cause: str = ""  # why it ended so
    decision: str | None = None  # id of the decision that ordered it
    since: Moment | None = None  # when the change began, if a signal knew
    started_at: datetime | None = None  # first step begun
    finished_at: datetime | None = None  # last step ended
    version: int | None = None  # version it registered
    metadata: Evidence = field(default_factory=dict)  # scores, rows, seconds: whatever explains it


@dataclass(frozen=True, slots=True)
class Step:
    """One named step of a run, done once."""

    run: str  # the run's id
    name: str  # select, check, snapshot, train, validate, judge or release
    state: str  # running, done or error
    attempt: int  # how often it was begun
    started_at: datetime  # begin of the last attempt
    finished_at: datetime | None  # its end
    result: Evidence  # what it found: plain JSON
    error: str = ""  # its error, in a sentence


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Frozen rows: what a run trained on, for ever."""

    id: str  # hash of the canonical content and schema
    folder: str  # where its parts and manifest lie
    rows: int  # number of rows
    window: Window  # the stretch of time they cover
    features: tuple[str, ...]  # feature columns in order
    label: str  # label column
    task: str  # "classification" or "regression"


@dataclass(frozen=True, slots=True)
class Version(Shown):
    """One registered model of a loop."""

    loop: str  # the loop's name
    number: int  # 1, 2, 3 ...
    label: str  # what people read: "v16", or "1.4.3" where an adopted model brought such a number
    folder: str  # the bundle
    run: str | None  # the run that made it; None when adopted
    batch: int  # newest batch its recipe has used; -1 when unknown
    created_at: datetime  # wall time of registration
    trained_through: Moment | None  # rows before this moment never judge it
    metadata: Evidence = field(
        default_factory=dict
    )  # metric of candidate and champion, rows, reason, retrained time


@dataclass(frozen=True, slots=True)
class Scores:
    """One model on the rows that judge it."""

    name: str  # "candidate" or "v3"
    loss: float  # mean row loss
    losses: Floats  # row losses, in row order
    metric: float | None  # the loop's metric; None when it cannot be computed
    higher_is_better: bool  # direction of the metric


@dataclass(frozen=True, slots=True)
class Verdict(Shown):
    """What one gate says of a candidate."""

    gate: str  # the gate's name
    passed: bool  # may the candidate be released, as far as this gate goes
    reason: str  # one sentence with the numbers
    numbers: Evidence = field(default_factory=dict)  # the numbers by name


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as the outbox delivers it."""

    id: str  # sorts by time; delivered at least once
    kind: str  # e.g. "decision", "promoted", "run_failed"
    loop: str  # the model concerned
    at: datetime  # wall time
    payload: Evidence  # plain JSON

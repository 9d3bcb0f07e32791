"""Every plug-in interface on one page. Stateless plug-ins are functions; those with state are Protocols.

Whoever implements one gets a conformance suite from `rekindle.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from rekindle.records import (
    Batch,
    Champion,
    Decision,
    Event,
    Extent,
    History,
    Run,
    RunState,
    Scores,
    Signal,
    Verdict,
    View,
    Window,
)

if TYPE_CHECKING:
    from rekindle.records import Floats, Frame

__all__ = [
    "Engine",
    "EventBus",
    "Gate",
    "Guard",
    "Loss",
    "Measure",
    "Model",
    "Notifier",
    "Policy",
    "Source",
    "Trainer",
    "Trigger",
    "Weighting",
    "WindowRule",
]

Model: TypeAlias = Any  # whatever a Trainer fits; only that Trainer looks inside

# reference values, current values -> a distance, 0 when alike
Measure: TypeAlias = "Callable[[Floats, Floats], float]"
# what is there -> the stretch of time to train on; must not end after `history.span.end`
WindowRule: TypeAlias = Callable[[History], Window]
# ages of the rows in batches (0 = newest) -> weights, > 0
Weighting: TypeAlias = "Callable[[Floats], Floats]"
# labels, predictions -> one loss per row, finite and >= 0
Loss: TypeAlias = "Callable[[Any, Any], Floats]"
# a retraining is proposed -> None (no objection), or the Decision to wait with its reason
Guard: TypeAlias = Callable[[View], Decision | None]
# candidate, champion (None on the first run), the judging rows, the run -> may it be released
Gate: TypeAlias = "Callable[[Scores, Scores | None, Frame, Run], Verdict]"
# tell somebody; may raise, delivery is tried again
Notifier: TypeAlias = Callable[[Event], None]


@runtime_checkable
class Source(Protocol):
    """Rows by time.

    must:       return rows in time order, times aware UTC or integer; raise SourceError naming file or table
    must never: change the rows, look at the clock, return a row outside the window
    """

    @property
    def time(self) -> str:
        """Time column."""
        ...

    @property
    def label(self) -> str:
        """Label column."""
        ...

    @property
    def label_time(self) -> str | None:
        """Column that says when a label became known; None: when it is there."""
        ...

    @property
    def id(self) -> str | None:
        """Row id column."""
        ...

    def extent(self) -> Extent:
        """Oldest and newest time, number of rows."""
        ...

    def read(self, window: Window) -> Frame:
        """All rows with window.start <= time < window.end."""
        ...


@runtime_checkable
class Trigger(Protocol):
    """Sees each batch once, in order; speaks when it sees a reason.

    must:       answer in plain numbers; keep its state within get_state; say "insufficient" in evidence, not nan
    must never: ask the time (batch.at tells it), change the batch, forget its state's "version"
    """

    def observe(self, batch: Batch) -> Signal | None:
        """The signal for this batch, or None."""
        ...

    def reset(self, champion: Champion) -> None:
        """A new champion serves: measure against it from now on."""
        ...

    def get_state(self) -> dict[str, Any]:
        """Plain JSON with a "version"."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The reverse of get_state; unknown versions raise ValueError."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """Fits models and knows how to keep them.

    must:       be deterministic given its own seed; fit on `train` alone; write only into `folder`
    must never: read live rows, change its input, ask the time
    """

    def fit(self, train: Any, valid: Any, previous: Model | None) -> Model:
        """A model fitted on `train` (a training.Table); `previous` is the champion, for warm starts."""
        ...

    def predict(self, model: Model, rows: Frame) -> Any:
        """One prediction per row: class labels or numbers, or class probabilities in two dimensions."""
        ...

    def save(self, model: Model, folder: Path) -> None:
        """Write the model into an empty folder."""
        ...

    def load(self, folder: Path) -> Model:
        """The reverse of save."""
        ...


@runtime_checkable
class Policy(Protocol):
    """Turns what is known into one decision.

    must:       give a reason a person understands, for `wait` too; look only at the view
    must never: order a training itself, ask the time (view.now tells it), raise on missing losses
    """

    def decide(self, view: View) -> Decision:
        """Retrain, wait, recall or escalate, with rule and reason."""
        ...

    def observe(self, outcome: Run) -> None:
        """A run ended; policies that learn take note."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Carries out runs.

    must:       run one run of a loop at a time; resume a run at the step that died
    must never: run a finished step again
    """

    def submit(self, run: Run) -> None:
        """Take the run; it may be carried out at once or later."""
        ...

    def cancel(self, run: str) -> None:
        """Stop a run; its training's process group ends."""
        ...

    def status(self, run: str) -> RunState:
        """Where the run stands."""
        ...


@runtime_checkable
class EventBus(Protocol):
    """Tells subscribers what happened.

    must:       deliver each event at least once, in order per loop
    must never: let one subscriber's error stop the others
    """

    def publish(self, event: Event) -> None:
        """Hand the event to all who subscribed to its kind."""
        ...

    def subscribe(self, handler: Notifier, *kinds: str) -> None:
        """Call the handler for these kinds; none given: for all."""
        ...

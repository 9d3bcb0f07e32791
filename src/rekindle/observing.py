"""One batch under the champion and its predecessor: predictions, losses, metric, with the labels known now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.data.contract import Checked, Contract
from rekindle.data.labels import clean_label, known_at
from rekindle.data.snapshot import thaw
from rekindle.errors import BundleError, DeclarationError, RekindleError
from rekindle.records import Batch, Champion, Span, Window
from rekindle.stats.losses import CappedError, zero_one
from rekindle.stats.metrics import Metric, metric
from rekindle.store import batches, loops, versions
from rekindle.store.batches import BatchLoss, StoredBatch

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from rekindle.loop import Loop
    from rekindle.models.bundle import Bundle
    from rekindle.protocols import Loss
    from rekindle.records import Floats, Moment, Version
    from rekindle.store.loops import StoredLoop
    from rekindle.workshop import Workshop

__all__ = ["Observed", "Scorer", "blaming", "champion_record", "loss_of", "metric_of", "reference_rows"]

KEPT_SCORED = 10  # batches for which the predecessor stays scored beside the champion
REFERENCE_ROWS = 50_000  # rows of the training window that triggers measure against


@dataclass(frozen=True, slots=True)
class Observed:
    """What one batch came to."""

    stored: StoredBatch  # what the store keeps of it
    batch: Batch | None  # what triggers see; None when it has no usable row
    scores: tuple[BatchLoss, ...]  # champion and predecessor, where labels are known

    @property
    def failure(self) -> str | None:
        """Why the champion could not predict the rows; None when it could, or when there were none."""
        return self.stored.note.get("failed")


@dataclass(frozen=True, slots=True)
class Scorer:
    """The models of one loop that are scored on each batch."""

    loop: Loop
    shop: Workshop
    contract: Contract
    loss: Loss
    metric: Metric
    champion: Version
    previous: Version | None

    @classmethod
    def of(cls, loop: Loop, shop: Workshop, stored: StoredLoop) -> Scorer:
        """The champion and its predecessor as they stand now."""
        champion = shop.registry.champion(loop.name)
        if champion is None:
            raise BundleError(f"{loop.name} has no champion; run `rekindle tick` or `rekindle adopt`")
        contract = Contract.from_json(stored.settings["contract"])
        previous = shop.registry.bearer(loop.name, "previous")
        return cls(
            loop, shop, contract, loss_of(loop, stored), metric_of(loop, contract.task), champion, previous
        )

    def score(self, checked: Checked, span: Span, known: NDArray[np.bool_]) -> Observed:
        """Predict and score the usable rows of a period."""
        rows, at = checked.rows, self.shop.clock.now()
        stored = StoredBatch(
            self.loop.name,
            span,
            len(rows) + len(checked.quarantined),
            int(known.sum()),
            len(checked.quarantined),
            at,
            {"notes": list(checked.notes)},
        )
        if rows.empty:
            return Observed(stored, None, ())
        features = rows[list(self.contract.names)]
        try:
            bundle = self.shop.registry.open(self.champion, self.loop.trainer)
            outputs = _finite(bundle.outputs(features))
        except BundleError as error:  # its folder is damaged, or the libraries changed under it
            return Observed(replace(stored, note={**stored.note, "failed": str(error)}), None, ())
        except RekindleError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything on rows it cannot take
            note = {**stored.note, "failed": _cannot_predict(self.champion, error)}
            return Observed(replace(stored, note=note), None, ())
        # Rows that a model was fitted on never judge it: they would make it look fresh.
        unseen = known & (span.seq > self.champion.batch)
        own = self._losses(bundle, outputs, rows, unseen, span)
        scores = [] if own is None else [self._kept(self.champion, span, own, outputs, rows, unseen, bundle)]
        scores += self._score_previous(features, rows, known, span)
        label = rows[self.contract.label].where(unseen).to_numpy()
        value = scores[0].metric if own is not None else None
        batch = Batch(span, at, len(rows), features, bundle.decided(outputs), label, own, value)
        return Observed(stored, batch, tuple(scores))

    @property
    def oldest_batch(self) -> int:
        """Batches up to this one say nothing about champion or predecessor: both were fitted on them."""
        return min(self.champion.batch, self.champion.batch if self.previous is None else self.previous.batch)

    def rescore(
        self, late: Sequence[StoredBatch], rows: pd.DataFrame, numbers: Any, now: Moment
    ) -> list[Batch]:
        """Score older batches again whose labels or rows have arrived meanwhile; returns those batches."""
        relabelled = []
        for before in late:
            own = rows[numbers == before.span.seq]
            landed = not before.rows and len(own) > 0  # the file came after the period's end
            if not landed and int(known_at(own, self.loop.source, now).sum()) <= before.labelled:
                continue
            checked = self.contract.check(own, self.loop.source)
            known = known_at(checked.rows, self.loop.source, now)
            if (
                not landed and int(known.sum()) <= before.labelled
            ):  # the others are in quarantine, labelled or not
                continue
            seen = self.score(checked, before.span, known)
            with self.shop.store.begin() as conn:
                batches.update_labelled(conn, self.loop.name, before.span.seq, seen.stored.labelled)
                batches.update_rows(
                    conn, self.loop.name, before.span.seq, seen.stored.rows, seen.stored.quarantined
                )
                self.keep(conn, seen)
            if seen.batch is not None:
                relabelled.append(seen.batch)
        return relabelled

    def serves(self, conn: Connection) -> bool:
        """Is the champion that was scored still the one that serves?"""
        held = versions.alias(conn, self.loop.name)
        return held is not None and held.version == self.champion.number

    def keep(self, conn: Connection, seen: Observed) -> None:
        """Store the scores: of each version, on batches that it was not fitted on."""
        for score in seen.scores:
            batches.put_loss(conn, score)

    def _score_previous(
        self, features: pd.DataFrame, rows: pd.DataFrame, known: NDArray[np.bool_], span: Span
    ) -> list[BatchLoss]:
        old = self.previous
        if old is None or not known.any() or not old.batch < span.seq <= self.champion.batch + KEPT_SCORED:
            return []
        try:
            bundle = self.shop.registry.open(old, self.loop.trainer)
            outputs = _finite(bundle.outputs(features))
        except Exception:  # noqa: BLE001 - a column is gone, or it cannot take these rows: it no longer serves
            return []
        losses = self._losses(bundle, outputs, rows, known, span)
        return [] if losses is None else [self._kept(old, span, losses, outputs, rows, known, bundle)]

    def _losses(
        self, bundle: Bundle, outputs: Any, rows: pd.DataFrame, known: NDArray[np.bool_], span: Span
    ) -> Floats | None:
        if not known.any():
            return None
        label = clean_label(rows.loc[known, self.contract.label], self.contract.task)
        with blaming("loss", self.loss):
            losses = np.asarray(self.loss(label, bundle.decided(outputs)[known]), dtype=np.float64)
        if losses.shape != (int(known.sum()),):
            raise DeclarationError(
                "loss", self.loss, f"it must give one number per row, it gave shape {losses.shape}"
            )
        bad = int((~np.isfinite(losses)).sum())
        if bad:
            raise BundleError(
                f"{self.loop.name} {bundle.label}: the loss is NaN or inf on {bad} rows of batch {span.seq}"
            )
        return losses

    def _kept(
        self, version: Version, span: Span, losses: Floats, outputs: Any, rows: pd.DataFrame,
        known: NDArray[np.bool_], bundle: Bundle,
    ) -> BatchLoss:  # fmt: skip
        label = clean_label(rows.loc[known, self.contract.label], self.contract.task)
        with blaming("metric", self.metric.name):
            value = self.metric.value(label, np.asarray(outputs)[known], classes=bundle.classes)
        at = self.shop.clock.now()
        return BatchLoss(
            self.loop.name, span.seq, version.number, float(losses.mean()), len(losses), value, at
        )


def _cannot_predict(version: Version, error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    return f"{version.label} cannot predict these rows: {type(error).__name__}: {said}"


@contextmanager
def blaming(field: str, value: object) -> Iterator[None]:
    """What a user's own function or object raises inside becomes a sentence that names it."""
    try:
        yield
    except RekindleError:
        raise
    except Exception as error:
        raise DeclarationError(field, value, f"it raised {type(error).__name__}: {error}") from error


def _finite(outputs: Any) -> Any:
    """Outputs, unless some are NaN or inf: such a model answers nothing."""
    array = np.asarray(outputs)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum())} of its predictions are NaN or inf")
    return outputs


def loss_of(loop: Loop, stored: StoredLoop) -> Loss:
    """The row loss decisions use: the declared one, 0/1 error, or capped error on the scale of the first history."""
    declared: Loss | None = loop.loss
    if declared is not None:
        return declared
    if stored.task == "regression":
        return CappedError(float(stored.settings["loss_scale"]))
    plain: Loss = zero_one
    return plain


def metric_of(loop: Loop, task: str) -> Metric:
    """The metric people read: the declared one, accuracy, or mean absolute error."""
    return loop.metric or metric("accuracy" if task == "classification" else "mae")


def champion_record(loop: Loop, shop: Workshop, version: Version | None = None) -> Champion | None:
    """What triggers are told about a champion; None when nobody serves."""
    version = version or shop.registry.champion(loop.name)
    if version is None:
        return None
    with shop.store.read() as conn:
        stored = loops.get(conn, loop.name)
    measure = metric_of(loop, stored.task or "classification")
    said: Mapping[str, Any] = version.metadata
    reference = reference_rows(loop, stored, version)
    return Champion(
        version=version.number,
        batch=version.batch,
        released_at=version.created_at,
        metric=measure.name,
        higher_is_better=measure.higher_is_better,
        baseline_metric=said.get("candidate_metric"),
        baseline_loss=said.get("candidate_loss"),
        rows=int(said.get("rows", 0 if reference is None else len(reference))),
        reference=reference,
    )


def reference_rows(loop: Loop, stored: StoredLoop, version: Version) -> pd.DataFrame | None:
    """Feature rows of the version's training window, thinned evenly when there are many.

    Of an adopted model: the rows it may have trained on.
    """
    if "snapshot" in version.metadata:
        rows, manifest = thaw(version.metadata["snapshot"])
        names = list(manifest["features"])  # its own: the loop's contract may be that of another version
    elif version.trained_through is not None and "contract" in stored.settings:
        contract = Contract.from_json(stored.settings["contract"])
        rows = contract.check(loop.source.read(Window(None, version.trained_through)), loop.source).rows
        names = list(contract.names)
    else:
        return None
    step = max(1, -(-len(rows) // REFERENCE_ROWS))
    return rows[names].iloc[::step] if len(rows) else None

"""Gates: may this candidate be released? Each answers with its reason and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rekindle.declaration import finite
from rekindle.errors import DeclarationError
from rekindle.records import Run, Scores, Verdict
from rekindle.stats.paired import paired_mean

if TYPE_CHECKING:
    from rekindle.records import Frame

__all__ = ["Floor", "MinLift", "NotWorse", "Open", "RelativeTo"]

SHORT_WINDOW = 16  # batches; candidates of shorter windows must be better, not only not worse


@dataclass(frozen=True, slots=True)
class Open:
    """Lets everything through: the null gate, for baselines."""

    def __call__(self, candidate: Scores, champion: Scores | None, rows: Frame, run: Run) -> Verdict:
        return Verdict("Open", True, "every candidate passes")


@dataclass(frozen=True, slots=True)
class Floor:
    """The metric must reach an absolute value (rows 54 and 55): `Floor(0.9)`; a ceiling where lower is better."""

    value: float  # in units of the loop's metric

    def __post_init__(self) -> None:
        finite("value", self.value, "give a value of the loop's metric, e.g. rk.Floor(0.9)")

    def __call__(self, candidate: Scores, champion: Scores | None, rows: Frame, run: Run) -> Verdict:
        numbers = {"candidate": candidate.metric, "floor": self.value}
        if candidate.metric is None:
            return Verdict("Floor", False, "the metric cannot be computed on the judging rows", numbers)
        passed = (
            (candidate.metric >= self.value)
            if candidate.higher_is_better
            else (candidate.metric <= self.value)
        )
        word = ("at least" if candidate.higher_is_better else "at most") + f" {self.value:g}"
        return Verdict("Floor", passed, f"candidate {candidate.metric:.4f}, demanded {word}", numbers)


@dataclass(frozen=True, slots=True)
class NotWorse:
    """The candidate must not be significantly worse than the champion: paired test on the rows' losses.

    A candidate of a window worth fewer than 16 batches (older rows count by their weight) must be better on
    average: measured on public streams, short windows make many candidates that only look no worse. The first
    candidate passes; with no row that neither model has seen, nothing is proved and the champion stays.
    """

    alpha: float = 0.05  # one-sided level

    def __post_init__(self) -> None:
        instead = "give a level between 0 and 0.5, e.g. 0.05"
        if not 0 < finite("alpha", self.alpha, instead) < 0.5:
            raise DeclarationError("alpha", self.alpha, instead)

    def __call__(self, candidate: Scores, champion: Scores | None, rows: Frame, run: Run) -> Verdict:
        if champion is None:
            return _first("NotWorse", candidate)
        test = paired_mean(candidate.losses - champion.losses)
        numbers = _numbers(candidate, champion) | {"p_worse": test.p_worse, "rows": len(candidate.losses)}
        between = f"loss {candidate.loss:.4f} against the champion's {champion.loss:.4f} on the same {len(rows):,} rows"
        batches = run.metadata.get("window_batches")
        if batches is not None and batches < SHORT_WINDOW and candidate.loss >= champion.loss:
            return Verdict(
                "NotWorse",
                False,
                f"{between}: not better, as a window worth {batches:.0f} batches must be",
                numbers,
            )
        worse = test.p_worse is not None and test.p_worse < self.alpha
        if worse:
            return Verdict(
                "NotWorse", False, f"{between}: significantly worse (p = {test.p_worse:.2g})", numbers
            )
        return Verdict("NotWorse", True, f"{between}: not worse", numbers)


@dataclass(frozen=True, slots=True)
class MinLift:
    """The metric must beat the champion's by at least `lift` (rows 56 and 58).

    `triggered_only` demands it of triggered runs alone, as row 56 does; scheduled ones pass.
    """

    lift: float  # in units of the metric
    triggered_only: bool = False

    def __post_init__(self) -> None:
        finite("lift", self.lift, "give a difference of the loop's metric, e.g. rk.MinLift(0.01)")

    def __call__(self, candidate: Scores, champion: Scores | None, rows: Frame, run: Run) -> Verdict:
        if champion is None:
            return _first("MinLift", candidate)
        if self.triggered_only and run.strategy != "triggered":
            return Verdict(
                "MinLift", True, f"not asked of a {run.strategy} run", _numbers(candidate, champion)
            )
        lift = _lift(candidate, champion)
        numbers = _numbers(candidate, champion) | {"lift": lift, "demanded": self.lift}
        if lift is None:
            return Verdict("MinLift", False, "the metric cannot be computed on the judging rows", numbers)
        if lift > self.lift:
            return Verdict(
                "MinLift", True, f"better by {lift:.4f}, demanded more than {self.lift:g}", numbers
            )
        why = f"worse by {-lift:.4f}" if lift < 0 else f"improvement {lift:.4f} below threshold {self.lift:g}"
        return Verdict("MinLift", False, why, numbers)


@dataclass(frozen=True, slots=True)
class RelativeTo:
    """The metric must reach a share of the champion's on the same rows (row 57): `RelativeTo(0.99)`.

    Where lower is better the champion's value divided by the share is the ceiling. Below zero, as r2 or a Sharpe
    ratio may be, the same share of its size is allowed for.
    """

    share: float = 0.99

    def __post_init__(self) -> None:
        instead = "give a share above 0, e.g. 0.99"
        if not finite("share", self.share, instead) > 0:
            raise DeclarationError("share", self.share, instead)

    def __call__(self, candidate: Scores, champion: Scores | None, rows: Frame, run: Run) -> Verdict:
        if champion is None:
            return _first("RelativeTo", candidate)
        numbers = _numbers(candidate, champion) | {"share": self.share}
        if candidate.metric is None or champion.metric is None:
            return Verdict("RelativeTo", False, "the metric cannot be computed on the judging rows", numbers)
        if candidate.higher_is_better:
            demanded = champion.metric - (1 - self.share) * abs(champion.metric)
            passed = candidate.metric >= demanded
        else:
            demanded = champion.metric + (1 / self.share - 1) * abs(champion.metric)
            passed = candidate.metric <= demanded
        reason = f"candidate {candidate.metric:.4f}, champion {champion.metric:.4f}, demanded {demanded:.4f}"
        return Verdict("RelativeTo", passed, reason, numbers | {"demanded": demanded})


def _first(gate: str, candidate: Scores) -> Verdict:
    return Verdict(
        gate, True, "first model: there is no champion to compare with", {"candidate_loss": candidate.loss}
    )


def _lift(candidate: Scores, champion: Scores) -> float | None:
    if candidate.metric is None or champion.metric is None:
        return None
    difference = candidate.metric - champion.metric
    return difference if candidate.higher_is_better else -difference


def _numbers(candidate: Scores, champion: Scores) -> dict[str, Any]:
    return {
        "candidate_loss": candidate.loss,
        "champion_loss": champion.loss,
        "candidate_metric": candidate.metric,
        "champion_metric": champion.metric,
    }

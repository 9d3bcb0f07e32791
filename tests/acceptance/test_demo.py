"""`rekindle demo`: the promised keys, an arithmetic that can be recomputed, and the same replay each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from rekindle.app.cli import build
from rekindle.app.cli.ending import run_to_exit_code
from rekindle.app.demo.play import HISTORY, Played, play, prepare
from rekindle.app.demo.screen import as_json
from rekindle.app.demo.streams import credit, sp500

WHOLE = {"stream", "batches", "decisions", "runs", "retrains", "mean_loss", "cost", "baselines"}
DECISION = {"batch", "decision", "rule", "reason", "expected_saving", "price"}
RUN = {"run", "outcome", "window", "rows", "candidate_loss", "champion_loss", "verdicts"}
BASELINE = {"cost", "mean_loss", "retrains"}
PRICE = 0.02


def arithmetic_holds(told: dict[str, Any]) -> None:
    served = told["batches"] - HISTORY
    assert set(told) == WHOLE
    assert [set(d) for d in told["decisions"]] == [DECISION] * (served - 1)
    assert [d["batch"] for d in told["decisions"]] == list(range(HISTORY, told["batches"] - 1))
    assert {d["decision"] for d in told["decisions"]} <= {"retrain", "wait", "recall", "escalate"}
    assert {d["price"] for d in told["decisions"]} == {PRICE}
    assert all(d["expected_saving"] is None or np.isfinite(d["expected_saving"]) for d in told["decisions"])
    assert all(d["reason"] and d["rule"] for d in told["decisions"])
    assert [set(r) for r in told["runs"]] == [RUN] * told["retrains"]
    assert {r["outcome"] for r in told["runs"]} <= {"PROMOTED", "KEPT_CHAMPION", "ERROR"}
    assert sum(d["decision"] == "retrain" for d in told["decisions"]) == told["retrains"]
    assert told["cost"] == pytest.approx(told["mean_loss"] * served + PRICE * told["retrains"])
    assert set(told["baselines"]) == {"never", "always"}
    for baseline in told["baselines"].values():
        assert set(baseline) == BASELINE
        assert baseline["cost"] == pytest.approx(
            baseline["mean_loss"] * served + PRICE * baseline["retrains"]
        )
    assert told["baselines"]["never"]["retrains"] == 0
    assert told["baselines"]["always"]["retrains"] == served - 1


def without_ids(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "runs": [{k: v for k, v in run.items() if k != "run"} for run in told["runs"]]}


@pytest.fixture(scope="module")
def played() -> Played:
    return play(prepare(credit()))


def test_the_default_demo_tells_what_it_promises(played: Played) -> None:
    told = json.loads(json.dumps(as_json(played), allow_nan=False))
    assert told["stream"] == "credit"
    assert told["batches"] == 48
    assert len(told["decisions"]) == 39
    arithmetic_holds(told)
    assert told["retrains"] >= 1
    assert any(r["outcome"] == "PROMOTED" for r in told["runs"])
    assert told["cost"] < told["baselines"]["never"]["cost"]
    assert all(r["window"]["rule"] == "weighted" for r in told["runs"])


def test_each_batch_costs_what_its_champion_lost(played: Played) -> None:
    assert sorted(played.losses) == list(range(HISTORY, 48))
    assert played.cost == pytest.approx(sum(played.losses.values()) + PRICE * len(played.runs))
    assert {run.batch for run in played.runs} == {
        d.batch for d in played.decisions if d.action.value == "retrain"
    }


def test_the_champion_of_before_a_training_is_the_one_that_lost(played: Played) -> None:
    """A batch that starts a run is paid for with the model that served it, not with the one trained on it."""
    for run in played.runs:
        judged = run.metadata["judged"]
        if judged == [run.batch]:
            assert played.losses[run.batch] == pytest.approx(run.metadata["champion_loss"])


def test_the_same_stream_is_replayed_alike() -> None:
    one, two = (as_json(play(prepare(credit(), 14))) for _ in range(2))
    assert without_ids(one) == without_ids(two)
    arithmetic_holds(one)


def test_the_sp500_stream_reads_directional_accuracy_and_scores_nobody_on_his_own_rows() -> None:
    pytest.importorskip("river")
    prepared = prepare(sp500(), 20)
    assert prepared.loop.metric is not None
    assert prepared.loop.metric.name == "directional_accuracy"
    result = play(prepared)
    arithmetic_holds(as_json(result))
    assert sorted(result.losses) == list(range(HISTORY, 20))
    # One label of each batch comes a day late: scoring it again must not take the model that was fitted on it.
    for run in result.runs:
        if run.outcome == "PROMOTED" and run.metadata["judged"] == [run.batch]:
            rows = run.metadata["rows"]
            assert rows
            assert result.losses[run.batch] == pytest.approx(run.metadata["champion_loss"], abs=0.02)


@pytest.fixture
def own(tmp_path: Path, stream_frame: Callable[..., pd.DataFrame]) -> Path:
    frame = stream_frame(720, drift=1.0).drop(columns="colour")
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    return path


def demo(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    code = run_to_exit_code(build, ["demo", *words])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def test_the_baselines_can_be_recomputed_with_scikit_learn_alone(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(
        demo(capsys, "--data", str(own), "--time", "t", "--label", "label", "--batches", "12", "--json")
    )
    arithmetic_holds(told)
    frame = pd.read_csv(own)
    batch = frame["t"].to_numpy() // 60
    features, label = frame[["x0", "x1"]], frame["label"].to_numpy()

    def fitted(newest: int) -> Any:
        seen = batch <= newest
        model = HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=0)
        return model.fit(features[seen], label[seen], sample_weight=0.5 ** ((newest - batch[seen]) / 6))

    def lost(model: Any, seq: int) -> float:
        return float((model.predict(features[batch == seq]) != label[batch == seq]).mean())

    never = [lost(fitted(HISTORY - 1), seq) for seq in range(HISTORY, 12)]
    always = [lost(fitted(seq - 1), seq) for seq in range(HISTORY, 12)]
    assert told["baselines"]["never"]["mean_loss"] == pytest.approx(np.mean(never))
    assert told["baselines"]["always"]["mean_loss"] == pytest.approx(np.mean(always))


def test_what_people_see(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = demo(capsys, "--data", str(own), "--time", "t", "--label", "label", "--batches", "12")
    for words in ("classification of 'label'", "features", "batch   8", "what it came to", "never", "always",
                  "rekindle trained",
                  "cost = sum of the batches' mean losses"):  # fmt: skip
        assert words in out, words
    assert "\x1b[" not in out  # no colours where nobody looks at a terminal


PUBLIC = {"elec": ("t", "label"), "bike_hourly": ("time", "cnt"), "noaa_weather": ("t", "label")}


@pytest.mark.slow
@pytest.mark.shared
def test_the_public_streams_keep_the_bounds(
    public_stream: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = set()
    for name, (time, label) in PUBLIC.items():
        path = public_stream(name)
        told = json.loads(demo(capsys, "--data", str(path), "--time", time, "--label", label, "--json"))
        arithmetic_holds(told)
        assert told["batches"] == 48
        assert told["retrains"] >= 1
        costs = [baseline["cost"] for baseline in told["baselines"].values()]
        assert told["cost"] <= 1.08 * min(costs), (name, told["cost"], costs)
        if name == "noaa_weather":
            assert told["cost"] < min(costs)
        outcomes |= {r["outcome"] for r in told["runs"]}
    assert {"PROMOTED", "KEPT_CHAMPION"} <= outcomes

"""The command line as a new user types it: in a fresh folder, from `init` to `rollback`, with its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from rekindle.app.cli import COMMANDS, build
from rekindle.app.cli.ending import run_to_exit_code

Rows = Callable[..., pd.DataFrame]
LOOPS = """
from pathlib import Path
from sklearn.linear_model import LogisticRegression
import rekindle as rk

def loops():
    for name in ("eu-north", "eu-south", "us"):
        yield rk.Loop(name, rk.Parquet("rows.parquet", time="t", label="label"),
                      rk.Estimator(LogisticRegression()), every=100)
"""

DECISION = {"id", "loop", "batch", "at", "decision", "rule", "reason", "expected_saving", "price", "would_change",
            "priority", "evidence", "signals", "run"}  # fmt: skip
RUN = {"run", "loop", "state", "outcome", "cause", "strategy", "trigger", "batch", "created_at", "finished_at",
       "version", "window", "rows", "candidate_loss", "champion_loss", "candidate_metric", "champion_metric",
       "verdicts", "cpu_seconds"}  # fmt: skip
STATUS = {"loop", "health", "paused", "act", "champion", "champion_since", "age_batches", "newest_loss",
          "last_decision", "open_run", "next"}  # fmt: skip
VERSION = {"loop", "number", "version", "alias", "created_at", "run", "rows", "metric", "candidate_metric",
           "champion_metric", "folder"}  # fmt: skip
CHECK = {"loop", "retrain_advised", "decision", "batches_due", "changed", "notes", "next", "error"}
TICK = {"loop", "outcome", "decisions", "run", "next", "error"}


class Shell:
    """A fresh folder in which rekindle commands are typed."""

    def __init__(self, folder: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.frame, self._capsys = folder, frame, capsys

    def rows(self, count: int) -> None:
        frame = self.frame.head(count)
        assert len(frame) == count
        duckdb.sql("SELECT * FROM frame").write_parquet(str(self.folder / "part"))
        (self.folder / "part").replace(self.folder / "rows.parquet")

    def __call__(self, line: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._capsys.readouterr()
        words = [w.replace("~", " ") for w in line.split()]
        code = run_to_exit_code(build, words[1:])
        return code, *self._capsys.readouterr()

    def json(self, line: str) -> Any:
        code, out, err = self(line + " --json")
        assert code in (0, 10), err
        assert err == ""
        return json.loads(out)


@pytest.fixture
def shell(
    tmp_path: Path, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    for name in [n for n in os.environ if n.startswith("REKINDLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, stream_frame(1200, drift=1.0), capsys)


def test_a_new_user_from_init_to_rollback(shell: Shell) -> None:
    shell.rows(960)
    code, out, _ = shell("rekindle init churn --data rows.parquet --time t --label label")
    assert code == 0
    assert "960 rows, classification of 'label'" in out
    assert "rekindle check" in out
    loops = (shell.folder / "loops.py").read_text()
    (shell.folder / "loops.py").write_text(
        loops.replace("every=20,", "every=240, guards=[],").replace(
            "Classifier())", "Classifier(max_iter=5))"
        )
    )
    code, out, err = shell("rekindle check")
    assert (code, err) == (10, "")
    assert "there is no champion yet" in out
    assert "no price was stated" in out
    assert not (shell.folder / ".rekindle" / "models").exists()
    code, out, err = shell("rekindle tick")
    assert (code, err) == (0, "")
    assert "churn: PROMOTED" in out
    assert shell("rekindle check")[0] == 0
    code, out, _ = shell("rekindle status")
    assert code == 0
    assert "churn" in out
    assert "v1" in out
    assert "FirstModel" in shell("rekindle decisions churn")[1]
    shell.rows(1200)
    code, out, err = shell("rekindle retrain churn --reason I~said~so")
    assert (code, err) == (0, "")
    assert "manual: I said so" in out
    code, out, err = shell("rekindle tick")
    assert (code, err) == (0, ""), out
    assert "batch 4" in out
    if "v2" in shell("rekindle versions")[1]:
        code, out, _ = shell("rekindle rollback churn --reason odd")
        assert code == 0
        assert "v1 is champion again" in out
    assert shell("rekindle pause churn")[0] == 0
    code, out, _ = shell("rekindle tick")
    assert code == 0
    assert "paused" in out
    assert shell("rekindle resume churn")[0] == 0
    for command in ("status", "decisions", "runs", "versions", "config show"):
        code, out, err = shell(f"rekindle {command}")
        assert (code, err) == (0, "")
        assert out.strip()


def test_every_reading_command_prints_json_with_stable_keys(shell: Shell) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    (checked,) = shell.json("rekindle check loops.py:us")
    assert set(checked) == CHECK
    assert set(checked["decision"]) == DECISION
    assert checked["retrain_advised"] is True
    (ticked,) = shell.json("rekindle tick loops.py:us")
    assert set(ticked) == TICK
    assert [set(d) for d in ticked["decisions"]] == [DECISION]
    assert set(ticked["run"]) == RUN
    assert ticked["outcome"] == ticked["run"]["outcome"] == "PROMOTED"
    (status,) = shell.json("rekindle status us")
    assert set(status) == STATUS
    assert [set(d) for d in shell.json("rekindle decisions us")] == [DECISION]
    assert [set(r) for r in shell.json("rekindle runs us")] == [RUN]
    (version,) = shell.json("rekindle versions us")
    assert set(version) == VERSION
    assert version["alias"] == "champion"
    settings = shell.json("rekindle config show")
    assert {"setting", "value", "from"} == set(settings[0])
    (idle,) = shell.json("rekindle tick us")
    assert (idle["outcome"], idle["decisions"], idle["run"]) == ("NO_CHANGE", [], None)
    assert "index 899" in idle["next"]


def test_globs_reach_a_fleet_and_one_broken_loop_does_not_stop_the_others(shell: Shell) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    assert {c["loop"] for c in shell.json("rekindle check eu-*")} == {"eu-north", "eu-south"}
    assert {c["loop"] for c in shell.json("rekindle check loops.py:eu-*")} == {"eu-north", "eu-south"}
    assert {s["loop"] for s in shell.json("rekindle status")} == {"eu-north", "eu-south", "us"}
    assert shell("rekindle pause eu-*")[0] == 0
    assert {s["loop"]: s["paused"] for s in shell.json("rekindle status *")} == {
        "eu-north": True, "eu-south": True, "us": False,
    }  # fmt: skip
    (shell.folder / "loops.py").write_text(
        LOOPS.replace('"rows.parquet"', '"rows.parquet" if name != "us" else "gone.parquet"')
    )
    code, out, _ = shell("rekindle check --json")
    assert code == 1
    told = {c["loop"]: c for c in json.loads(out)}
    assert "gone.parquet" in told["us"]["error"]
    assert told["eu-north"]["error"] == ""
    assert told["eu-north"]["decision"] is not None


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("rekindle nonsense", 2, "nonsense"),
        ("rekindle tick --nonsense", 2, "nonsense"),
        ("rekindle retrain us", 2, "reason"),
        ("rekindle retrain us --reason ~", 2, "reason"),
        ("rekindle check uss", 2, "Did you mean 'us'?"),
        ("rekindle check loops.py:uss", 2, "Did you mean 'us'?"),
        ("rekindle check nowhere.py", 1, "rekindle init"),
        ("rekindle approve run-x", 2, "no run named 'run-x'"),
        ("rekindle reject run-x --reason no", 2, "no run named 'run-x'"),
        ("rekindle rollback us", 2, "previous"),
        ("rekindle init us", 2, "exists"),
        ("rekindle init u/s --file other.py", 2, "letters"),
        ("rekindle adopt us --model gone.joblib", 1, "no model file"),
        ("rekindle demo --data gone.parquet", 2, "--time"),
        ("rekindle demo --data gone.parquet --time t --label y", 1, "gone.parquet"),
        ("rekindle demo --stream sp50", 2, "Did you mean 'sp500'?"),
        ("rekindle status --home /proc/nowhere", 1, "--home"),
    ],
)
def test_mistakes_end_with_a_sentence_and_a_code(line: str, code: int, told: str, shell: Shell) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    found, out, err = shell(line)
    assert found == code, err
    assert told in " ".join((out + err).split())
    assert "Traceback" not in out + err
    assert "defect of rekindle" not in err


def test_without_anything_here_the_first_step_is_named(shell: Shell) -> None:
    code, _, err = shell("rekindle status")
    assert code == 1
    assert "rekindle init" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import rekindle as rk\nrk.Loop('a')\n", "TypeError"),
        ("1 / 0\n", "loops.py:1"),
        ("this is no Python\n", "SyntaxError"),
        ("x = 1\n", "it holds no Loop"),
    ],
)
def test_a_loops_file_with_a_mistake_is_a_usage_error(text: str, told: str, shell: Shell) -> None:
    (shell.folder / "loops.py").write_text(text)
    code, _, err = shell("rekindle check")
    assert code == 2
    assert told in err


def test_a_failed_training_exits_with_1_and_names_its_log(shell: Shell) -> None:
    shell.rows(800)
    failing = LOOPS.replace("import rekindle as rk", FAILING)
    (shell.folder / "loops.py").write_text(failing.replace("LogisticRegression())", "Fails())"))
    code, out, _ = shell("rekindle tick loops.py:us")
    assert code == 1
    assert "us: ERROR" in out
    assert "my own mistake" in out
    assert "log.txt" in out
    assert shell.json("rekindle runs us")[0]["outcome"] == "ERROR"


FAILING = """import rekindle as rk

class Fails(LogisticRegression):
    def fit(self, *given, **more):
        raise RuntimeError("my own mistake")
"""


def test_config_show_names_the_origin_of_every_setting(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.folder / "pyproject.toml").write_text(
        '[tool.rekindle]\npoll_seconds = 5\nthreads = 2\nhome = "one"\n'
    )
    monkeypatch.setenv("REKINDLE_THREADS", "3")
    monkeypatch.setenv("REKINDLE_HOME", "two")
    found = {s["setting"]: (s["value"], s["from"]) for s in shell.json("rekindle config show --home three")}
    assert found["poll_seconds"] == ("5.0", f"{shell.folder / 'pyproject.toml'}, [tool.rekindle]")
    assert found["threads"] == ("3", "REKINDLE_THREADS")
    assert found["home"] == ("three", "flag --home")
    assert found["train_seconds"][1] == "default"


def test_every_command_has_its_help(shell: Shell) -> None:
    code, out, _ = shell("rekindle --help")
    assert code == 0
    for name in (*COMMANDS, "config"):
        assert name in out
        if name != "config":
            code, about, _ = shell(f"rekindle {name} --help")
            assert code == 0
            assert "Usage" in about


def rekindle(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REKINDLE_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    code = "from rekindle.app.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )  # fmt: skip


def test_the_real_command_exits_with_these_codes(shell: Shell) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    assert rekindle(shell.folder, "check", "loops.py:us").returncode == 10
    assert rekindle(shell.folder, "check", "nobody").returncode == 2
    assert rekindle(shell.folder, "--version").stdout.strip()
    (shell.folder / "rows.parquet").unlink()
    gone = rekindle(shell.folder, "check", "loops.py:us")
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: no file matches 'rows.parquet'")
    assert "Traceback" not in gone.stderr


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    piped = f"{sys.executable} -c 'from rekindle.app.cli import main; main()' status --json | head -c 1"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        piped, shell=True, cwd=shell.folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "["
    assert done.stderr == ""


def test_a_name_is_found_in_loops_py_of_this_folder_and_in_the_home(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.rows(800)
    (shell.folder / "loops.py").write_text(LOOPS)
    assert shell("rekindle check us")[0] == 10  # the home has never met it
    monkeypatch.chdir(shell.folder.parent)
    home = f"--home {shell.folder / '.rekindle'}"
    assert {s["loop"] for s in shell.json(f"rekindle status eu-* {home}")} == {"eu-north", "eu-south"}
    (shell.folder / "loops.py").write_text(LOOPS.replace('"us"', '"usa"'))
    code, _, err = shell(f"rekindle status us {home}")
    assert code == 1
    assert "no longer holds the loop 'us'" in err

"""README and docs are true: every block runs, every output is as it stands, and so is the demo's closing table."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document() -> ModuleType:
    """scripts/document.py, which also renews the docs."""
    spec = importlib.util.spec_from_file_location("document", ROOT / "scripts" / "document.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["document"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/tutorial.md", "docs/howto.md", "docs/extending.md", "docs/explanation.md"],
)
def test_every_block_runs_and_prints_what_the_page_says(document, name, tmp_path):
    text = (ROOT / name).read_text()
    assert document.masked(document.played(text, tmp_path)) == document.masked(text), (
        f"{name} is stale: run scripts/docs"
    )


@pytest.mark.slow
def test_the_readme_shows_the_real_output_of_the_demo(document):
    shown = document.DEMO.search((ROOT / "README.md").read_text())
    assert shown is not None
    assert document.closing(document.demo_output()) == document.closing(shown[2]), (
        "run scripts/docs README.md"
    )


def test_a_wrong_output_and_a_failing_command_are_noticed(document, tmp_path):
    wrong = "```python\nprint(1 + 1)\n```\n```text\n3\n```\n"
    assert document.masked(document.played(wrong, tmp_path)) != document.masked(wrong)
    with pytest.raises(AssertionError, match="ended with 3"):
        document.played("```sh\nexit 3\n```\n", tmp_path)


def test_blocks_leave_nothing_behind(document, tmp_path):
    before = Path.cwd(), list(sys.path)
    document.played(
        "```python\n# mine.py\nx = 1\n```\n```python\nimport mine\nprint(mine.x)\n```\n", tmp_path
    )
    assert (Path.cwd(), list(sys.path)) == before
    assert "mine" not in sys.modules


def test_the_two_commands_of_the_readme_are_in_the_makefile():
    text, made = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)", text, re.M)
    assert commands[:2] == ["demo", "test"]
    assert all(re.search(rf"^{name}:", made, re.M) for name in commands)

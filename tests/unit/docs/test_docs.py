"""The docs name what exists: reference, links, words, the checklist's tests, commands and settings."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import rekindle
from rekindle.app.cli import COMMANDS
from rekindle.app.config import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
]
FORBIDDEN = ("manager", "handler", "helper", "processor", "util")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_the_reference_is_fresh():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from reference import reference
    finally:
        sys.path.pop(0)
    assert (ROOT / "docs" / "reference.md").read_text() == reference(), "run scripts/docs docs/reference.md"


def test_the_reference_names_every_command_setting_and_public_name():
    text = (ROOT / "docs" / "reference.md").read_text()
    assert [c for c in COMMANDS if f"`rekindle {c}" not in text] == []
    assert [f.name for f in fields(Settings) if f"| `{f.name}` |" not in text] == []
    assert [n for n in rekindle.__all__ if n != "__version__" and f"`rk.{n}" not in text] == []


def test_commands_and_options_in_the_docs_exist():
    from rekindle.app.cli import build

    app = build()
    said = [line for page in PAGES for line in _commands(page.read_text())]
    assert said
    for line in said:
        words = line.split()
        command = app[words[0]] if words[0] in [*COMMANDS, "config"] else None
        assert command is not None, f"`rekindle {line}`: no such command"
        if words[0] == "config":
            continue
        known = {n for a in command.assemble_argument_collection() for n in a.names} | {"--help"}
        assert {w.split("=")[0] for w in words if w.startswith("--")} <= known, f"`rekindle {line}`"


def _commands(text: str) -> list[str]:
    """What follows `rekindle` in blocks of commands and in code within sentences."""
    blocks = "\n".join(re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.M | re.S))
    return re.findall(r"^(?:\$ )?rekindle (.+)$", blocks, re.M) + re.findall(r"`rekindle (\w[^`\n]*)`", text)


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda p: p.name if p.parent.name != "benchmarks" else "benchmarks"
)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in _anchors(target.read_text()), f"{page.name} links to {link}"


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_no_name_in_src_is_a_drawer():
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        names = [path.stem]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
        found += [f"{path.name}: {name}" for name in names if any(word in name.lower() for word in FORBIDDEN)]
    assert found == []


def test_the_glossary_is_in_order_and_says_each_word_once():
    words = re.findall(r"^\| ([a-z][\w -]*) \|", (ROOT / "docs" / "glossary.md").read_text(), re.M)[1:]
    assert words == sorted(set(words))
    for word in (
        "observation",
        "label delay",
        "signal",
        "decision",
        "price",
        "snapshot",
        "champion",
        "twin",
        "verdict",
    ):
        assert word in words


def _rows() -> dict[int, list[str]]:
    lines = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs" / "checklist.md").read_text(), re.M)
    return {int(number): [cell.strip() for cell in rest.split(" | ")] for number, rest in lines}


def test_the_checklist_has_every_row():
    assert sorted(_rows()) == list(range(1, 90))


def test_every_test_the_checklist_names_exists():
    lacking = []
    for number, cells in _rows().items():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+(?:::\w+)?)`", cells[-1])
        if not named and "later" not in cells[-1]:
            lacking.append(f"row {number} names no test")
        for file, test in named:
            path = ROOT / file
            wanted = test.split("::")[-1]
            if not path.is_file() or not re.search(rf"def {wanted}\b|class {wanted}\b", path.read_text()):
                lacking.append(f"row {number}: {file}::{test}")
    assert lacking == []


def test_the_changelog_begins_with_unreleased():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "[Unreleased]"


def test_the_docs_name_nothing_of_one_machine():
    for page in PAGES:
        assert not re.search(r"/work/|/root/|\bshared bench\b", page.read_text()), page.name

"""The docs keep themselves true: their blocks are run, their outputs renewed, the reference is generated.

    scripts/docs            renew README.md, docs/*.md and docs/reference.md
    scripts/docs --check    say which of them are stale; exit 1

In a document, ```python blocks are executed (or, when the first line is `# name.py`, written to that file), a ```text
block right behind one is what it printed; ```console blocks hold `$ ` commands with their output, ```sh blocks
commands alone. A command that is meant to fail says `# exit 1`. All of it happens in a scratch folder.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLACE = "/home/ada/models"  # what the scratch folder is called in the docs
PLAYED = ("README.md", "docs/tutorial.md", "docs/howto.md", "docs/extending.md", "docs/explanation.md")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
NOT_RUN = ("make ", "pip ", "git ", "#", "kill ", "systemctl ")  # what a reader does to the machine itself
DEMO = re.compile(r"(<!-- demo: begin -->\n```text\n)(.*?)(```\n<!-- demo: end -->)", re.S)
MASKS = (
    (re.compile(r"\b(run|dec|cmd|adopted)-[0-9a-z]{26}\b"), r"\1-ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00)?"), "TIME"),
    (re.compile(r"[─━┄]+"), "-"),
    (re.compile(r"\s+"), " "),  # sentences wrap by the length of the folder's name
)


@dataclass
class Play:
    """One document played from top to bottom in a folder of its own."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str = ""  # by the newest python block
    run: str = ""  # the run named last

    def block(self, language: str, body: str, behind_python: bool) -> str:
        """Carry one block out; its body with the outputs it has now."""
        if language == "python":
            self.printed = self._python(body)
        elif language == "text" and behind_python:
            return self.printed
        elif language == "console":
            return self._console(body)
        elif language == "sh":
            for line in filter(None, body.splitlines()):
                self._command(line)
        return body

    def _python(self, body: str) -> str:
        first = body.splitlines()[0]
        if re.fullmatch(r"# [\w/]+\.py", first):
            (self.folder / first[2:]).write_text(body)
            return ""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(body, "<docs>", "exec"), self.names)  # noqa: S102 - our own documents
        return self._placed(out.getvalue())

    def _console(self, body: str) -> str:
        commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
        return "".join(f"$ {line}\n{self._command(line)}" for line in commands)

    def _command(self, line: str) -> str:
        if line.startswith(NOT_RUN):
            return ""
        bare, _, note = line.partition("  # ")
        expected = {int(note.removeprefix("exit "))} if note.startswith("exit ") else {0}
        if line.startswith("export "):
            name, _, value = bare.removeprefix("export ").partition("=")
            os.environ[name] = shlex.split(value)[0]
            return ""
        if bare == "rekindle up":
            return self._placed(_up())
        if bare.startswith("rekindle "):
            code, text = _rekindle([self.run if word == "RUN" else word for word in shlex.split(bare)[1:]])
        else:
            done = subprocess.run(bare, shell=True, capture_output=True, text=True, check=False)
            code, text = done.returncode, done.stdout + done.stderr
        if code not in expected:
            raise AssertionError(f"`{line}` ended with {code}, expected {expected}:\n{text}")
        self.run = (re.findall(r"run-[0-9a-z]{26}", text) or [self.run])[-1]
        return self._placed(text)

    def _placed(self, text: str) -> str:
        return re.sub(r"[ \t]+$", "", text.replace(str(self.folder), PLACE), flags=re.M)


def _rekindle(arguments: list[str]) -> tuple[int, str]:
    """One command in this process: the imports are paid once."""
    from rekindle.app.cli import build
    from rekindle.app.cli.ending import run_to_exit_code

    out, listening = io.StringIO(), logging.root.handlers
    logging.root.handlers = []  # a test runner listens to the log; a terminal does not
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = run_to_exit_code(build, arguments)
    finally:
        logging.root.handlers = listening
    return code, out.getvalue()


def _up() -> str:
    """`rekindle up` until it has looked once, then SIGTERM as a service would send it."""
    command = [sys.executable, "-c", "from rekindle.app.cli import main; main(['up'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        text = first + process.stdout.read()
    if process.returncode:
        raise AssertionError(f"`rekindle up` ended with {process.returncode}:\n{text}")
    return text


@contextlib.contextmanager
def _one_nursery() -> Iterator[None]:
    """All homes of a document share one nursery: starting one costs a second each."""
    import rekindle.app.home as home
    from rekindle.engine.nursery import Nursery

    with Nursery() as nursery:
        nursery_close, nursery.close = nursery.close, lambda: None  # type: ignore[method-assign]
        home.Nursery = lambda: nursery  # type: ignore[assignment,misc]
        try:
            yield
        finally:
            home.Nursery = Nursery  # type: ignore[misc]
            nursery.close = nursery_close  # type: ignore[method-assign]


def played(text: str, folder: Path) -> str:
    """The document with every block carried out and every output as it is now."""
    play, behind, parts, at = Play(folder), False, [], 0
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        with _one_nursery():
            for fence in FENCE.finditer(text):
                gap = text[at : fence.start()]
                behind = behind and not gap.strip()
                body = play.block(fence[1], fence[2], behind)
                parts += [
                    gap,
                    f"```{fence[1]}\n{body if not body or body.endswith(chr(10)) else body + chr(10)}```",
                ]
                behind, at = fence[1] == "python", fence.end()
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        for name in [
            n for n, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith(str(folder))
        ]:
            del sys.modules[name]
        os.environ.clear()
        os.environ.update(environment)
    return "".join([*parts, text[at:]])


def masked(text: str) -> str:
    """What must be the same each time: without ids, times and the widths they cause."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def demo_output() -> str:
    """What `rekindle demo` prints where nobody looks at a terminal."""
    code, text = _rekindle(["demo"])
    assert code == 0, text
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


def with_demo(text: str, output: str) -> str:
    """The README with this output of the demo between its markers."""
    return DEMO.sub(lambda found: found[1] + output + found[3], text)


def closing(text: str) -> str:
    """The closing table and sentence of a demo."""
    start = text.index("what it came to")
    return masked(text[start : text.index("\nruns:", start)])


def main(arguments: list[str]) -> int:
    """Renew all documents; with --check only tell which are stale."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from reference import reference

    checking, stale = "--check" in arguments, []
    wanted = [a for a in arguments if not a.startswith("-")]
    for name in [n for n in (*PLAYED, "docs/reference.md") if not wanted or n in wanted]:
        path = ROOT / name
        old = path.read_text() if path.exists() else ""
        if name.endswith("reference.md"):
            new = reference()
        else:
            with tempfile.TemporaryDirectory(prefix="rekindle-docs-") as folder:
                new = played(old, Path(folder).resolve())
            if name == "README.md" and not checking:
                new = with_demo(new, demo_output())
        if masked(old) == masked(new):
            continue
        stale.append(name)
        if not checking:
            path.write_text(new)
    print(
        "\n".join(f"{'stale' if checking else 'renewed'}: {name}" for name in stale) or "docs: all are fresh"
    )
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

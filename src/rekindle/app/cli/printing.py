"""What commands print: JSON, tables, and sentences; plain where nobody looks at a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00")  # shown to the second, in UTC

__all__ = ["ACTION_STYLE", "console", "print_json", "print_table", "said"]

ACTION_STYLE = {"retrain": "bold green", "wait": "dim", "recall": "bold cyan", "escalate": "bold red"}


def console() -> Console:
    """Standard output; wide enough for sentences when it is no terminal."""
    made = Console(highlight=False, soft_wrap=False)
    if not made.is_terminal:
        made = Console(highlight=False, width=140)
    return made


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=1, default=str, allow_nan=False))  # noqa: T201


def print_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Rows as a table; `columns` maps keys to headings."""
    out = console()
    if not rows:
        out.print(f"{title}: none yet")
        return
    table = Table(title=title, title_justify="left", show_lines=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold", no_wrap=heading == "run")  # ids are copied from here
    for row in rows:
        table.add_row(*(_cell(key, row.get(key)) for key in columns))
    out.print(table)


def said(line: str, style: str = "") -> None:
    """One sentence."""
    console().print(Text(line, style=style))


def _cell(key: str, value: Any) -> Text:
    if value is None or value == "":
        return Text("-", style="dim")
    if isinstance(value, str) and (stamp := STAMP.fullmatch(value)):
        return Text(f"{stamp[1]} {stamp[2]}")
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    return Text(str(value), style=ACTION_STYLE.get(str(value), ""))

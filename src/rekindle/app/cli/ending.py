"""How a command ends: an exit code, and for a mistake one clear line instead of a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["run_to_exit_code"]


def run_to_exit_code(build: Callable[[], App], arguments: list[str] | None) -> int:
    """Run the application; every error becomes a line on stderr and a code."""
    from cyclopts import CycloptsError

    try:
        result = build()(arguments, exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except CycloptsError:
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: `| head`
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except Exception as error:  # noqa: BLE001 - the last line of defence of a command
        return _tell(error)


def _tell(error: Exception) -> int:
    from rekindle.errors import ConfigError, DeclarationError, RekindleError, UnknownName

    if isinstance(error, RekindleError):
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, (ConfigError, DeclarationError, UnknownName)) else 1
    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    print(f"This is a defect of rekindle; the trace is in {_keep_trace(error)}", file=sys.stderr)  # noqa: T201
    return 1


def _keep_trace(error: Exception) -> str:
    try:
        handle, path = tempfile.mkstemp(prefix="rekindle-trace-", suffix=".txt")
        os.close(handle)
        Path(path).write_text("".join(traceback.format_exception(error)))
    except OSError:
        return "nowhere: it could not be written"
    return path

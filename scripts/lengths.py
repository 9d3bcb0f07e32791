"""Files over 350 lines and functions over 50 lines fail; so do files named like a drawer."""

import ast
import sys
from pathlib import Path

FILE, FUNCTION = 350, 50
DRAWERS = ("util", "helper", "manager", "handler", "processor", "misc", "common")


def main() -> int:
    """Print every offence; 1 if there is one."""
    offences = []
    for path in sorted(Path("src").rglob("*.py")):
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE:
            offences.append(f"{path}: {lines} lines, at most {FILE}")
        if any(word in path.stem for word in DRAWERS):
            offences.append(f"{path}: named like a drawer; say what is in it")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION:
                    offences.append(f"{path}:{node.lineno} {node.name}: {size} lines, at most {FUNCTION}")
    print("\n".join(offences) or "lengths: all files and functions are short enough")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())

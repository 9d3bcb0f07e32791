"""Three public drifting streams, replayed by `rekindle demo --data`: what rekindle costs against never and always.

    python benchmarks/streams.py [FOLDER]

FOLDER holds elec.parquet, bike_hourly.parquet and noaa_weather.parquet (default: ../shared/data beside the project).
Without them it says so and does nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from report import ROOT, Measure, load, progress, publish

STREAMS = {"elec": ("t", "label"), "bike_hourly": ("time", "cnt"), "noaa_weather": ("t", "label")}
GOAL = 1.08  # of the cheaper baseline


def replay(path: Path, at: str, label: str) -> tuple[dict, float]:  # type: ignore[type-arg]
    """The result of one replay, and its seconds."""
    rekindle = str(Path(sys.executable).parent / "rekindle")
    command = [rekindle, "demo", "--data", str(path), "--time", at, "--label", label, "--json"]
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout), time.perf_counter() - begun


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data"
    missing = [name for name in STREAMS if not (folder / f"{name}.parquet").is_file()]
    if missing:
        return progress(f"skipped: {', '.join(missing)} not in {folder}")
    before, measures, lines = load(), [], []
    for name, (at, label) in STREAMS.items():
        told, seconds = replay(folder / f"{name}.parquet", at, label)
        base = told["baselines"]
        cheaper = min(base, key=lambda n: base[n]["cost"])
        ratio = told["cost"] / base[cheaper]["cost"]
        ends = Counter(run["outcome"] for run in told["runs"])
        measures.append(Measure(f"{name}: cost against the cheaper baseline ({cheaper})", [ratio], "x", GOAL))
        shown = ", ".join(f"{count} {word}" for word, count in sorted(ends.items())) or "none"
        lines.append(
            f"| {name} | {told['cost']:.3f} | {base['never']['cost']:.3f} | {base['always']['cost']:.3f} | {ratio:.3f} "
            f"| {told['mean_loss']:.4f} | {told['retrains']} | {shown} | {seconds:.0f} |"
        )
        progress(lines[-1])
    table = (
        "| stream | cost | never | always | ratio | mean loss | trainings | runs | s |\n|" + 9 * "---|" + "\n"
    )
    about = "Cost = sum of the batches' mean losses + 0.02 for every training, over 40 batches after 8 of history."
    publish("streams", "Public streams", about, measures, before, table + "\n".join(lines))


if __name__ == "__main__":
    main()

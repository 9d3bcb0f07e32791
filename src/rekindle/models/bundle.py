"""A model folder: what the trainer saved, what it takes and gives, and hashes that say it is whole."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.errors import BundleError, RekindleError
from rekindle.models.signature import Signature
from rekindle.objects.folder import whole_folder

if TYPE_CHECKING:
    from rekindle.protocols import Model, Trainer

__all__ = ["Bundle", "open_bundle", "write_bundle"]

# Manifest format. When it changes: raise the number, keep reading the old one, and say here how.
VERSION = 1
LIBRARIES = ("rekindle", "numpy", "scipy", "pandas", "scikit-learn", "skops", "lightgbm", "xgboost")
BLANK = "0" * 64  # stands in the manifest for its own hash while that is taken
TOLERANCE = 1e-6  # a loaded model must give the stored predictions again, within this


@dataclass(frozen=True, slots=True)
class Bundle:
    """One model, ready to predict. Immutable; safe to call from many threads."""

    loop: str  # the model's name
    version: int  # registry number; 0 while it is a candidate
    label: str  # what people read, e.g. "v16"
    signature: Signature = field(repr=False)  # the columns it takes
    task: str  # "classification" or "regression"
    classes: tuple[Any, ...]  # class labels in the order of the probabilities; empty for regression
    manifest: Mapping[str, Any] = field(repr=False)  # everything the folder says about itself
    outputs_of: Callable[[Any], Any] = field(repr=False)  # prepared rows -> what the trainer predicts

    def outputs(self, rows: Any) -> Any:
        """What the trainer returns: numbers, class labels, or class probabilities in two dimensions."""
        prepared = self.signature.prepare(rows)
        if not len(prepared):  # models refuse to predict nothing
            return np.empty((0, len(self.classes))) if self.classes else np.empty(0)
        return self.outputs_of(prepared)

    def predict(self, rows: Any) -> Any:
        """One class label or number per row."""
        return self.decided(self.outputs(rows))

    def predict_proba(self, rows: Any) -> Any:
        """Class probabilities, one row each, columns in the order of `classes`."""
        outputs = np.asarray(self.outputs(rows))
        if outputs.ndim != 2:
            raise BundleError(f"{self.loop} {self.label} gives no probabilities")
        return outputs

    def decided(self, outputs: Any) -> Any:
        """Outputs as class labels or numbers."""
        array = np.asarray(outputs)
        if array.ndim == 2 and self.classes:
            return np.asarray(self.classes)[array.argmax(axis=1)]
        return array

    @property
    def probe(self) -> Any:
        """A few rows for warm-up, as mappings."""
        return self.manifest["probe"]["rows"]


def write_bundle(
    folder: Path,
    trainer: Trainer,
    model: Model,
    *,
    loop: str,
    signature: Signature,
    task: str,
    classes: tuple[Any, ...],
    probe: Any,
    about: Mapping[str, Any],
) -> Path:
    """Save a model with its manifest; the folder appears whole or not at all.

    `probe` is a small frame of raw feature rows: their predictions are stored and checked at every load.
    """
    with whole_folder(folder, replace=True) as scratch:
        inner = scratch / "model"
        inner.mkdir()
        trainer.save(model, inner)
        rows = json.loads(probe.to_json(orient="records", double_precision=15))
        outputs = np.asarray(trainer.predict(model, signature.prepare(rows))) if rows else np.empty(0)
        if rows and outputs.dtype.kind == "f" and not np.isfinite(outputs).all():
            raise BundleError("the model predicts NaN or inf on its own training rows")
        manifest = {
            "version": VERSION,
            "loop": loop,
            "trainer": type(trainer).__name__,
            "task": task,
            "classes": [_plain(c) for c in classes],
            "signature": signature.to_json(),
            "files": {name: _sha256(inner / name) for name in _files(inner)},
            "libraries": _libraries(),
            "probe": {"rows": rows, "outputs": outputs.tolist()},
            **about,
        }
        (scratch / "manifest.json").write_text(_sealed(manifest))
    return folder


def open_bundle(
    folder: str | Path, trainer: Trainer, *, version: int = 0, label: str = "candidate"
) -> Bundle:
    """Load a model folder: hashes first, then the model, then its stored predictions once more.

    Raises BundleError when a file is missing, altered or was added, or the model no longer predicts what it did.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    _check_files(folder / "model", manifest["files"])
    try:
        model = trainer.load(folder / "model")
    except RekindleError:
        raise
    except Exception as error:
        raise BundleError(
            f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}; roll back to another version"
        ) from error
    bundle = Bundle(
        manifest["loop"],
        version,
        label,
        Signature.from_json(manifest["signature"]),
        manifest["task"],
        tuple(manifest["classes"]),
        manifest,
        lambda rows: trainer.predict(model, rows),
    )
    _check_probe(bundle, folder)
    return bundle


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / "manifest.json").read_text()
        manifest: dict[str, Any] = json.loads(text)
    except FileNotFoundError as error:
        raise BundleError(
            f"there is no model in {folder}; restore the folder, or roll back to another version"
        ) from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder / 'manifest.json'} cannot be read: {error}") from error
    found = manifest.get("version") if isinstance(manifest, dict) else None
    if isinstance(found, int) and found > VERSION:
        raise BundleError(f"{folder} has format {found}, this rekindle reads {VERSION}; upgrade rekindle")
    if found != VERSION or not _is_sealed(text, manifest):
        raise BundleError(
            f"{folder / 'manifest.json'} was altered since it was written; restore it, or roll back to another version"
        )
    return manifest


def _check_files(inner: Path, expected: Mapping[str, str]) -> None:
    remedy = "restore it, or roll back to another version"
    for name, hashed in expected.items():
        path = inner / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; {remedy}")
        if _sha256(path) != hashed:
            raise BundleError(f"{path} was altered since it was written; {remedy}")
    added = sorted(set(_files(inner)) - set(expected))
    if added:
        raise BundleError(f"{inner / added[0]} was added since the model was written; remove it")


def _files(inner: Path) -> list[str]:
    """All files of a model, by their path within its folder."""
    return sorted(p.relative_to(inner).as_posix() for p in inner.rglob("*") if not p.is_dir())


def _sealed(manifest: Mapping[str, Any]) -> str:
    """The manifest as text that holds its own hash: an altered class label or column is an altered model."""
    text = json.dumps({**manifest, "seal": BLANK}, indent=1, sort_keys=True)
    return text.replace(BLANK, hashlib.sha256(text.encode()).hexdigest(), 1)


def _is_sealed(text: str, manifest: Mapping[str, Any]) -> bool:
    seal = str(manifest.get("seal"))
    return hashlib.sha256(text.replace(seal, BLANK, 1).encode()).hexdigest() == seal


def _check_probe(bundle: Bundle, folder: Path) -> None:
    probe = bundle.manifest["probe"]
    if not probe["rows"]:
        return
    try:
        outputs, expected = np.asarray(bundle.outputs(probe["rows"])), np.asarray(probe["outputs"])
    except Exception as error:
        raise BundleError(
            f"the model in {folder} cannot predict: {type(error).__name__}: {error}{_other_libraries(bundle)}"
        ) from error
    same = outputs.shape == expected.shape and (
        np.allclose(outputs, expected, atol=TOLERANCE, rtol=TOLERANCE)
        if outputs.dtype.kind == "f"
        else bool((outputs == expected).all())
    )
    if not same:
        raise BundleError(
            f"the model in {folder} no longer predicts what it did when it was written{_other_libraries(bundle)}"
        )


def _other_libraries(bundle: Bundle) -> str:
    trained, now = bundle.manifest["libraries"], _libraries()
    changed = [f"{k} {trained[k]} -> {now.get(k)}" for k in trained if trained[k] != now.get(k)]
    return f" ({'; '.join(changed) or 'same library versions'}); retrain, or restore those versions"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

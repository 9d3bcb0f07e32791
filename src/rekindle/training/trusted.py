"""Which types a model file may make us build. Everything else needs the operator's own word.

A file decides what is called, and with what: `functools.partial(eval, "...")` inside a FunctionTransformer is a
program. So no whole package is trusted; what a name stands for is looked at: scikit-learn's own classes, its pure
functions that estimators hold, NumPy's universal functions and number types.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from importlib import import_module
from typing import Any

__all__ = ["refused_types"]

# Held by ordinary fitted models, and harmless with any arguments.
HARMLESS = frozenset(
    {
        "collections.Counter",
        "collections.OrderedDict",
        "collections.defaultdict",
        "functools.partial",  # what it calls is looked at as well
        "numpy.dtype",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",  # what fitted splines hold
        "scipy.interpolate._bsplines.BSpline",
    }
)
# These read files, fetch over the network, start programs, or are other people's code.
NEVER = (
    "sklearn.datasets",
    "sklearn.externals",
    "sklearn.conftest",
    "sklearn.utils._testing",
    "sklearn.tree._export",
)
# Functions of these modules only compute.
COMPUTING = (
    "sklearn.feature_selection.",
    "sklearn.gaussian_process.",
    "sklearn.metrics.",
    "sklearn.preprocessing.",
    "sklearn.utils.validation.",
)


def refused_types(found: Iterable[str], allowed: Collection[str]) -> list[str]:
    """Those of the types `found` in a model file that nobody trusts, sorted.

    >>> refused_types(["sklearn.tree._tree.Tree", "builtins.eval"], allowed=())
    ['builtins.eval']
    """
    return sorted(name for name in found if name not in allowed and not _harmless(name))


def _harmless(name: str) -> bool:
    package = name.split(".")[0]
    if name in HARMLESS or package not in ("sklearn", "numpy"):
        return name in HARMLESS
    if name.startswith(NEVER) or ".tests." in name:
        return False
    thing = _named(name)
    return _is_number_code(thing) if package == "numpy" else _is_model_code(thing)


def _named(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except Exception:  # noqa: BLE001 - a name out of a file: whatever importing it raises, it is no type of ours
        return None


def _is_model_code(thing: Any) -> bool:
    # Where it was defined, not where it was imported: modules of scikit-learn import check_output too.
    home = f"{getattr(thing, '__module__', None)}."
    if not home.startswith("sklearn.") or home.startswith(NEVER):
        return False
    return inspect.isclass(thing) or (callable(thing) and home.startswith(COMPUTING))


def _is_number_code(thing: Any) -> bool:
    import numpy as np

    return isinstance(thing, np.ufunc) or (inspect.isclass(thing) and issubclass(thing, np.generic))

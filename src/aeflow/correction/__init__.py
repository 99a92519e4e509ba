"""Corrections: what names the study is fitted on training normals, frozen, and removed from every row.

`fit_correction` is the only entry. A correction is one file here with a subclass of `Correction`; a configuration names
it as file.Class, and nothing lists them.
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from aeflow.correction.correction import Correction, warn_single_study
from aeflow.errors import ConfigError

NONE = "none"  # means no correction; it is not written as file.Class


def correction_class(method: str) -> type[Correction]:
    """Return the class that `method` names as file.Class ("none": no correction), for example combat.ComBat.

    Raises
    ------
    ConfigError : no such file, or no correction of that name in it.
    """
    file, _, name = ("none.NoCorrection" if method == NONE else method).partition(".")
    files = sorted(found.name for found in pkgutil.iter_modules(__path__))
    if file not in files:
        close = [known for near in difflib.get_close_matches(file, files, 1) for known in _corrections_in(near)]
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(
            f"correct: method {method!r}: there is no file correction/{file}.py{hint}; there are {', '.join(files)}"
        )
    found = _corrections_in(file)
    full_name = f"{file}.{name}"
    if full_name not in found:
        hint = f" (did you mean {next(iter(found))!r}?)" if found else ""
        raise ConfigError(
            f"correct: method {method!r} does not exist{hint}; correction/{file}.py has {', '.join(found) or 'none'}; "
            f"there are the files {', '.join(files)}"
        )
    return found[full_name]


def _corrections_in(file: str) -> dict[str, type[Correction]]:
    """Return the corrections that a file defines, by file.Class; not those it imports, nor abstract ones."""
    module = import_module(f"aeflow.correction.{file}")
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Correction)]
    own = [kind for kind in kinds if kind.__module__ == module.__name__ and not inspect.isabstract(kind)]
    return {kind.method(): kind for kind in own}


def fit_correction(
    method: str, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None = None, /, **options: Any
) -> Correction:
    """Return the correction `method` fitted on X (n_fit, n_vars), log2(x + 1), rows that fitting may see.

    Parameters
    ----------
    method : file.Class, or "none".
    batch : (n_fit,) study labels.
    tissue : (n_fit,) tissue labels, for the methods that use them (`wang2018`: condition labels).
    options : keywords of the method's `fit`.

    Raises
    ------
    ConfigError : an unknown method or option.
    DataError : rows that the method cannot be fitted on.
    """
    kind = correction_class(method)
    known = kind.option_names()
    for key in options:
        if key not in known:
            raise ConfigError(f"correct: {method} has no option {key!r}; known: {', '.join(known) or 'none'}")
    if tissue is not None and not kind.by_tissue and not kind.sees_all_rows:
        warn_single_study(batch, tissue, kind.name)
    return kind.fit(X, batch, tissue, **options)


def load_correction(path: str | Path) -> Correction:
    """Return the correction that `Correction.save` wrote."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        method = file.metadata()["method"]
        return correction_class(method).from_state({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118


def save_correction(correction: Correction | None, path: str | Path) -> None:
    """Write a fitted correction; None is written as the method "none", so that there always is a file."""
    if correction is None:
        correction = fit_correction(NONE, np.zeros((2, 0)), np.array(["a", "b"]))
    correction.save(path)

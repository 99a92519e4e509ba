"""Corrections: what names the study is fitted on training normals, frozen, and removed from every row.

`fit_correction` is the only entry; methods are found by name in `METHODS`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from aeflow.correction.base import Correction, warn_single_study
from aeflow.errors import ConfigError

METHODS = {  # name -> module:class, imported when asked for
    "none": "none:NoCorrection",
    "combat": "combat:ComBat",
    "quantile": "quantile:Quantile",
    "zscore": "zscore:ZScore",
    "support": "support:Support",
    "align": "align:Align",
    "ruv": "ruv:RUV",
    "transport": "transport:Transport",
    "conditional_ae": "conditional_ae:ConditionalAE",
    "chain": "chain:Chain",
    "per_tissue": "per_tissue:PerTissue",
    "wang2018": "wang2018:Wang2018",
}


def correction_class(method: str) -> type[Correction]:
    """Return the class of a method; ConfigError if there is none of that name."""
    if method not in METHODS:
        raise ConfigError(f"correct: method {method!r} does not exist; known: {', '.join(METHODS)}")
    module, name = METHODS[method].split(":")
    return getattr(import_module(f"aeflow.correction.{module}"), name)


def fit_correction(
    method: str, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None = None, /, **options: Any
) -> Correction:
    """Return the correction `method` fitted on X (n_fit, n_vars), log2(x + 1), rows that fitting may see.

    Parameters
    ----------
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
        warn_single_study(batch, tissue, method)
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
        correction = fit_correction("none", np.zeros((2, 0)), np.array(["a", "b"]))
    correction.save(path)

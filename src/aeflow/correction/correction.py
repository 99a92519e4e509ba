"""Correction: a fitted step that removes what names the study; the contract every method follows.

A correction is fitted on the rows that fitting may see (training rows, normals only) and then frozen: `apply` treats
each row by itself, from its values, its study (`batch`) and, for methods that work by tissue, its tissue. Whether a
row is a tumour is never asked; `wang2018` alone differs, and says so.
"""

from __future__ import annotations

import abc
import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aeflow.errors import DataError
from aeflow.files import atomic_path
from aeflow.labels import has_label

log = logging.getLogger(__name__)


class Correction(abc.ABC):
    """A fitted correction; its whole state is `arrays`, a dict of NumPy arrays without objects.

    Attributes
    ----------
    name : the name of its file, for messages; set for every subclass.
    labels : obs column that `fit` and `apply` take as `tissue`; "condition" for wang2018.
    sees_all_rows : True where the method is fitted on every row, test rows and tumours included (wang2018).
    by_tissue : True where a tissue of one study is the method's own business; others are warned of.
    """

    name: ClassVar[str]
    labels: ClassVar[str] = "tissue"
    sees_all_rows: ClassVar[bool] = False
    by_tissue: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any):
        super().__init_subclass__(**keywords)
        cls.name = cls.__module__.rpartition(".")[2]

    @classmethod
    def method(cls) -> str:
        """Return file.Class, by which configurations and saved states name the correction."""
        return f"{cls.name}.{cls.__name__}"

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        # one memory layout, so that a loaded state gives the same bits as the fitted one
        self.arrays = {key: np.array(value, order="C") for key, value in sorted(arrays.items())}

    @classmethod
    @abc.abstractmethod
    def fit(cls, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None = None, **options: Any) -> Correction:
        """Return the correction fitted on X (n_fit, n_vars), log2(x + 1), with labels (n_fit,)."""

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the keywords of `fit`, in order."""
        kinds = inspect.signature(cls.fit).parameters.values()
        return [p.name for p in kinds if p.kind is inspect.Parameter.KEYWORD_ONLY]

    @abc.abstractmethod
    def _apply(self, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None) -> np.ndarray:
        """Return corrected X (n, n_vars) float64; labels are checked, X is a fresh float64 copy that may be used."""

    def apply(self, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None = None) -> np.ndarray:
        """Return corrected X (n, n_vars) float32 for any rows; X is not changed.

        Raises
        ------
        DataError : a batch that was not there when fitting, values that are not finite, or a wrong shape.
        """
        X, batch, tissue = check_input(X, batch, tissue, f"correction {self.name}")
        if X.shape[1] != int(self.arrays["n_vars"]):
            raise DataError(
                f"correction {self.name}: fitted on {int(self.arrays['n_vars'])} variables, given {X.shape[1]}"
            )
        known = self.batches
        unknown = sorted(set(batch) - set(known))
        if unknown and known:
            raise DataError(
                f"correction {self.name}: batch {unknown[0]!r} was not seen when fitting; known: {', '.join(known)}"
            )
        corrected = self._apply(X, batch, tissue).astype(np.float32)
        if not np.isfinite(corrected).all():
            i, j = np.argwhere(~np.isfinite(corrected))[0]
            raise DataError(
                f"correction {self.name}: variable {j} of row {i} becomes {corrected[i, j]}, as do "
                f"{(~np.isfinite(corrected)).any(0).sum()} of {corrected.shape[1]} variables"
            )
        return corrected

    @property
    def batches(self) -> list[str]:
        """Batch labels seen when fitting, sorted; empty for a method that does not look at them."""
        return decode_labels(self.arrays["batches"])

    def state(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays; equal fits give equal bytes."""
        return dict(self.arrays)

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Correction:
        """Return the correction that `state` came from."""
        return cls(state)

    def save(self, path: str | Path) -> None:
        """Write the state as safetensors, with file.Class in the metadata."""
        from safetensors.numpy import save_file

        with atomic_path(path) as tmp:
            save_file(self.arrays, tmp, metadata={"method": self.method()})


def check_input(
    X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None, who: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return X as a new float64 matrix and the labels as str arrays; DataError names the first violation."""
    X = np.array(X, dtype=np.float64)
    if X.ndim != 2:
        raise DataError(f"{who}: X must have 2 axes, found {X.ndim}")
    for what, values in (("batch", batch), ("tissue", tissue)):
        if values is not None and len(values) != len(X):
            raise DataError(f"{who}: {what} has {len(values)} labels, X has {len(X)} rows")
    if not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0]
        raise DataError(f"{who}: row {i}, variable {j}: value {X[i, j]} is not finite")
    return X, _strings(batch), None if tissue is None else _strings(tissue)


def _strings(labels: np.ndarray) -> np.ndarray:
    """Return labels as an object array of str, whose items read well in messages; "" for what is no label."""
    return np.where(has_label(labels), np.asarray(labels).astype(str), "").astype(object)


def check_fit(
    X: np.ndarray, batch: np.ndarray, tissue: np.ndarray | None, who: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Like `check_input`; DataError, too, for a row without batch, or fewer than two batches to bring together."""
    X, batch, tissue = check_input(X, batch, tissue, f"correction {who}")
    check_known(batch, "study", who)
    found = sorted(set(batch))
    if len(found) < 2:
        raise DataError(f"correction {who}: needs at least two batches in the rows it is fitted on, found {found}")
    return X, batch, tissue


def check_known(labels: np.ndarray, what: str, who: str) -> None:
    """Raise DataError if a row has no label: those without one are no group that could be corrected as one."""
    known = has_label(labels)
    if not known.all():
        raise DataError(
            f"correction {who}: {(~known).sum()} of {len(known)} rows have no {what}, first row {int(known.argmin())}"
        )


def check_reference(reference: str | None, batches: list[str], who: str) -> None:
    """Raise DataError if a reference batch is asked for that is not there."""
    if reference is not None and reference not in batches:
        raise DataError(f"correction {who}: reference {reference!r} is no batch; there are {', '.join(batches)}")


def warn_single_study(batch: np.ndarray, tissue: np.ndarray, who: str) -> None:
    """Log the tissues that only one batch has: there, study and tissue cannot be told apart."""
    known = has_label(tissue)
    pairs = {(str(t), str(b)) for t, b, is_known in zip(tissue, batch, known, strict=False) if is_known}
    for name in sorted({t for t, _ in pairs}):
        studies = sorted(b for t, b in pairs if t == name)
        if len(studies) == 1:
            log.warning(
                "correction %s: tissue %r is in study %r only: no overlap says what the study does there",
                who,
                name,
                studies[0],
            )


def need_tissue(tissue: np.ndarray | None, who: str) -> np.ndarray:
    """Return `tissue`, or DataError if there is none, or a row has none."""
    if tissue is None:
        raise DataError(f"correction {who}: needs the tissue of every row, none was given")
    check_known(tissue, "tissue", who)
    return tissue


def nested(prefix: str, fitted: Correction) -> dict[str, np.ndarray]:
    """Return the state of a correction inside another, its keys below `prefix`."""
    return {f"{prefix}/{key}": value for key, value in fitted.arrays.items()}


def unnested(prefix: str, method: str, arrays: Mapping[str, np.ndarray]) -> Correction:
    """Return the correction that `nested` stored below `prefix`."""
    from aeflow.correction import correction_class

    start = f"{prefix}/"
    return correction_class(method)({k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)})


def encode_labels(labels: list[str]) -> np.ndarray:
    """Return labels as UTF-8 bytes, one a line (safetensors hold numbers only)."""
    return np.frombuffer("\n".join(labels).encode(), dtype=np.uint8).copy()


def decode_labels(array: np.ndarray) -> list[str]:
    """Return the labels of `encode_labels`."""
    text = np.asarray(array, dtype=np.uint8).tobytes().decode()
    return text.split("\n") if text else []

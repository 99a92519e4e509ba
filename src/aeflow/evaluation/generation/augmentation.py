"""What a classifier learns from generated rows: alone, and added to few real ones.

Train on synthetic, test on real (Esteban et al. 2017; "reverse validation"); augmentation after Lacan, Sebag & Hanczar
2023: 50 real rows, 1,000 generated ones added. A generator fitted on all training rows has seen more than those 50, so
the control, which adds as many *real* training rows (or all there are), stands beside it: what generation gives must be
read against that.
"""

from __future__ import annotations

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import labels, matrix
from aeflow.evaluation.representation.heads import head_accuracy


def train_on_synthetic(
    x_generated: np.ndarray,
    y_generated: np.ndarray,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    head: str = "logistic",
    seed: int = 0,
) -> dict[str, float]:
    """Return accuracies on real test rows of a head trained on draws, and on real training rows (the ceiling).

    Arrays (rows, n_vars) and labels (rows,); test rows come from donors that neither training nor generator saw.

    Returns
    -------
    accuracy_synthetic, accuracy_real, majority (accuracy of always naming the commonest training class: the floor).
    """
    synthetic = head_accuracy(x_generated, y_generated, x_test, y_test, head=head, seed=seed)
    real = head_accuracy(x_train, y_train, x_test, y_test, head=head, seed=seed)
    return {
        "accuracy_synthetic": synthetic["accuracy"],
        "accuracy_real": real["accuracy"],
        "majority": real["majority"],
    }


def few_rows(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n row numbers, at random but for one row of each class; DataError if there are more classes than n."""
    names = np.unique(y)
    if not len(names) <= n <= len(y):
        raise UndefinedError(f"n_real: {n} rows cannot be taken of {len(y)} rows in {len(names)} classes")
    first = np.array([rng.choice(np.flatnonzero(y == name)) for name in names])
    rest = np.setdiff1d(np.arange(len(y)), first)
    return np.concatenate([first, rng.choice(rest, n - len(first), replace=False)])


def augmentation(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_generated: np.ndarray,
    y_generated: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    n_real: int = 50,
    n_repeats: int = 5,
    head: str = "logistic",
    seed: int = 0,
) -> dict[str, float]:
    """Return accuracies on test rows of a head trained on few real rows, and with generated or real rows added.

    Parameters
    ----------
    x_train : (n_train, n_vars) real rows, of which n_real are drawn anew in each repeat, one of each class at least.
    x_generated : (n_added, n_vars), all of which are added.
    x_test : (n_test, n_vars) real rows of other donors.

    Returns
    -------
    accuracy_real (n_real rows), accuracy_augmented (n_real + n_added generated), accuracy_control (n_real + n_control
    other real rows): means over repeats, each with .._sd; n_real, n_added, n_control (n_added, or all there are),
    n_repeats.

    Raises
    ------
    DataError : no real row is left for the control.
    """
    x_train = matrix(x_train, "x_train", least=2)
    y_train = labels(y_train, "y_train", len(x_train), least=2).astype(str)
    x_generated = matrix(x_generated, "x_generated", n_vars=x_train.shape[1])
    y_generated = labels(y_generated, "y_generated", len(x_generated)).astype(str)
    n_added = len(x_generated)
    if n_repeats < 1:
        raise DataError(f"n_repeats: at least 1 is needed, found {n_repeats}")
    n_control = min(n_added, len(x_train) - n_real)
    if n_control < 1:
        raise UndefinedError(f"n_real: {n_real} of {len(x_train)} real rows leave none for the control")
    rng, found = np.random.default_rng(seed), {"real": [], "augmented": [], "control": []}
    for _ in range(n_repeats):
        few = few_rows(y_train, n_real, rng)
        others = rng.choice(np.setdiff1d(np.arange(len(x_train)), few), n_control, replace=False)
        added = {
            "real": (x_train[:0], y_train[:0]),
            "augmented": (x_generated, y_generated),
            "control": (x_train[others], y_train[others]),
        }
        for name, (x, y) in added.items():
            x = np.concatenate([x_train[few], x])
            y = np.concatenate([y_train[few], y])
            found[name].append(head_accuracy(x, y, x_test, y_test, head=head, seed=seed)["accuracy"])
    out = {"n_real": n_real, "n_added": n_added, "n_control": n_control, "n_repeats": n_repeats}
    for name, values in found.items():
        out[f"accuracy_{name}"] = float(np.mean(values))
        out[f"accuracy_{name}_sd"] = float(np.std(values, ddof=1)) if n_repeats > 1 else float("nan")
    return out

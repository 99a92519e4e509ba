"""Nearest-neighbour comparison of generated and held-out observations: fidelity, variety and memorisation.

    B(y, k)    ball around y up to its k-th nearest neighbour in its own set
    precision  share of generated rows inside some B(real, k)
    recall     share of real rows inside some B(generated, k)
    density    mean number of B(real, k) that a generated row is in, divided by k
    coverage   share of B(real, k) that hold a generated row

Precision and recall: Kynkäänniemi et al. 2019 (k = 3); density and coverage: Naeem et al. 2020 (k = 5). Their ceiling
is not 1: of two halves of real data coverage is about 1 - 2^-k, so print real against real beside them.
"""

from __future__ import annotations

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import matrix

CHUNK_BYTES = 64 * 2**20  # of distances held at once
TIE = 1e-9  # relative to the data's spread: rounding of distances computed from inner products
COPY_QUANTILE = 0.01


def squared_distances(a: np.ndarray, b: np.ndarray):
    """Yield (slice of rows of a, squared distances (chunk, len(b))), at most `CHUNK_BYTES` at once."""
    from sklearn.metrics.pairwise import euclidean_distances

    rows = max(1, CHUNK_BYTES // (8 * len(b)))
    norms = np.einsum("ij,ij->i", b, b)[None]
    for start in range(0, len(a), rows):
        part = slice(start, min(start + rows, len(a)))
        yield part, euclidean_distances(a[part], b, Y_norm_squared=norms, squared=True)


def _radii(x: np.ndarray, ks: tuple[int, int]) -> np.ndarray:
    """Return squared distances (2, n_obs) of each row to its k-th nearest other row."""
    out = np.empty((2, len(x)))
    for part, d in squared_distances(x, x):
        d[np.arange(len(d)), np.arange(part.start, part.stop)] = -1  # itself comes first, whatever the rounding
        d.partition(sorted(ks), axis=1)
        out[:, part] = d[:, list(ks)].T
    return out


def manifold_metrics(
    real: np.ndarray, generated: np.ndarray, *, k_precision: int = 3, k_coverage: int = 5
) -> dict[str, float]:
    """Return precision, recall (both with `k_precision`), density and coverage (both with `k_coverage`).

    real : (n_obs, n_vars) held-out rows; generated : (n_draws, n_vars), in the same space; as many of one as of the
    other, if numbers are to be compared with published ones. DataError if a set has too few rows for k.
    """
    ks = (k_precision, k_coverage)
    if min(ks) < 1:
        raise DataError(f"k: must be at least 1, found k_precision {k_precision}, k_coverage {k_coverage}")
    real = matrix(real, "real", least=max(ks) + 1)
    generated = matrix(generated, "generated", n_vars=real.shape[1], least=max(ks) + 1)
    centre = real.mean(0)  # far from the origin, inner products would lose the digits that distances are made of
    real, generated = real - centre, generated - centre
    tie = TIE * max(np.square(real).sum(1).mean(), np.square(generated).sum(1).mean())
    real_p, real_c = _radii(real, ks) + tie
    generated_p = _radii(generated, ks)[0] + tie
    precise, n_balls = np.zeros(len(generated), dtype=bool), 0
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for part, d in squared_distances(generated, real):
        precise[part] = (d <= real_p).any(1)
        recalled |= (d <= generated_p[part, None]).any(0)
        inside = d <= real_c
        n_balls += int(inside.sum())
        covered |= inside.any(0)
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": n_balls / (k_coverage * len(generated)),
        "coverage": float(covered.mean()),
    }


def nearest_distance(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance (n_obs,) of each row of x to its nearest row of `reference`; exact for copies."""
    x = matrix(x, "x")
    reference = matrix(reference, "reference")
    centre = reference.mean(0)
    nearest = np.empty(len(x), dtype=np.intp)
    for part, d in squared_distances(x - centre, reference - centre):
        nearest[part] = d.argmin(1)
    return np.concatenate(
        [np.linalg.norm(x[i : i + 1024] - reference[nearest[i : i + 1024]], axis=1) for i in range(0, len(x), 1024)]
    )


def memorisation(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Return how much closer generated rows lie to training rows than held-out rows do.

    All arrays (rows, n_vars), in the same space; held-out rows come from the same population as training rows.

    Returns
    -------
    distance_ratio : median distance to the nearest training row, generated / held out; far below 1 means copying (or
        draws less varied than real rows: read it beside coverage).
    copies : share of draws closer than the 1 % quantile of the held-out rows' distances; 0.01 where nothing is copied.

    Raises
    ------
    DataError : half of the held-out rows or more are training rows, so that distances say nothing.
    """
    train = matrix(train, "train")
    held_out = matrix(held_out, "held_out", n_vars=train.shape[1])
    generated = matrix(generated, "generated", n_vars=train.shape[1])
    of_held_out = nearest_distance(held_out, train)
    of_generated = nearest_distance(generated, train)
    if np.median(of_held_out) == 0:
        raise UndefinedError(f"held_out: {(of_held_out == 0).sum()} of {len(held_out)} rows are training rows")
    limit = np.quantile(of_held_out, COPY_QUANTILE)
    return {
        "distance_ratio": float(np.median(of_generated) / np.median(of_held_out)),
        # where held-out rows repeat training rows the quantile is 0, and draws at distance 0 are copies all the same
        "copies": float((of_generated < limit).mean() if limit > 0 else (of_generated == 0).mean()),
    }

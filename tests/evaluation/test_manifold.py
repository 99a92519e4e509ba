"""Neighbour-based metrics of generated rows against a brute-force reference and known limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from aeflow.errors import DataError
from aeflow.evaluation.generation import manifold
from aeflow.evaluation.generation.manifold import manifold_metrics, memorisation, nearest_distance


def brute(real, generated, k_precision, k_coverage):
    """The definitions, pair by pair."""

    def radius(x, k):
        return np.sort(cdist(x, x), axis=1)[:, k]

    d = cdist(generated, real)
    rp, rc, gp = radius(real, k_precision), radius(real, k_coverage), radius(generated, k_precision)
    return {
        "precision": np.mean([any(d[j, i] <= rp[i] for i in range(len(real))) for j in range(len(generated))]),
        "recall": np.mean([any(d[j, i] <= gp[j] for j in range(len(generated))) for i in range(len(real))]),
        "density": sum(d[j, i] <= rc[i] for i in range(len(real)) for j in range(len(generated)))
        / (k_coverage * len(generated)),
        "coverage": np.mean([any(d[j, i] <= rc[i] for j in range(len(generated))) for i in range(len(real))]),
    }


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=40)
def test_definitions(seed, k_precision, k_coverage):
    """Breaks if a ball belongs to the wrong set, counts its own centre as a neighbour, or k is mixed up."""
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(12, 3)) + 100, rng.normal(0.5, 2, size=(9, 3)) + 100
    found = manifold_metrics(real, generated, k_precision=k_precision, k_coverage=k_coverage)
    assert found == pytest.approx(brute(real, generated, k_precision, k_coverage))


def test_chunks_change_nothing(monkeypatch):
    """Breaks if radii or coverage are lost between chunks."""
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(300, 4)), rng.normal(size=(200, 4))
    whole = manifold_metrics(real, generated)
    monkeypatch.setattr(manifold, "CHUNK_BYTES", 50_000)
    assert manifold_metrics(real, generated) == whole


def test_limits():
    """Breaks if fidelity and variety are mixed up: a copy, far draws, and draws of one mode only."""
    rng = np.random.default_rng(0)
    real = np.r_[rng.normal(size=(400, 2)), rng.normal(20, 1, size=(400, 2))]
    copy = manifold_metrics(real, real)
    assert (copy["precision"], copy["recall"], copy["coverage"]) == (1, 1, 1)
    assert set(manifold_metrics(real, real + 1000).values()) == {0.0}
    other = np.r_[rng.normal(size=(400, 2)), rng.normal(20, 1, size=(400, 2))]
    ceiling = manifold_metrics(real, other)
    assert ceiling["density"] == pytest.approx(1, abs=0.08)
    assert ceiling["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)
    one_mode = manifold_metrics(real, rng.normal(size=(800, 2)))
    assert one_mode["precision"] > 0.9
    assert one_mode["recall"] < 0.55
    assert one_mode["coverage"] < 0.55


def test_memorisation_tells_copies_from_new_rows():
    """Breaks if distances run from training rows, or the held-out quantile is not the reference."""
    rng = np.random.default_rng(0)
    train, held_out, new = (rng.normal(size=(n, 5)) for n in (500, 1000, 1000))
    honest = memorisation(train, held_out, new)
    assert honest["distance_ratio"] == pytest.approx(1, abs=0.05)
    assert honest["copies"] == pytest.approx(0.01, abs=0.01)
    half = np.r_[train[:500], new[:500]]
    assert memorisation(train, held_out, half)["copies"] == pytest.approx(0.5, abs=0.01)
    assert memorisation(train, held_out, train + 1e-6)["distance_ratio"] < 1e-4
    assert (nearest_distance(train + 1e4, train + 1e4) == 0).all()


def test_bad_input_is_named():
    """Breaks if too few rows, other variables or NaN give a number."""
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="generated: at least 6 rows are needed, found 5"):
        manifold_metrics(rng.normal(size=(20, 2)), rng.normal(size=(5, 2)))
    with pytest.raises(DataError, match="generated: 2 variables are needed, found 3"):
        manifold_metrics(rng.normal(size=(20, 2)), rng.normal(size=(20, 3)))
    with pytest.raises(DataError, match="real: row 0, variable 1: value nan"):
        manifold_metrics(np.array([[0, np.nan]] * 9), rng.normal(size=(20, 2)))
    with pytest.raises(DataError, match="held_out: 3 of 3 rows are training rows"):
        memorisation(np.eye(3), np.eye(3), np.eye(3))

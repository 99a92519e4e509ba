"""Probes, clusters and stability on representations whose answer is known."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from aeflow.errors import DataError
from aeflow.evaluation.representation.clusters import (
    clustering_agreement,
    linear_cka,
    seed_stability,
    silhouette_width,
    subspace_angles_degrees,
)
from aeflow.evaluation.representation.heads import HEADS, head_accuracy


def clusters(n, seed, spread=0.3):
    """Three tissues in two latents; the first latent is a thousand times as wide."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    z = np.array([[0, 0], [0, 4], [4, 0]])[y] + spread * rng.normal(size=(n, 2))
    return z * [1000, 1], np.array(["liver", "lung", "skin"])[y]


@pytest.mark.parametrize("head", HEADS)
def test_heads_read_what_is_there_and_nothing_else(head):
    """Breaks if a head does not standardise, or is measured on training rows: permuted labels give a third."""
    train, test = clusters(300, 0), clusters(200, 1)
    assert head_accuracy(*train, *test, head=head)["accuracy"] > 0.97
    permuted = np.random.default_rng(0).permutation(train[1])
    assert head_accuracy(train[0], permuted, *test, head=head)["accuracy"] == pytest.approx(1 / 3, abs=0.15)


def test_mlp_bends_where_the_linear_probe_cannot():
    """Breaks if the option changes nothing: exclusive or."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(600, 2))
    y = (z[:, 0] * z[:, 1] > 0).astype(int)
    found = {head: head_accuracy(z[:400], y[:400], z[400:], y[400:], head=head)["accuracy"] for head in HEADS}
    assert found["mlp"] > 0.93
    assert found["logistic"] < 0.65


def test_rare_and_unknown_classes_count():
    """Breaks if test rows of a class that training lacks are dropped, or the majority comes from test labels."""
    z = np.array([[0.0], [0.1], [0.2], [5.0], [5.1]])
    found = head_accuracy(z, ["a", "a", "a", "b", "b"], [[0.0], [5.0], [5.0], [9.0]], ["a", "b", "b", "new"])
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["majority"] == 0.25


def test_clusters_and_silhouette():
    """Breaks if a wide latent drowns the others, or labels of no meaning get a score."""
    z, y = clusters(300, 0)
    assert clustering_agreement(z, y) == {"nmi": pytest.approx(1), "ari": pytest.approx(1)}
    assert silhouette_width(z, y) > 0.7
    noise = np.random.default_rng(1).integers(0, 2, 300)
    assert abs(silhouette_width(z, noise)) < 0.02
    assert clustering_agreement(z, noise)["ari"] == pytest.approx(0, abs=0.02)


def test_angles_by_hand():
    """Breaks if radians are returned, or the order is turned round."""
    t = np.radians(30)
    a = np.eye(4)[:, :2]
    b = np.array([[1, 0], [0, np.cos(t)], [0, np.sin(t)], [0, 0]])
    assert subspace_angles_degrees(a, b) == pytest.approx([30, 0], abs=1e-6)
    assert subspace_angles_degrees(a, a @ [[2, 1], [0, 3]]) == pytest.approx([0, 0], abs=1e-6)


def test_cka():
    """Breaks if rotation, scale or shift changes it, or unrelated latents are called alike."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 6)) * np.arange(1, 7), rng.normal(size=(500, 4))
    assert linear_cka(a, 3 * a @ ortho_group.rvs(6, random_state=0) + 5) == pytest.approx(1)
    assert linear_cka(a, b) < 0.05
    k, m, c = a @ a.T, b @ b.T, np.eye(500) - 1 / 500  # HSIC with kernels, the definition
    hsic = [np.trace(c @ p @ c @ q) for p, q in ((k, m), (k, k), (m, m))]
    assert linear_cka(a, b) == pytest.approx(hsic[0] / np.sqrt(hsic[1] * hsic[2]))
    stable = seed_stability([a, -a, b])
    assert stable["n_pairs"] == 3
    assert stable["cka"] == pytest.approx((1 + 2 * linear_cka(a, b)) / 3)
    assert stable["cka_least"] == pytest.approx(linear_cka(a, b))


def test_bad_input_is_named():
    """Breaks if nonsense gets a number."""
    z, y = clusters(20, 0)
    with pytest.raises(DataError, match="head: 'tree' does not exist; known: logistic, knn, mlp"):
        head_accuracy(z, y, z, y, head="tree")
    with pytest.raises(DataError, match="y_train: at least 2 classes are needed, found \\['liver'\\]"):
        head_accuracy(z, ["liver"] * 20, z, y)
    with pytest.raises(DataError, match="y: label 1 is missing"):
        clustering_agreement(z, ["a", None] * 10)
    with pytest.raises(DataError, match="b: 2 directions span 1 dimensions only"):
        subspace_angles_degrees(np.eye(3)[:, :2], np.ones((3, 2)))
    with pytest.raises(DataError, match="b: all 20 rows are equal"):
        linear_cka(z, np.ones((20, 2)))
    with pytest.raises(DataError, match="at least 2 seeds are needed, found 1"):
        seed_stability([z])

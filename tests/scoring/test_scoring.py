"""Families of scores: references by hand, what is fitted on what, and the combination."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA

from aeflow.errors import DataError
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.scoring import combined
from aeflow.scoring.combined import combined_scores
from aeflow.scoring.density import LatentMixture
from aeflow.scoring.deviation import ROWS_PER_DIRECTION, Deviation, pathway
from aeflow.scoring.family import Reference
from aeflow.scoring.proximity import Centroids
from aeflow.scoring.scores import Scorer, ScoreSettings
from aeflow.scoring.space import Standardised
from aeflow.training.fit import TrainingSettings, fit

EVERY_AE = {
    "deviation/squared_error",
    "deviation/latent_cycle",
    "deviation/sap",
    "deviation/nap",
    "density/gmm",
    "proximity/knn",
    "proximity/mahalanobis",
    "proximity/centroid",
    "combined/max",
    "combined/mean",
    "baseline/squared_distance_to_mean",
}
BOUND = {"density/neg_log_likelihood", "density/elbo", "deviation/neg_log_likelihood"}
RAW = {"baseline/knn", "baseline/isolation_forest", "baseline/one_class_svm"}
CASES = {
    "ae": ("ae.AE", {"n_latent": 3, "n_hidden": [16, 8]}, EVERY_AE),
    "conv": ("ae.AE", {"n_latent": 3, "n_hidden": [2], "network": "conv"}, EVERY_AE),
    "asymmetric": (
        "ae.AE",
        {"n_latent": 3, "n_hidden": [16], "n_hidden_decoder": []},
        EVERY_AE - {"deviation/sap", "deviation/nap"},
    ),
    "vae": ("vae.VAE", {"n_latent": 3, "n_hidden": [16], "likelihood": "gaussian"}, EVERY_AE | BOUND),
    "iwae": (
        "vae.VAE",
        {"n_latent": 3, "n_hidden": [16], "likelihood": "gaussian", "objective": "iwae", "n_draws": 2},
        EVERY_AE | BOUND - {"deviation/neg_log_likelihood"},
    ),
    "pca": (
        "pca.PCA",
        {"n_latent": 3},
        EVERY_AE - {"deviation/latent_cycle", "deviation/sap", "deviation/nap"}
        | {"density/neg_log_likelihood"} | RAW,
    ),
}  # fmt: skip


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) @ np.random.default_rng(1).normal(size=(3, 16)) + 0.1 * rng.normal(size=(n, 16))
    return torch.from_numpy(x).float()


def trained(case, epochs=20):
    torch.manual_seed(0)
    architecture, keywords, _ = CASES[case]
    model = build(architecture, 16, keywords)
    fit(model, rows(300), rows(50, 2), TrainingSettings(max_epochs=epochs, batch_size=50), seed=0)
    return model.eval()


def fitted_on(model, rows, n_importance=1, calibration=None):
    batch = None if calibration is None else Batch(calibration)
    return Reference(model, Batch(rows), seed=0, n_importance=n_importance, mixture_rows=8000, calibration=batch)


def every_score(reference, x):
    """Return every score of rows x."""
    return Scorer(ScoreSettings().families, reference).scores(Batch(x))


class Latents:
    """What a mixture needs of a reference: training latents, and how many of them it may see."""

    def __init__(self, z, mixture_rows=8000):
        self.z = z
        self.seed = 0
        self.mixture_rows = mixture_rows


@pytest.mark.parametrize("case", CASES)
def test_every_score_is_there_and_ranks_an_obvious_outlier_first(case):
    """Breaks if a score is missing, turned round, or computed for a model that has no such quantity."""
    outlier = torch.full((1, 16), 40.0)
    reference = fitted_on(trained(case), rows(300), 4, calibration=rows(50, 2))
    scores = every_score(reference, torch.cat([rows(40, 3), outlier]))
    assert set(scores) == CASES[case][2]
    for name, values in scores.items():
        assert values.dtype == np.float64 and values.shape == (41,)
        assert values[-1] >= values[:-1].max(), name


@pytest.mark.parametrize("case", ["vae", "pca"])
def test_test_rows_are_scored_apart(case):
    """Breaks if anything is fitted on the rows that are scored: half of them changes, the other half must not."""
    model = trained(case, 3)
    x, other = rows(40, 3), rows(40, 3)
    other[20:] = 100
    first, second = (every_score(fitted_on(model, rows(300), 2, calibration=rows(50, 2)), v) for v in (x, other))
    for name in first:
        assert np.allclose(first[name][:20], second[name][:20], rtol=1e-6), name


def test_sap_and_nap_by_hand():
    """Breaks if a layer is missing from the pathway, or the whitening is not that of all training differences."""
    model, x = trained("ae"), rows(7, 5)
    reference = rows(300)

    def activations(x):
        h, out = x, [x]
        for block in model.encoder:
            h = block(h)
            out.append(h)
        return out

    def differences(x):
        pairs = zip(activations(x), activations(model.decoder(model.encoder(x))), strict=True)
        return torch.cat([a - b for a, b in pairs], 1).detach().double().numpy()

    d, d_reference = differences(x), differences(reference)
    assert d.shape == (7, 16 + 16 + 8 + 3)
    scores = Deviation(fitted_on(model, reference)).of_rows(Batch(x))
    assert scores["deviation/sap"] == pytest.approx((d**2).sum(1), rel=1e-5)
    n = min(300 // ROWS_PER_DIRECTION, d.shape[1])
    axes = SklearnPCA(n, svd_solver="full").fit(d_reference)
    real = axes.singular_values_**2 > 1e-12 * axes.singular_values_[0] ** 2
    white = (axes.transform(d) / axes.singular_values_)[:, real]
    assert scores["deviation/nap"] == pytest.approx((white**2).sum(1), rel=1e-4)


def test_whitening_by_rows_equals_whitening_by_variables():
    """Breaks if the Gram matrix of the rows, taken where it is the smaller one, gives other directions."""
    model, x = trained("ae"), Batch(rows(7, 5))
    few = Batch(rows(40))  # fewer rows than the pathway has activations
    by_rows = Deviation(fitted_on(model, few.x))
    d = by_rows._differences(few).detach().double()
    _, s, vt = torch.linalg.svd(d - d.mean(0), full_matrices=False)
    expected = ((by_rows._differences(x).detach().double() - d.mean(0)) @ vt[:8].T / s[:8]).square().sum(1)
    assert by_rows.whitening.shape == (43, 8)
    assert by_rows.of_rows(x)["deviation/nap"] == pytest.approx(expected.numpy(), rel=1e-4)


def test_pathway_ends_in_the_latents():
    """Breaks if the posterior's mean is left out of a VAE's pathway, or an autoencoder's latents stand in it twice."""
    x = Batch(rows(5))
    for case, width in (("vae", 16 + 16 + 3), ("ae", 16 + 16 + 8 + 3), ("conv", 16 + 2 * 4 + 3)):
        model = trained(case, 1)
        h = pathway(model, x, model.encode(x))
        assert h.shape == (5, width)
        assert torch.allclose(h[:, -3:], model.encode(x))


def test_latent_cycle_by_hand():
    """Breaks if the cycle compares other latents."""
    model, x = trained("vae"), rows(6, 4)
    z = model.encode(Batch(x))
    again = model.encode(Batch(model.decode(z, Batch(x))))
    scores = Deviation(fitted_on(model, rows(300))).of_rows(Batch(x))
    assert scores["deviation/latent_cycle"] == pytest.approx((z - again).square().sum(1).detach().numpy(), rel=1e-4)


def test_bound_has_its_parts():
    """Breaks if the negative bound is not reconstruction plus penalty, or lies below the likelihood it bounds."""
    model = trained("vae")
    scores = every_score(fitted_on(model, rows(300), 64), rows(200, 4))
    assert (scores["density/elbo"] > scores["deviation/neg_log_likelihood"]).all()
    assert scores["density/elbo"].mean() > scores["density/neg_log_likelihood"].mean()


def test_mixture_and_centroids_see_clusters():
    """Breaks if the middle between two clusters counts as near them, which it is to the mean."""
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(-10, 1, (200, 2)), rng.normal(10, 1, (200, 2))])
    middle, inside = np.zeros((1, 2)), np.full((1, 2), 10.0)
    mixture = LatentMixture(Latents(z))
    assert mixture.mixture.n_components > 1
    assert mixture.neg_log_density(middle)[0] > mixture.neg_log_density(inside)[0] + 10
    assert Centroids(z, 0).distance(middle)[0] > 3 * Centroids(z, 0).distance(inside)[0]
    assert LatentMixture(Latents(rng.normal(size=(500, 2)))).mixture.n_components == 1


def test_more_rows_allow_more_gaussians():
    """Breaks if the mixture sees fewer rows than it is allowed, or more."""
    rng = np.random.default_rng(0)
    z = rng.choice(100, (2000, 1)) * 10 + rng.normal(0, 0.1, (2000, 1))  # a hundred clusters
    few, many = LatentMixture(Latents(z, 200)).mixture, LatentMixture(Latents(z, 2000)).mixture
    assert few.n_components <= 30 < many.n_components


def test_combination_by_hand(monkeypatch):
    """Breaks if scores are standardised by their own rows, or the logarithm, maximum or mean is of the wrong ones."""
    monkeypatch.setattr(combined, "KINDS", (("absent", "a"), ("density/b", "a"), ("zero",), ("same",)))
    e = np.e
    calibration = {"a": np.array([1, e**2]), "density/b": np.array([-1, 3]), "zero": np.zeros(2)}  # 1 +- 1, 1 +- 2
    calibration["same"] = np.full(2, 0.1)
    scores = {"a": np.array([e**4, e]), "density/b": np.array([1, 5]), "zero": np.ones(2), "same": np.ones(2)}
    out = combined_scores(scores, calibration)
    assert out["combined/max"] == pytest.approx([3, 2])
    assert out["combined/mean"] == pytest.approx([1.5, 1])


def test_calibration_rows_decide_the_combination_alone():
    """Breaks if validation rows change any score but the combined ones."""
    model, x = trained("ae"), rows(20, 3)
    without = every_score(fitted_on(model, rows(300)), x)
    given = every_score(fitted_on(model, rows(300), calibration=rows(50, 2)), x)
    changed = {name for name in given if not np.array_equal(given[name], without[name])}
    assert changed == {"combined/max", "combined/mean"}


@pytest.mark.parametrize("n", [3, 6, 7, 10])
def test_a_constant_latent_is_centred_only(n):
    """Breaks if what rounding leaves of equal values is taken for their spread, by which other rows are divided."""
    space = Standardised(np.full((n, 2), 5.7, dtype=np.float32))
    assert space(np.array([[5.7, 5.8]], dtype=np.float32)) == pytest.approx(np.array([[0, 0.1]]), abs=1e-5)


def test_a_mixture_on_one_row_is_named():
    """Breaks if one training row ends in an error of a library that names neither score nor rows."""
    model = build("pca.PCA", 4, {"n_latent": 1})
    reference = Reference(model, Batch(torch.ones(1, 4)), seed=0, n_importance=1, mixture_rows=10)
    with pytest.raises(DataError, match="density/gmm: a mixture needs 2 training rows at least, found 1"):
        LatentMixture(reference)

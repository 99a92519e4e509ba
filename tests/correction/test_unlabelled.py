"""Rows without a study or a tissue are no group of their own; the group at fault is named."""

import numpy as np
import pytest

from aeflow.correction import fit_correction
from aeflow.correction.combat import ComBat
from aeflow.correction.shrinkage import posterior
from aeflow.errors import DataError

METHODS = {
    "combat.ComBat": {},
    "wang2018.Wang2018": {},
    "zscore.ZScore": {},
    "quantile.Quantile": {},
    "ruv.RUV": {},
    "alignment.Align": {"n_components": 3},
    "transport.Transport": {"reference": "TCGA", "n_components": 3},
    "conditional_ae.ConditionalAE": {"reference": "TCGA", "n_components": 3, "n_steps": 5},
    "support.Support": {"limit": 0.0},
    "per_tissue.PerTissue": {"method": "combat.ComBat"},
    "chain.Chain": {"steps": [{"method": "zscore.ZScore"}]},
}


def rows(n_vars: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).gamma(4, 2, size=(40, n_vars))
    return X, np.repeat(["GTEx", "TCGA"], 20).astype(object), np.tile(["liver", "lung"], 20).astype(object)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("missing", ["", "NA", None, np.nan])
def test_rows_without_a_study_are_no_study(method, missing):
    """Breaks if rows without a study are corrected as a study of their own."""
    X, study, tissue = rows()
    study[[3, 4, 5, 6, 25]] = missing
    with pytest.raises(DataError, match="5 of 40 rows have no study, first row 3"):
        fit_correction(method, X, study, tissue, **METHODS[method])


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("combat.ComBat", {"covariates": True}),
        ("wang2018.Wang2018", {}),
        ("ruv.RUV", {}),
        ("per_tissue.PerTissue", {"method": "zscore.ZScore"}),
    ],
)
@pytest.mark.parametrize("missing", ["", "Not Reported", None])
def test_rows_without_a_tissue_are_no_tissue(method, options, missing):
    """Breaks if a method that protects labels, or works within them, takes missing ones for one more."""
    X, study, tissue = rows()
    tissue[[2, 3, 4, 5, 30, 31, 32]] = missing
    what = "condition" if method.startswith("wang") else "tissue"
    with pytest.raises(DataError, match=f"7 of 40 rows have no {what}, first row 2"):
        fit_correction(method, X, study, tissue, **options)


@pytest.mark.parametrize("method", ["combat.ComBat", "zscore.ZScore", "quantile.Quantile"])
def test_methods_that_do_not_ask_for_the_tissue_take_rows_without(method):
    """Breaks if sound input is refused for a label that nobody reads."""
    X, study, tissue = rows()
    given = fit_correction(method, X, study, tissue).apply(X, study, tissue)
    tissue[[3, 30]] = ""
    assert np.array_equal(fit_correction(method, X, study, tissue).apply(X, study, tissue), given)


def test_the_tissue_at_fault_is_named():
    """Breaks if the error of one tissue among many does not say which."""
    X, study, tissue = rows()
    X[np.ix_(np.flatnonzero((tissue == "lung") & (study == "GTEx")), np.arange(12))] = 1.0
    with pytest.raises(DataError, match="per_tissue: tissue 'lung': correction combat: "):
        fit_correction("per_tissue.PerTissue", X, study, tissue, method="combat.ComBat")


def test_a_gene_that_one_batch_has_no_residual_of_spoils_no_other():
    """Breaks if the non-parametric likelihood divides by 0 for one gene, and gives NaN, or a refusal, for all."""
    X, study, tissue = rows()
    X[:, 0] = np.where(tissue == "lung", 6.0, 2.0)  # the labels say all of it
    X[:20, 0] += np.tile([1.0, 1.0, -1.0, -1.0], 5)  # but in one study
    options = {"nonparametric": True, "covariates": True}
    found = ComBat.fit(X, study, tissue, **options).apply(X, study, tissue)
    assert np.isfinite(found).all() and np.abs(found[:, 1:] - X[:, 1:]).max() > 0.1


def test_a_gene_without_a_difference_does_not_stop_the_iteration():
    """Breaks if a change of 0 / 0, which is not above any tolerance, ends the iteration for all genes."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(8, 3)) * [0.3, 1, 3] + [1, 2, 3]
    of_gene = np.array([1.0, -1] * 4)[:, None]
    batch = np.hstack([of_gene, half[:, :1], -half[:, :1], half[:, 1:2], -half[:, 1:2], half[:, 2:], -half[:, 2:]])
    Z = np.vstack([batch, -batch])
    masks = [np.arange(16) < 8, np.arange(16) >= 8]
    found = posterior(Z, masks, None, False, False)
    Z[0, 0] += 1e-9
    for value, beside in zip(found, posterior(Z, masks, None, False, False), strict=True):
        np.testing.assert_allclose(value, beside, atol=1e-6)


def test_a_value_that_becomes_infinite_is_named():
    """Breaks if the table's check finds it later, where no correction is named."""
    X, study, tissue = rows()
    fitted = fit_correction("zscore.ZScore", X, study, tissue)
    X[7, 4] = 1e308
    with pytest.raises(DataError, match=r"correction zscore: variable 4 of row 7 becomes inf, as do 1 of 12"):
        fitted.apply(X, study, tissue)

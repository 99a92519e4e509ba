"""Data that no correction was made for: each is refused by name, or has finite values."""

import numpy as np
import pytest

from aeflow.correction import fit_correction
from aeflow.errors import DataError

N, N_VARS = 40, 30
SIDES = [{"method": "support.Support"}, {"method": "zscore.ZScore"}]
METHODS = {
    "combat": ("combat.ComBat", {}),
    "combat, reference": ("combat.ComBat", {"reference": "TCGA"}),
    "combat, covariates": ("combat.ComBat", {"covariates": True}),
    "combat, non-parametric": ("combat.ComBat", {"nonparametric": True}),
    "combat, mean only": ("combat.ComBat", {"mean_only": True}),
    "wang2018": ("wang2018.Wang2018", {}),
    "zscore": ("zscore.ZScore", {}),
    "quantile": ("quantile.Quantile", {}),
    "ruv": ("ruv.RUV", {}),
    "support": ("support.Support", {}),
    "alignment": ("alignment.Align", {}),
    "transport": ("transport.Transport", {"reference": "TCGA"}),
    "conditional_ae": ("conditional_ae.ConditionalAE", {"reference": "TCGA", "n_steps": 5}),
    "per_tissue": ("per_tissue.PerTissue", {"method": "combat.ComBat"}),
    "chain": ("chain.Chain", {"steps": [*SIDES, {"method": "alignment.Align"}]}),
}


def sound() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).gamma(4, 2, size=(N, N_VARS))
    return X, np.repeat(["GTEx", "TCGA"], N // 2), np.tile(["liver", "lung"], N // 2)


def degenerate(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, batch, tissue = sound()
    rows = np.arange(N)
    if case == "one gene":
        X = X[:, :1]
    elif case == "two genes":
        X = X[:, :2]
    elif case == "all genes alike":
        X = np.repeat(X[:, :1], N_VARS, axis=1)
    elif case == "a constant gene":
        X[:, 0] = 3
    elif case == "a gene absent in one study":
        X[: N // 2, 0] = 0
    elif case == "all zero":
        X[:] = 0
    elif case == "rows of zeros":
        X[:3] = 0
    elif case == "duplicated rows":
        X[: N // 2] = X[0]
    elif case == "two different rows":
        X = np.repeat(X[:2], N // 2, axis=0)
    elif case == "one row of a study":
        rows = rows[: N // 2 + 1]
    elif case == "two rows of a study":
        rows = rows[: N // 2 + 2]
    elif case == "two rows of each study":
        rows = np.r_[0, 1, N - 2, N - 1]
    elif case == "one row of a tissue":
        tissue = np.where(rows == 0, "skin", tissue)
    elif case == "tissue is study":
        tissue = np.where(batch == "GTEx", "liver", "lung")
    return X[rows], batch[rows], tissue[rows]


CASES = [
    "one gene",
    "two genes",
    "all genes alike",
    "a constant gene",
    "a gene absent in one study",
    "all zero",
    "rows of zeros",
    "duplicated rows",
    "two different rows",
    "one row of a study",
    "two rows of a study",
    "two rows of each study",
    "one row of a tissue",
    "tissue is study",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_is_refused_by_name_or_has_finite_values(name, case):
    """Breaks if a division by a spread, a rank or a number of rows of zero reaches the corrected values, or a job."""
    method, options = METHODS[name]
    X, batch, tissue = degenerate(case)
    try:
        corrected = fit_correction(method, X, batch, tissue, **options).apply(X, batch, tissue)
    except DataError as error:
        assert str(error).startswith("correction ")
        return
    assert np.isfinite(corrected).all()
    assert np.abs(corrected).max() < 100


@pytest.mark.parametrize("name", METHODS)
def test_sound_data_are_not_refused(name):
    """Breaks if a refusal above is a refusal of everything."""
    method, options = METHODS[name]
    X, batch, tissue = sound()
    fit_correction(method, X, batch, tissue, **options).apply(X, batch, tissue)


def test_one_gene_without_residual_variance_spoils_no_other(caplog):
    """Breaks if a gene that only one tumour of the reference has makes every gene NaN, or moves the others."""
    X, study, _ = sound()
    condition = np.where(np.arange(N) < N - 1, "normal", "tumour")
    X[:, 0] = 0
    X[:5, 0] = [1, 2, 1, 3, 1]
    X[N - 1, 0] = 6
    corrected = fit_correction("wang2018.Wang2018", X, study, condition).apply(X, study, condition)
    assert "1 of 30 variables have no variance beside the model in TCGA" in caplog.text
    assert np.array_equal(corrected[:, 0], X[:, 0].astype(np.float32))
    without = fit_correction("wang2018.Wang2018", X[:, 1:], study, condition).apply(X[:, 1:], study, condition)
    assert np.array_equal(corrected[:, 1:], without)

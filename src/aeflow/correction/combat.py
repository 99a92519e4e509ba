"""ComBat: location and scale of each gene and batch, shrunken by empirical Bayes, then removed.

    x_ijg = alpha_g + c_j beta_g + sigma_g (gamma_ig + sqrt(delta_ig) e_ijg)      batch i, row j, gene g
    x*    = (x - alpha - c beta - sigma gamma*) / sqrt(delta*) + alpha + c beta

gamma* and delta* are posterior means under a normal and an inverse gamma prior over genes (parametric), or under the
empirical distribution over the other genes (non-parametric).

Johnson, Li & Rabinovic (2007), Biostatistics 8:118-127; the numbers are those of R's sva::ComBat 3.46 (Leek et al.
2012), quirks included: genes constant inside a batch are left as they are, a batch of one row switches to mean-only,
the iteration stops on one criterion over all genes. What differs: the fit is frozen and `apply` corrects new rows, and
genes without residual variance, which sva makes NaN together with all others, are left as they are, too.
"""

from __future__ import annotations

import logging

import numpy as np

from aeflow.correction.correction import (
    Correction,
    check_fit,
    check_known,
    check_reference,
    decode_labels,
    encode_labels,
)
from aeflow.correction.shrinkage import posterior
from aeflow.errors import DataError

log = logging.getLogger(__name__)
ROUNDING = 1e-7  # of a variable's standard deviation: residuals below are rounding


class ComBat(Correction):
    """Frozen ComBat; `covariates` protects the tissue (the labels given as `tissue`)."""

    @classmethod
    def fit(
        cls,
        X,
        batch,
        tissue=None,
        *,
        reference: str | None = None,
        mean_only: bool = False,
        nonparametric: bool = False,
        covariates: bool = False,
    ):
        """Fit on X (n_fit, n_vars).

        Parameters
        ----------
        reference : batch label whose rows stay as they are and to which the others are brought; None: to the mean.
        mean_only : correct location alone.
        nonparametric : empirical instead of parametric priors.
        covariates : keep the differences between the labels `tissue` in the model.

        Raises
        ------
        DataError : tissue and batch are confounded, or the reference is no batch.
        """
        X, batch, tissue = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        if covariates and tissue is None:
            raise DataError(f"correction {cls.name}: covariates need the label of every row, none was given")
        if covariates:
            check_known(tissue, cls.labels, cls.name)
        levels = sorted(set(tissue)) if covariates else []
        masks = [batch == name for name in batches]
        alone = [name for name, rows in zip(batches, masks, strict=True) if rows.sum() == 1]
        if alone and not mean_only:
            log.warning(
                "correction %s: batch %r has one row, its variance is unknown: mean-only for all batches "
                "(as R's sva does)",
                cls.name,
                alone[0],
            )
            mean_only = True
        if len(alone) == len(batches) or reference in alone:
            raise DataError(f"correction {cls.name}: batch {alone[0]!r} has one row, so no variance can be estimated")
        varies = np.all([np.ptp(X[rows], axis=0) > 0 for rows in masks if rows.sum() > 1], axis=0)
        if not varies.any():
            raise DataError(f"correction {cls.name}: each of {X.shape[1]} variables is constant inside a batch")
        ref = None if reference is None else batches.index(reference)
        design = _design(tissue, levels)
        alpha, beta, sd = _model(X[:, varies], masks, design, ref, batches, levels)
        # one gene that the model explains entirely would be divided by 0, and spoil the prior that all genes share
        left = sd > ROUNDING * X[:, varies].std(0)
        if not left.all():
            log.warning(
                "correction %s: %d of %d variables have no variance beside the model%s: they stay as they are",
                cls.name,
                (~left).sum(),
                len(left),
                "" if reference is None else f" in {reference}",
            )
            varies[varies] = left
            alpha, beta, sd = alpha[left], beta[:, left], sd[left]
            if not left.any():
                raise DataError(f"correction {cls.name}: no variable has variance beside the model")
        Z = (X[:, varies] - alpha - (design @ beta if levels else 0.0)) / sd
        if nonparametric and not mean_only:  # its likelihood divides by the residual variance of each batch
            left = np.all([Z[rows].std(0) > ROUNDING for rows in masks], axis=0)
            varies[varies] = left
            alpha, beta, sd, Z = alpha[left], beta[:, left], sd[left], Z[:, left]
        with np.errstate(divide="ignore", invalid="ignore"):
            gamma, delta = posterior(Z, masks, ref, mean_only, nonparametric)
        if not (np.isfinite(gamma).all() and np.isfinite(delta).all()):
            raise DataError(
                f"correction {cls.name}: no prior can be estimated from {Z.shape[1]} variables: two are needed that "
                "differ in mean and variance"
            )
        full = {"alpha": np.zeros(X.shape[1]), "beta": np.zeros((len(beta), X.shape[1])), "sd": np.ones(X.shape[1])}
        full |= {"gamma": np.zeros((len(batches), X.shape[1])), "delta": np.ones((len(batches), X.shape[1]))}
        for key, value in {"alpha": alpha, "beta": beta, "sd": sd, "gamma": gamma, "delta": delta}.items():
            full[key][..., varies] = value
        full |= {"batches": encode_labels(batches), "levels": encode_labels(levels), "varies": varies}
        return cls(full | {"n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        s, levels, varies = self.arrays, decode_labels(self.arrays["levels"]), self.arrays["varies"]
        if levels:
            unknown = ["none given"] if tissue is None else sorted(set(tissue) - set(levels))
            if unknown:
                raise DataError(f"correction {self.name}: covariate {unknown[0]!r} was not seen; known: {levels}")
        index = np.searchsorted(self.batches, batch.astype(str))
        sd = np.sqrt(s["delta"])
        for i in range(len(self.batches)):
            rows = np.flatnonzero(index == i)
            mean = s["alpha"] + (_design(tissue[rows], levels) @ s["beta"] if levels else 0.0)
            corrected = (X[rows] - mean - s["sd"] * s["gamma"][i]) / sd[i] + mean
            untouched = not s["gamma"][i].any() and (s["delta"][i] == 1).all()  # the reference: not one bit changes
            X[rows] = X[rows] if untouched else np.where(varies, corrected, X[rows])
        return X


def _design(labels: np.ndarray | None, levels: list[str]) -> np.ndarray | None:
    """Return indicator columns (n, n_levels - 1) of all levels but the first; None without levels."""
    if not levels:
        return None
    return (np.asarray(labels, dtype=object)[:, None] == np.array(levels[1:], dtype=object)).astype(float)


def _model(X, masks, covariates, ref, batches, levels):
    """Return alpha (g,), beta (p, g) and sigma (g,) of sva's first step."""
    design = np.stack(masks, axis=1).astype(float)
    n_batch, n = design.shape[1], len(X)
    if ref is not None:
        design[:, ref] = 1.0
    if covariates is not None:
        design = np.hstack([design, covariates])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise DataError(f"correction combat: covariates {levels} are confounded with the batches {batches}")
    coefficients = np.linalg.solve(design.T @ design, design.T @ X)
    beta = coefficients[n_batch:]
    fitted = design @ coefficients
    if ref is None:
        alpha = np.array([rows.sum() / n for rows in masks]) @ coefficients[:n_batch]
        variance = np.mean((X - fitted) ** 2, axis=0)
    else:
        alpha = coefficients[ref]
        variance = np.mean((X - fitted)[masks[ref]] ** 2, axis=0)
    return alpha, beta, np.sqrt(variance)

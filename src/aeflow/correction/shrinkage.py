"""Empirical Bayes shrinkage of ComBat's location and scale, over all genes at once, step by step as R's sva.

    gamma_g ~ N(m, t2),  delta_g ~ inverse gamma(a, b)          priors from the moments over genes (parametric)
    gamma* = (t2 n gamma_hat + delta* m) / (t2 n + delta*)
    delta* = (b + sum_j (z_j - gamma*)^2 / 2) / (a + n/2 - 1)   the two are solved by iteration

Johnson, Li & Rabinovic (2007), Biostatistics 8:118-127, sections 3.1 (parametric) and 3.2 (non-parametric).
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-4  # relative change at which sva's it.sol stops
CHUNK = 256  # genes at once in the non-parametric integral: CHUNK x n_genes values in memory


def posterior(Z, masks, ref, mean_only, nonparametric):
    """Return gamma*, delta* (n_batch, g) of standardised Z (n, g); `masks`: rows of each batch, `ref`: its index."""
    design = np.stack(masks, axis=1).astype(float)
    if ref is not None:
        design[:, ref] = 1.0
    gamma_hat = np.linalg.solve(design.T @ design, design.T @ Z)
    gamma = np.zeros_like(gamma_hat)
    delta = np.ones_like(gamma_hat)
    for i, rows in enumerate(masks):
        if i == ref:
            continue
        z, g_hat = Z[rows], gamma_hat[i]
        d_hat = np.ones_like(g_hat) if mean_only else z.var(0, ddof=1)
        if nonparametric:
            gamma[i], delta[i] = _nonparametric(z, g_hat, d_hat)
        elif mean_only:
            gamma[i] = _mean(g_hat, g_hat.mean(), 1, 1.0, g_hat.var(ddof=1))
        else:
            gamma[i], delta[i] = _parametric(z, g_hat, d_hat)
    return gamma, delta


def _mean(g_hat, g_bar, n, d, t2):
    return (t2 * n * g_hat + d * g_bar) / (t2 * n + d)


def _parametric(z, g_hat, d_hat):
    """Solve for the posterior means by iteration (Johnson et al. 2007, section 3.1)."""
    n = len(z)
    g_bar = g_hat.mean()
    t2 = g_hat.var(ddof=1)
    m = d_hat.mean()
    s2 = d_hat.var(ddof=1)
    a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    centre = z.mean(0)
    within = ((z - centre) ** 2).sum(0)
    g_old, d_old, change = g_hat, d_hat, 1.0
    while change > TOLERANCE:
        g = _mean(g_hat, g_bar, n, d_old, t2)
        d = (0.5 * (within + n * (centre - g) ** 2) + b) / (n / 2 + a - 1)
        # sva divides by g_old itself, not its absolute value: kept, because it decides when to stop
        change = max(_change(g, g_old), _change(d, d_old))
        g_old, d_old = g, d
    return g_old, d_old


def _change(new, old):
    """Return the largest relative change; what is 0 and stays 0 has not changed."""
    difference = np.abs(new - old)
    with np.errstate(divide="ignore"):
        return np.divide(difference, old, out=np.zeros_like(old), where=difference > 0).max()


def _nonparametric(z, g_hat, d_hat):
    """Return means of (gamma, delta) of the other genes, weighted by the likelihood of this gene's rows."""
    n = len(z)
    centre = z.mean(0)
    within = ((z - centre) ** 2).sum(0)
    gamma = np.empty_like(g_hat)
    delta = np.empty_like(d_hat)
    for start in range(0, len(g_hat), CHUNK):
        genes = np.arange(start, min(start + CHUNK, len(g_hat)))
        sum2 = within[genes, None] + n * (centre[genes, None] - g_hat) ** 2  # (chunk, genes)
        loglik = -0.5 * n * np.log(2 * np.pi * d_hat) - sum2 / (2 * d_hat)
        loglik[np.arange(len(genes)), genes] = -np.inf
        weight = np.exp(loglik - loglik.max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        gamma[genes], delta[genes] = weight @ g_hat, weight @ d_hat
    return gamma, delta

"""Explanations of anomalous rows: genes that contribute most to the score, and gene sets rich in such genes.

    share_g = r_g^2 / sum_h r_h^2           r = x - x_hat; shares of one row sum to 1
    z_set   = (mean rank of the set's genes - (n + 1) / 2) / sd under random membership        Mann & Whitney 1947

The test is competitive (are these genes ranked above the others?) and takes genes as independent draws. Genes of a set
that rise and fall together make its p-values too small (Wu & Smyth 2012): q-values rank sets but are not an error rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import binary, matrix, vector


def gene_contributions(x: np.ndarray, x_hat: np.ndarray, typical: np.ndarray | None = None) -> np.ndarray:
    """Return the share (n_obs, n_vars) of each gene in the squared error of each row; rows sum to 1.

    Parameters
    ----------
    x, x_hat : (n_obs, n_vars), in the same unit.
    typical : (n_vars,) mean squared error per gene over training rows; squared errors are divided by it, so that genes
        no model reconstructs do not lead every list. None: shares of the squared-error score itself.

    Raises
    ------
    DataError : a row without any error, or a typical error that is not above 0.
    """
    x = matrix(x, "x")
    error = np.square(x - matrix(x_hat, "x_hat", n_obs=len(x), n_vars=x.shape[1]))
    if typical is not None:
        typical = vector(typical, "typical", x.shape[1])
        if (typical <= 0).any():
            raise DataError(f"typical: must be above 0, found {typical.min()} for variable {int(typical.argmin())}")
        error /= typical
    total = error.sum(1, keepdims=True)
    if (total == 0).any():
        raise UndefinedError(f"x_hat: row {int(total.argmin())} has no error, so there is nothing to explain")
    return error / total


def _check_mask(mask: np.ndarray, set_names: Sequence[str], n_vars: int) -> np.ndarray:
    """Return mask (n_vars, n_sets) as numbers 0, 1; DataError unless every set has some, not all of the variables."""
    mask = matrix(mask, "mask", n_obs=n_vars)
    if not np.isin(mask, (0, 1)).all():
        raise DataError(f"mask: must hold 0 and 1 only, found {mask[~np.isin(mask, (0, 1))][0]}")
    if len(set_names) != mask.shape[1]:
        raise DataError(f"set_names: {mask.shape[1]} names are needed, found {len(set_names)}")
    size = mask.sum(0)
    bad = np.flatnonzero((size == 0) | (size == n_vars))
    if len(bad):
        raise DataError(f"mask: set {set_names[bad[0]]!r} has {int(size[bad[0]])} of {n_vars} variables: no contrast")
    return mask


def _rank_z(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return z (n_rows, n_sets) and AUROC of set members' values above the others', ties counting half."""
    from scipy.stats import rankdata

    n, size = values.shape[1], mask.sum(0)
    ranks = rankdata(values, axis=1)
    mean = ranks @ mask / size
    # variance of a mean of `size` ranks drawn without replacement; that of ranks with ties is smaller than (n^2 - 1)/12
    variance = ranks.var(axis=1, ddof=1)[:, None] * (n - size) / (n * size)
    z = np.divide(mean - (n + 1) / 2, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)
    return z, (mean - (size + 1) / 2) / (n - size)


def set_enrichment(contribution: np.ndarray, mask: np.ndarray, set_names: Sequence[str]) -> pd.DataFrame:
    """Return which gene sets lead a list of genes, the best first.

    Parameters
    ----------
    contribution : (n_vars,) of one row, or the mean over a group's rows.
    mask : (n_vars, n_sets) of 0 and 1; set_names : (n_sets,).

    Returns
    -------
    Columns set, n_vars (of the set), auroc (chance that a gene of the set ranks above another), z, p (one-sided, normal
    approximation with ties), q (Benjamini-Hochberg over the sets).
    """
    from scipy.stats import false_discovery_control, norm

    contribution = vector(contribution, "contribution")
    mask = _check_mask(mask, set_names, len(contribution))
    z, auroc = (found[0] for found in _rank_z(contribution[None], mask))
    p = norm.sf(z)
    columns = {"set": list(set_names), "n_vars": mask.sum(0).astype(int), "auroc": auroc, "z": z, "p": p}
    frame = pd.DataFrame(columns | {"q": false_discovery_control(p)})
    return frame.sort_values("z", ascending=False, kind="stable").reset_index(drop=True)


def donor_means(activity: pd.DataFrame, obs: pd.DataFrame, anomaly: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Return mean activities of each donor's normal and anomalous rows, and which of them are anomalous.

    activity : (n_obs, n_sets); obs : their rows, with donor_id; anomaly : (n_obs,) bool.
    """
    grouped = activity.groupby([obs["donor_id"].to_numpy(), anomaly]).mean()
    return grouped.reset_index(drop=True), grouped.index.get_level_values(1).to_numpy(dtype=bool)


def differential_activity(activity: np.ndarray, group: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return which gene-set nodes differ between two groups of rows, the surest first.

    Parameters
    ----------
    activity : (n_obs, n_sets) of nodes, as a gene-set model exports them.
    group : (n_obs,) 1 = the group of interest (tumour); names : (n_sets,). Rows count as independent: hand in one row
        per donor, or the mean of each donor's rows.

    Returns
    -------
    Columns set, auroc (chance that a row of group 1 is above one of group 0), median_difference (group 1 minus 0), p
    (two-sided Mann-Whitney), q (Benjamini-Hochberg over the sets). The sign of a node is that of its weights: auroc
    0.1 and 0.9 are the same evidence.
    """
    from scipy.stats import false_discovery_control, mannwhitneyu

    activity = matrix(activity, "activity", least=2)
    group = binary(group, "group", len(activity))
    if len(names) != activity.shape[1]:
        raise DataError(f"names: {activity.shape[1]} names are needed, found {len(names)}")
    one, other = activity[group], activity[~group]
    varies = np.ptp(activity, axis=0) > 0
    # a node that never varies does not differ between the groups
    auroc = np.full(len(varies), 0.5)
    p = np.ones(len(varies))
    if varies.any():
        test = mannwhitneyu(one[:, varies], other[:, varies], axis=0)
        auroc[varies], p[varies] = test.statistic / (len(one) * len(other)), test.pvalue
    columns = {"set": list(names), "auroc": auroc, "median_difference": np.median(one, 0) - np.median(other, 0), "p": p}
    frame = pd.DataFrame(columns | {"q": false_discovery_control(p)})
    return frame.sort_values("p", kind="stable").reset_index(drop=True)

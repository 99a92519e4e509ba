"""Ranks over many tasks: mean ranks of models, the Friedman test, and the Nemenyi critical difference.

    chi2 = (k - 1) sum_j (R_j - n (k + 1) / 2)^2 / sum_ij (r_ij - (k + 1) / 2)^2
    CD   = q_alpha sqrt(k (k + 1) / (12 n))

r_ij: rank of model j of k in block i of n; R_j: sum over blocks; q: studentized range of k means, infinite degrees of
freedom. Demšar 2006 (JMLR 7:1, whose q is this one divided by sqrt 2); with ties chi2 is that of Conover 1999. Blocks
count as independent: scores of one data set are not, so the differences found are at most as sure as they look.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aeflow.errors import DataError

BLOCK = ("dataset", "view", "task", "score")
ALPHA = 0.05


def critical_difference(n_models: int, n_blocks: int, alpha: float = ALPHA) -> float:
    """Return the least difference of mean ranks that is significant at `alpha` over all pairs of models."""
    from scipy.stats import studentized_range

    if n_models < 2 or n_blocks < 1 or not 0 < alpha < 1:
        raise DataError(f"2 models, 1 block and alpha in 0..1 are needed, found {n_models}, {n_blocks}, {alpha}")
    q = studentized_range.ppf(1 - alpha, n_models, np.inf)
    return float(q * np.sqrt(n_models * (n_models + 1) / (12 * n_blocks)))


def friedman(ranks: np.ndarray) -> tuple[float, float]:
    """Return statistic and p of ranks (n_blocks, n_models), ties allowed; for two models as well (a sign test)."""
    from scipy.stats import chi2

    n, k = ranks.shape
    spread = np.square(ranks - (k + 1) / 2).sum()
    if spread == 0:  # all models are equal in every block
        return 0.0, 1.0
    statistic = (k - 1) * np.square(ranks.sum(0) - n * (k + 1) / 2).sum() / spread
    return float(statistic), float(chi2.sf(statistic, k - 1))


def rank_summary(
    values: pd.DataFrame,
    *,
    block: Sequence[str] = BLOCK,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> pd.DataFrame:
    """Return one row per model, the best mean rank first.

    Parameters
    ----------
    values : columns `block`, model, value; one row per block and model (means over seeds).
    block : what a task is; models are ranked within it, 1 = best, ties share the mean rank.
    higher_is_better : of `value`.

    Returns
    -------
    Columns model, mean_rank, n_best (blocks in which no model is better), as_good_as_best (within the critical
    difference of the best mean rank), and, the same in each row, n_blocks, n_blocks_dropped (a model is missing there),
    friedman_statistic, friedman_p, critical_difference.

    Raises
    ------
    DataError : a missing column, a value that is not finite, a model twice in a block, fewer than two models, or no
        block that has all models.
    """
    missing = [c for c in (*block, "model", "value") if c not in values]
    if missing:
        raise DataError(f"rank_summary: column {missing[0]!r} does not exist; there are {list(values.columns)}")
    if not np.isfinite(values["value"]).all():
        row = values[~np.isfinite(values["value"])].iloc[0]
        raise DataError(f"rank_summary: {row[[*block, 'model']].to_dict()} has value {row['value']}")
    twice = values.duplicated([*block, "model"])
    if twice.any():
        raise DataError(
            f"rank_summary: more than one value of {values.loc[twice, [*block, 'model']].iloc[0].to_dict()}"
        )
    wide = values.pivot(index=list(block), columns="model", values="value")
    whole = wide.dropna()
    n, k = whole.shape
    if k < 2:
        raise DataError(f"rank_summary: at least 2 models are needed, found {wide.columns.tolist()}")
    if not n:
        raise DataError(f"rank_summary: none of {len(wide)} blocks has all of {wide.columns.tolist()}")
    ranks = whole.rank(axis=1, ascending=not higher_is_better)
    best = whole.max(axis=1) if higher_is_better else whole.min(axis=1)
    statistic, p = friedman(ranks.to_numpy())
    cd = critical_difference(k, n, alpha)
    mean_rank = ranks.mean()
    frame = pd.DataFrame(
        {
            "model": whole.columns,
            "mean_rank": mean_rank.to_numpy(),
            "n_best": whole.eq(best, axis=0).sum().to_numpy(),
            "as_good_as_best": (mean_rank - mean_rank.min() < cd).to_numpy(),
            "n_blocks": n,
            "n_blocks_dropped": len(wide) - n,
            "friedman_statistic": statistic,
            "friedman_p": p,
            "critical_difference": cd,
        }
    )
    return frame.sort_values(["mean_rank", "model"]).reset_index(drop=True)

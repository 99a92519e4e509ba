"""Leaderboards: mean and spread over seeds of every metric, and the paired difference to PCA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from aeflow.errors import DataError

BASELINE = "pca"  # name of the model every other one is compared with
LOWER_IS_BETTER = ("mse", "neg_log_likelihood")
NEUTRAL = ("control_auroc", "n_normal", "n_anomaly", "sd_ratio")  # neither large nor small is good
CONFIDENCE = 0.95


def leaderboard(runs: Iterable[tuple[dict[str, Any], dict[str, float]]]) -> pd.DataFrame:
    """Return one row per view, model and metric.

    Parameters
    ----------
    runs : (description, metrics) of each run of one dataset: the contents of model.json and metrics.json.

    Returns
    -------
    Columns dataset, origin, view, model, metric, n_seeds, mean, sd, pca_mean, difference (to PCA, paired by seed),
    ci_low, ci_high (Student's t over seeds, 95 %), higher_is_better, verdict. The interval covers the randomness of
    training alone, not that of the test set.
    """
    rows = [
        {**{key: info[key] for key in ("dataset", "origin", "view", "model", "seed")}, "metric": name, "value": value}
        for info, metrics in runs
        for name, value in metrics.items()
    ]
    frame = pd.DataFrame(rows)
    out = []
    for (dataset, origin, view, metric), group in frame.groupby(["dataset", "origin", "view", "metric"], sort=True):
        by_model = group.pivot(index="seed", columns="model", values="value")
        if BASELINE not in set(frame.loc[frame["view"] == view, "model"]):
            raise DataError(f"{dataset}, view {view}: there is no run of {BASELINE!r} to compare with")
        for model in by_model.columns:
            values = by_model[model].dropna()
            row = {"dataset": dataset, "origin": origin, "view": view, "model": model, "metric": metric}
            row |= {"n_seeds": len(values), "mean": values.mean(), "sd": values.std(ddof=1)}
            out.append(row | _against_baseline(by_model, model, metric))
    return pd.DataFrame(out)


def _against_baseline(by_model: pd.DataFrame, model: str, metric: str) -> dict[str, Any]:
    kind = metric.rsplit("/", 1)[-1]
    better = None if kind in NEUTRAL else kind not in LOWER_IS_BETTER
    row = {"pca_mean": np.nan, "difference": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    row |= {"higher_is_better": better, "verdict": ""}
    if BASELINE not in by_model or model == BASELINE:
        return row
    pairs = by_model[[model, BASELINE]].dropna()
    difference = pairs[model] - pairs[BASELINE]
    n, mean = len(difference), difference.mean()
    row |= {"pca_mean": pairs[BASELINE].mean(), "difference": mean}
    if n > 1:
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n)
        row |= {"ci_low": mean - half, "ci_high": mean + half}
    if better is not None:
        low = row["ci_low"] if better else -row["ci_high"]
        row["verdict"] = "better than PCA" if low > 0 else "not better than PCA"
    return row


def headline(metrics: Iterable[str]) -> list[str]:
    """Return the metrics a person wants to see first: reconstruction, AUROC of each score, and its control."""
    shown = ("reconstruction/test/mse", "reconstruction/test/explained_variance")
    return [m for m in sorted(set(metrics)) if m in shown or m.endswith("auroc")]


def as_text(board: pd.DataFrame) -> str:
    """Return the leaderboard as text: per view and task, models as rows, mean ± sd, and PCA's verdict."""
    lines: list[str] = []
    dataset, origin = board["dataset"].iloc[0], board["origin"].iloc[0]
    title = f"Dataset {dataset}" + (" - SIMULATED DATA, not measurements" if origin == "simulated" else "")
    lines += [title, "=" * len(title)]
    for view, of_view in board.groupby("view", sort=True):
        lines += ["", f"view {view}", "-" * (5 + len(view))]
        for metric in headline(of_view["metric"]):
            if metric.endswith("control_auroc"):
                continue  # stands beside its AUROC
            rows = of_view[of_view["metric"] == metric]
            control = of_view[of_view["metric"] == metric.removesuffix("auroc") + "control_auroc"].set_index("model")
            better = "higher" if rows["higher_is_better"].iloc[0] else "lower"
            lines.append(f"{metric}  ({better} is better)")
            rows = rows.sort_values("mean", ascending=better == "lower")
            lines += [_text_row(row, control) for row in rows.itertuples()]
    return "\n".join(lines) + "\n"


def _text_row(row: Any, control: pd.DataFrame) -> str:
    sd = f"± {row.sd:.4f}" if np.isfinite(row.sd) else "(one seed)"
    text = f"  {row.model:<16} {row.mean:9.4f} {sd:<10}"
    if len(control):
        text += f"  control {control.loc[row.model, 'mean']:.3f}"
    if row.verdict:
        interval = f" [{row.ci_low:+.4f}, {row.ci_high:+.4f}]" if np.isfinite(row.ci_low) else ""
        text += f"  {row.verdict}: difference {row.difference:+.4f}{interval}"
    return text.rstrip()

"""Leaderboards: mean and spread over seeds of every metric, and the paired difference to PCA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from aeflow.errors import DataError

BASELINE = "pca"  # name of the model every other one is compared with
LOWER_IS_BETTER = (
    "mse",
    "neg_log_likelihood",
    "fpr_at_95_recall",
    "frechet",
    "mmd2",
    "two_sample_auroc",
    "copies",
    "largest_angle",
    "mean_squared_sine",
    "false_discovery_proportion",
)
NEUTRAL = (  # neither large nor small is good, or not the model's doing
    "control_auroc",
    "control_negative_alarms",
    "control_positive_alarms",
    "n_normal",
    "n_anomaly",
    "sd_ratio",
    "frechet_floor",
    "distance_ratio",
    "hoyer",
    "near_zero",
    "unused",
    "majority",
    "ks",
    "ks_excess",
    "alarms",
    "n_discoveries",
    "n_tumours",
    "n_injected",
    "prevalence",
    "n_real",
    "n_added",
    "n_repeats",
    "accuracy_control",
    "accuracy_real",
)
NEUTRAL_SUFFIXES = ("_low", "_high", "_sd")
CONFIDENCE = 0.95
CONTROL_MARGIN = 0.1  # a control AUROC further from 0.5 is marked


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
    neutral = kind in NEUTRAL or kind.endswith(NEUTRAL_SUFFIXES) or "/baseline/" in metric
    better = None if neutral else kind not in LOWER_IS_BETTER
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
    """Return the leaderboard as text: per view and metric, models from best to worst, mean ± sd, verdict on PCA."""
    dataset, origin = board["dataset"].iloc[0], board["origin"].iloc[0]
    title = f"Dataset {dataset}" + (": SIMULATED DATA, no measurements" if origin == "simulated" else "")
    lines = [title, "=" * len(title)]
    for view, of_view in board.groupby("view", sort=True):
        n_seeds = of_view["n_seeds"].max()
        lines += ["", f"trained on view {view}, {n_seeds} seed{'s' if n_seeds > 1 else ''}", ""]
        for metric in headline(of_view["metric"]):
            if not metric.endswith("control_auroc"):  # a control stands beside its AUROC
                lines += _text_of_metric(of_view, metric)
    lines += ["", "Intervals: 95 %, paired by seed; they cover the randomness of training, not that of the test set."]
    if board["metric"].str.endswith("control_auroc").any():
        lines += [
            "Control: AUROC of the same score for the normals of one study against those of the other; 0.5 is right.",
            f"! is more than {CONTROL_MARGIN} from it: the score detects the study, not tumours alone.",
            "Alarms: share of the normals of either study above a threshold that 5 % of the validation normals exceed.",
        ]
    return "\n".join(lines) + "\n"


def _means(of_view: pd.DataFrame, metric: str) -> pd.Series:
    """Return the mean of a metric by model, empty where there is none."""
    return of_view[of_view["metric"] == metric].set_index("model")["mean"]


def _text_of_metric(of_view: pd.DataFrame, metric: str) -> list[str]:
    rows = of_view[of_view["metric"] == metric]
    stem = metric.removesuffix("auroc")
    control = _means(of_view, f"{stem}control_auroc")
    alarms = [_means(of_view, f"{stem}control_{side}_alarms") for side in ("negative", "positive")]
    higher = rows["higher_is_better"].iloc[0]
    lines = [f"{metric}  ({'higher' if higher else 'lower'} is better)"]
    if "/baseline/" in metric:  # knows no model: every row is the same
        rows = rows[rows["model"] == BASELINE].assign(model="(no model)")
        control, *alarms = (means.rename({BASELINE: "(no model)"}) for means in (control, *alarms))
    for row in rows.sort_values("mean", ascending=not higher).itertuples():
        sd = f"± {row.sd:.4f}" if np.isfinite(row.sd) else ""
        text = f"  {row.model:<16} {row.mean:9.4f} {sd:<9}"
        if len(control):
            mark = "!" if abs(control[row.model] - 0.5) > CONTROL_MARGIN else " "
            text += f"  control {control[row.model]:.3f}{mark}"
            text += "  alarms " + " / ".join(f"{means[row.model]:4.0%}" for means in alarms if len(means))
        if row.verdict:
            interval = f" [{row.ci_low:+.4f}, {row.ci_high:+.4f}]" if np.isfinite(row.ci_low) else ""
            text += f"  {row.verdict}: {row.difference:+.4f}{interval}"
        lines.append(text.rstrip())
    return lines

"""Leaderboards: mean and spread over seeds of every metric, and the paired difference to PCA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from aeflow.comparison.ranks import rank_summary
from aeflow.errors import DataError

BETTER = "better than PCA"
BASELINE = "pca"  # name of the model every other one is compared with
NO_MODEL = "(no model)"  # in the place of a name, for what PCA's run carries for all
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
    "n_control",
    "n_repeats",
    "accuracy_control",
    "accuracy_real",
)
NEUTRAL_SUFFIXES = ("_low", "_high", "_sd")
CONFIDENCE = 0.95
CONTROL_MARGIN = 0.1  # a control AUROC further from 0.5 is marked


def leaderboard(
    runs: Iterable[tuple[dict[str, Any], dict[str, float]]], donors: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row per view, model and metric.

    Parameters
    ----------
    runs : (description, metrics) of each run of one dataset: the contents of model.json and metrics.json.
    donors : intervals over donors, as `aeflow.comparison.paired.donor_intervals` returns them.

    Returns
    -------
    Columns dataset, origin, view, model, metric, n_seeds, mean, sd, pca_mean, difference (to PCA, paired by seed),
    ci_low, ci_high (Student's t over seeds, 95 %), higher_is_better, verdict, donor_low, donor_high (bootstrap over
    test donors, where given). "better than PCA" needs every interval there is to lie on the better side of 0. What a
    model was given (its covariates) it cannot be credited with finding: the verdict of representation/{column} is
    "was given {column}".
    """
    runs = list(runs)
    given = {info["model"]: set(info.get("covariates") or ()) for info, _ in runs}
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
            row |= _against_baseline(by_model, model, metric)
            column = metric.split("/")[1] if metric.startswith("representation/") else None
            out.append(row | ({"verdict": f"was given {column}"} if column in given[model] else {}))
    board = pd.DataFrame(out)
    if donors is None or donors.empty:
        return board.assign(donor_low=np.nan, donor_high=np.nan)
    board = board.merge(donors, on=["view", "model", "metric"], how="left")
    unsure = (board["verdict"] == BETTER) & (board["donor_low"] <= 0)  # these metrics are AUROCs: higher is better
    board.loc[unsure, "verdict"] = f"not {BETTER}"
    return board


def _against_baseline(by_model: pd.DataFrame, model: str, metric: str) -> dict[str, Any]:
    kind = metric.rsplit("/", 1)[-1]
    neutral = kind in NEUTRAL or kind.endswith(NEUTRAL_SUFFIXES) or "/baseline/" in metric
    neutral = neutral or metric.startswith("validation/")
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
        row["verdict"] = BETTER if low > 0 else f"not {BETTER}"
    return row


def ranks(board: pd.DataFrame) -> pd.DataFrame:
    """Return mean ranks of the models over views, tasks and scores by mean AUROC, with Nemenyi's critical difference.

    Only scores that every model has count, and only models of every view; empty if fewer than two blocks or models
    are left.
    """
    rows = board[board["metric"].str.fullmatch(r"anomaly/.+/auroc") & ~board["metric"].str.contains("baseline|control")]
    everywhere = rows.groupby("model")["view"].nunique()
    rows = rows[rows["model"].isin(everywhere.index[everywhere == rows["view"].nunique()])]
    counts = rows.groupby(["view", "metric"])["model"].nunique()
    whole = counts.index[counts == rows["model"].nunique()]
    rows = rows[pd.MultiIndex.from_frame(rows[["view", "metric"]]).isin(whole)]
    if rows["model"].nunique() < 2 or len(whole) < 2:
        return pd.DataFrame(columns=["model", "mean_rank", "n_blocks", "critical_difference"])
    values = rows.rename(columns={"mean": "value"})[["view", "metric", "model", "value"]]
    return rank_summary(values, block=("view", "metric"))


HEADLINE = (
    r"reconstruction/test/(mse|explained_variance)",
    r"likelihood/test/\w+/neg_log_likelihood",
    r"anomaly/.+/(control_)?auroc",
    r"dilution/(20|50)/(deviation/squared_error|proximity/knn|combined/max|baseline/.+)/auroc",
    r"gene_outliers/(baseline/z_score/)?z3/auprc",
    r"representation/(baseline/)?\w+/(logistic|mlp)/accuracy",
    r"representation/(subspace/largest_angle|stability/cka|variables/set_auroc)",
    r"generation/(baseline/\w+|prior|normal|gmm|chain1000)/(frechet|coverage|gamma|control_accuracy)",
)

PICTURED = (
    r"reconstruction/test/explained_variance",
    r"anomaly/\w+/(deviation/squared_error|proximity/knn|combined/max|density/neg_log_likelihood)/auroc",
    r"dilution/20/combined/max/auroc",
    r"representation/(digit|tissue)/logistic/accuracy",
    r"generation/prior/frechet",
)


def headline(metrics: Iterable[str]) -> list[str]:
    """Return the metrics a person wants to see first: errors, likelihoods, AUROCs and controls, draws, probes."""
    return [m for m in sorted(set(metrics)) if any(re.fullmatch(pattern, m) for pattern in HEADLINE)]


def pictured(metrics: Iterable[str]) -> list[str]:
    """Return the few of them that the figure shows; the text has more."""
    return [m for m in sorted(set(metrics)) if any(re.fullmatch(pattern, m) for pattern in PICTURED)]


def as_text(board: pd.DataFrame, note: str = "") -> str:
    """Return the leaderboard as text: per view and metric, models from best to worst, mean ± sd, verdict on PCA.

    note : sentence about the data for the foot, such as `aeflow.expression.quality.gate_text` gives.
    """
    dataset, origin = board["dataset"].iloc[0], board["origin"].iloc[0]
    title = f"Dataset {dataset}" + (": SIMULATED DATA, no measurements" if origin == "simulated" else "")
    lines = [title, "=" * len(title)]
    for view, of_view in board.groupby("view", sort=True):
        n_seeds = of_view["n_seeds"].max()
        lines += ["", f"trained on view {view}, {n_seeds} seed{'s' if n_seeds > 1 else ''}", ""]
        for metric in headline(of_view["metric"]):
            if not metric.endswith("control_auroc"):  # a control stands beside its AUROC
                lines += _text_of_metric(of_view, metric)
    lines += [
        "",
        "Intervals: 95 %; paired by seed, for the randomness of training; over donors, for that of the test set.",
    ]
    if board["metric"].str.endswith("control_auroc").any():
        lines += [
            "Control: AUROC of the same score for the normals of one study against those of the other; 0.5 is right.",
            f"! is more than {CONTROL_MARGIN} from it: the score detects the study, not tumours alone.",
            "Alarms: share of the normals of either study above a threshold that 5 % of the validation normals exceed.",
        ]
    if note:
        lines.append(note)
    return "\n".join(lines) + "\n"


def _means(of_view: pd.DataFrame, metric: str) -> pd.Series:
    """Return the mean of a metric by model, empty where there is none."""
    return of_view[of_view["metric"] == metric].set_index("model")["mean"]


def _text_of_metric(of_view: pd.DataFrame, metric: str) -> list[str]:
    rows = of_view[of_view["metric"] == metric]
    stem = metric.removesuffix("auroc")
    control = _means(of_view, f"{stem}control_auroc")
    alarms = [_means(of_view, f"{stem}control_{side}_alarms") for side in ("negative", "positive")]
    higher = metric.rsplit("/", 1)[-1] not in LOWER_IS_BETTER
    lines = [f"{metric}  ({'higher' if higher else 'lower'} is better)"]
    if "/baseline/" in metric:  # knows no model: every row is the same
        rows = rows[rows["model"] == BASELINE].assign(model=NO_MODEL)
        control, *alarms = (means.rename({BASELINE: NO_MODEL}) for means in (control, *alarms))
    for row in rows.sort_values("mean", ascending=not higher).itertuples():
        sd = f"± {row.sd:.4f}" if np.isfinite(row.sd) else ""
        text = f"  {row.model:<16} {row.mean:9.4f} {sd:<9}"
        if len(control):
            mark = "!" if abs(control[row.model] - 0.5) > CONTROL_MARGIN else " "
            text += f"  control {control[row.model]:.3f}{mark}"
            text += "  alarms " + " / ".join(f"{means[row.model]:4.0%}" for means in alarms if len(means))
        if row.verdict:
            interval = f" [{row.ci_low:+.4f}, {row.ci_high:+.4f}]" if np.isfinite(row.ci_low) else ""
            if np.isfinite(row.donor_low):
                interval += f" donors [{row.donor_low:+.4f}, {row.donor_high:+.4f}]"
            text += f"  {row.verdict}: {row.difference:+.4f}{interval}"
        lines.append(text.rstrip())
    return lines

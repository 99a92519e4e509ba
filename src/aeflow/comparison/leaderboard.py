"""Leaderboard: mean and spread over seeds of every metric, and the paired difference to the baseline model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.comparison.ranks import rank_summary
from aeflow.comparison.shown import headline_rows
from aeflow.errors import DataError
from aeflow.evaluation.metric import Metric, metric_frame, metric_text
from aeflow.training.specification import Specification

NO_MODEL = "(no model)"  # shown instead of a model's name for numbers independent of the model
CONFIDENCE = 0.95
CONTROL_MARGIN = 0.1  # a control AUROC further from 0.5 is marked
METRIC = ("part", "subject", "score", "name")


@dataclass(frozen=True)
class Verdicts:
    """What a leaderboard says of a model beside the baseline, e.g. "better than PCA"."""

    baseline: str  # as a person calls it

    @property
    def better(self) -> str:
        return f"better than {self.baseline}"

    @property
    def not_better(self) -> str:
        return f"not better than {self.baseline}"

    @property
    def none(self) -> str:
        """One seed has no interval, and nothing can be said."""
        return "no verdict (one seed)"

    def of(self, direction: str, low: float, high: float) -> str:
        """Return the verdict of an interval of differences; "" where no direction is better."""
        if direction == "none":
            return ""
        if not (np.isfinite(low) and np.isfinite(high)):
            return self.none
        gained = low > 0 if direction == "higher" else high < 0
        return self.better if gained else self.not_better


class Leaderboard:
    """One row per view, model and metric of one dataset.

    frame : columns dataset, origin, view, model, part, subject, score, name, metric (the four joined by slashes),
    direction, baseline (no model), n_seeds, mean, sd, low, high (mean bounds of the interval inside a run),
    baseline_mean, difference (to the baseline model, paired by seed), ci_low, ci_high (Student's t over seeds, 95 %),
    verdict, donor_low, donor_high (bootstrap over test donors, where given).
    """

    def __init__(self, frame: pd.DataFrame, baseline: str, label: str):
        self.frame = frame
        self.baseline = baseline
        self.verdicts = Verdicts(label)

    @classmethod
    def of_runs(
        cls,
        runs: Iterable[tuple[Specification, Sequence[Metric]]],
        baseline: str,
        *,
        donors: pd.DataFrame | None = None,
        stability: pd.DataFrame | None = None,
    ) -> Leaderboard:
        """Return the leaderboard of the runs of one dataset.

        Parameters
        ----------
        baseline : name of the model that every other one is compared with.
        donors : intervals over donors, as `aeflow.comparison.paired.donor_intervals` returns them.
        stability : rows of `aeflow.comparison.stability.stability_rows`.

        Verdicts follow from the declared direction of a metric. "Better" needs every interval there is to lie on the
        better side of 0; one seed has no interval, and then there is no verdict. A model gets no credit for a column
        it was given as a covariate: the verdict there is "was given {column}".

        DataError if a view has no run of the baseline.
        """
        runs = list(runs)
        values, label = _long(runs, baseline)
        verdicts = Verdicts(label)
        given = {spec.model: set(spec.covariates) for spec, _ in runs}
        rows: list[dict[str, Any]] = []
        keys = ["dataset", "origin", "view", *METRIC]
        for key, group in values.groupby(keys, sort=True):
            about = dict(zip(keys, key, strict=True))
            about["metric"] = metric_text(*(about[word] for word in METRIC))
            about |= {"direction": group["direction"].iloc[0], "baseline": bool(group["baseline"].iloc[0])}
            by_model = group.pivot(index="seed", columns="model", values="value")
            bounds = group.groupby("model")[["low", "high"]].mean()
            for model in by_model.columns:
                found = by_model[model].dropna()
                row = about | {"model": model, "n_seeds": len(found), "mean": found.mean(), "sd": found.std(ddof=1)}
                row |= {"low": bounds.loc[model, "low"], "high": bounds.loc[model, "high"]}
                row |= _difference(by_model, model, baseline)
                row["verdict"] = _verdict(row, model, baseline, given[model], verdicts)
                rows.append(row)
        board = pd.DataFrame(rows)
        if stability is not None and len(stability):
            board = pd.concat([board, stability], ignore_index=True)
        if donors is None or donors.empty:
            board = board.assign(donor_low=np.nan, donor_high=np.nan)
        else:
            board = board.merge(donors, on=["view", "model", *METRIC], how="left")
            wrong_side = np.where(board["direction"] == "lower", board["donor_high"] >= 0, board["donor_low"] <= 0)
            board.loc[(board["verdict"] == verdicts.better) & wrong_side, "verdict"] = verdicts.not_better
        return cls(board[list(COLUMNS)], baseline, label)

    def ranks(self) -> pd.DataFrame:
        """Return mean ranks of the models over views, tasks and scores by mean AUROC, with Nemenyi's difference.

        Only scores that every model has count, and only models of every view; empty if fewer than two blocks or models
        are left.
        """
        board = self.frame
        rows = board[(board["part"] == "anomaly") & (board["name"] == "auroc") & ~board["baseline"]]
        everywhere = rows.groupby("model")["view"].nunique()
        rows = rows[rows["model"].isin(everywhere.index[everywhere == rows["view"].nunique()])]
        counts = rows.groupby(["view", "metric"])["model"].nunique()
        whole = counts.index[counts == rows["model"].nunique()]
        rows = rows[pd.MultiIndex.from_frame(rows[["view", "metric"]]).isin(whole)]
        if rows["model"].nunique() < 2 or len(whole) < 2:
            return pd.DataFrame(columns=["model", "mean_rank", "n_blocks", "critical_difference"])
        values = rows.rename(columns={"mean": "value"})[["view", "metric", "model", "value"]]
        return rank_summary(values, block=("view", "metric"))

    def text(self, note: str = "", unfinished: pd.DataFrame | None = None) -> str:
        """Return the leaderboard as text: per view and metric, models from best to worst, mean ± sd, verdict.

        note : sentence about the data for the foot, such as `aeflow.expression.quality.gate_text` gives.
        unfinished : columns view, model, seed, reason of the runs that are not compared.
        """
        board = self.frame
        title = f"Dataset {board['dataset'].iloc[0]}"
        if board["origin"].iloc[0] == "simulated":
            title += ": SIMULATED DATA, no measurements"
        lines = [title, "=" * len(title)]
        for view, of_view in board.groupby("view", sort=True):
            n_seeds = of_view["n_seeds"].max()
            lines += ["", f"trained on view {view}, {n_seeds} seed{'s' if n_seeds > 1 else ''}", ""]
            for _, rows in of_view[headline_rows(of_view)].groupby("metric", sort=True):
                lines += self._text_of_metric(of_view, rows)
        if unfinished is not None and len(unfinished):
            lines += ["", "DID NOT FINISH, and is in no number above", ""]
            for row in unfinished.itertuples():
                lines.append(f"  {row.model:<16} view {row.view}, seed {row.seed}: {row.reason}")
        lines += [
            "",
            "Intervals: 95 %; paired by seed, for the randomness of training; over donors, for that of the test set.",
        ]
        if (board["name"] == "control_auroc").any():
            lines += [
                "Control: AUROC of the same score for the normals of one study against those of the other; 0.5 is "
                "right.",
                f"! is more than {CONTROL_MARGIN} from it: the score detects the study, not tumours alone.",
                "Alarms: share of the normals of either study above a threshold that 5 % of the validation normals "
                "exceed.",
            ]
        if note:
            lines.append(note)
        return "\n".join(lines) + "\n"

    def _text_of_metric(self, of_view: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
        first = rows.iloc[0]
        beside = {
            name: _means(of_view, first, name)
            for name in ("control_auroc", "control_negative_alarms", "control_positive_alarms")
        }
        if first["baseline"]:  # independent of the model: every row is the same
            rows = rows[rows["model"] == self.baseline].assign(model=NO_MODEL)
            beside = {name: means.rename({self.baseline: NO_MODEL}) for name, means in beside.items()}
        note = "" if first["direction"] == "none" else f"  ({first['direction']} is better)"
        lines = [f"{first['metric']}{note}"]
        for row in rows.sort_values("mean", ascending=first["direction"] == "lower", kind="stable").itertuples():
            sd = f"± {row.sd:.4f}" if np.isfinite(row.sd) else ""
            text = f"  {row.model:<16} {row.mean:9.4f} {sd:<9}"
            control = beside["control_auroc"]
            if first["name"] == "auroc" and len(control):
                mark = "!" if abs(control[row.model] - 0.5) > CONTROL_MARGIN else " "
                alarms = (beside[f"control_{side}_alarms"][row.model] for side in ("negative", "positive"))
                text += f"  control {control[row.model]:.3f}{mark}  alarms " + " / ".join(f"{a:4.0%}" for a in alarms)
            if row.verdict:
                interval = f" [{row.ci_low:+.4f}, {row.ci_high:+.4f}]" if np.isfinite(row.ci_low) else ""
                if np.isfinite(row.donor_low):
                    interval += f" donors [{row.donor_low:+.4f}, {row.donor_high:+.4f}]"
                text += f"  {row.verdict}: {row.difference:+.4f}{interval}"
            lines.append(text.rstrip())
        return lines


COLUMNS = (
    "dataset",
    "origin",
    "view",
    "model",
    *METRIC,
    "metric",
    "direction",
    "baseline",
    "n_seeds",
    "mean",
    "sd",
    "low",
    "high",
    "baseline_mean",
    "difference",
    "ci_low",
    "ci_high",
    "verdict",
    "donor_low",
    "donor_high",
)


def read_board(path: str | Path) -> pd.DataFrame:
    """Return the rows of a leaderboard.parquet; DataError if it holds something else."""
    board = pd.read_parquet(path)
    if tuple(board.columns) != COLUMNS:
        raise DataError(f"{path}: columns must be {COLUMNS}, found {tuple(board.columns)}")
    return board


def _long(runs: Sequence[tuple[Specification, Sequence[Metric]]], baseline: str) -> tuple[pd.DataFrame, str]:
    """Return a row per run and metric, and what a person calls the baseline: the name of its class."""
    frames = []
    label = baseline
    for spec, metrics in runs:
        about = {key: getattr(spec, key) for key in ("dataset", "origin", "view", "model", "seed")}
        frames.append(metric_frame(metrics).assign(**about))
        if spec.model == baseline:
            label = spec.architecture.rsplit(".", 1)[-1]
    values = pd.concat(frames, ignore_index=True)
    for view, of_view in values.groupby("view"):
        if baseline not in set(of_view["model"]):
            dataset = of_view["dataset"].iloc[0]
            raise DataError(f"{dataset}, view {view}: there is no run of {baseline!r} to compare with")
    directions = values.groupby(list(METRIC))["direction"].nunique()
    if (directions > 1).any():
        raise DataError(f"metric {'/'.join(directions.idxmax())}: runs disagree on its direction; assess them anew")
    return values, label


def _difference(by_model: pd.DataFrame, model: str, baseline: str) -> dict[str, float]:
    row = dict.fromkeys(("baseline_mean", "difference", "ci_low", "ci_high"), np.nan)
    if baseline not in by_model or model == baseline:
        return row
    from scipy.special import stdtrit  # a tenth of the import of scipy.stats

    pairs = by_model[[model, baseline]].dropna()
    difference = pairs[model] - pairs[baseline]
    n = len(difference)
    mean = difference.mean()
    row |= {"baseline_mean": pairs[baseline].mean(), "difference": mean}
    if n > 1:
        half = stdtrit(n - 1, 0.5 + CONFIDENCE / 2) * difference.std(ddof=1) / np.sqrt(n)
        row |= {"ci_low": mean - half, "ci_high": mean + half}
    return row


def _verdict(row: dict[str, Any], model: str, baseline: str, given: set[str], verdicts: Verdicts) -> str:
    if row["part"] == "representation" and row["subject"] in given:
        return f"was given {row['subject']}"
    if row["baseline"] or model == baseline or not np.isfinite(row["difference"]):
        return ""
    return verdicts.of(row["direction"], row["ci_low"], row["ci_high"])


def _means(of_view: pd.DataFrame, like: pd.Series, name: str) -> pd.Series:
    """Return the mean by model of metric `name` on the subject and score of `like`, empty where there is none."""
    same = (of_view["part"] == like["part"]) & (of_view["subject"] == like["subject"])
    rows = of_view[same & (of_view["score"] == like["score"]) & (of_view["name"] == name)]
    return rows.set_index("model")["mean"]

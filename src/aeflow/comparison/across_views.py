"""One task in many views (ten digits, each the normal one once): means over views, and a choice without test labels.

The model and score of a view are those with the best mean AUROC over the validation anomalies of all *other* views.
Neither test labels nor the view's own anomalies influence the choice: with ten digits, what finds nine kinds of anomaly
best is applied to the tenth. Where the views overlap (leave one class out), models of the other views were trained on
the tenth class as a normal one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from aeflow.comparison.leaderboard import NO_MODEL

CHOSEN, ANY = "(chosen)", "(any autoencoder)"
COLUMNS = ("task", "model", "score", "n_views", "auroc", "validation_auroc", "views")
N_PRINTED = 12  # rows of each task


def over_views(board: pd.DataFrame, tasks: Mapping[str, Any], baseline: str) -> pd.DataFrame:
    """Return one row per task, model and score: the mean AUROC over the task's views; best first within a task.

    board : rows of a leaderboard; tasks : entries of the configuration that apply to the dataset; those of one view
    have no row. baseline : name of the model that others are compared with.

    Returns
    -------
    Columns task, model, score, n_views, auroc (test), validation_auroc (NaN where the task does not choose its score),
    views (auroc by view, what was chosen in brackets). Of a task that chooses, a row "(chosen)" for every model, and
    one over all models except the baseline model and scores without a model, "(any autoencoder)".
    """
    found = []
    for name, task in tasks.items():
        values = _values(board, name, baseline)
        n_views = values["view"].nunique()
        if n_views < 2:
            continue
        everywhere = values.groupby(["model", "score"])["view"].transform("nunique") == n_views
        values = values[everywhere]
        rows = [_row(name, model, score, group) for (model, score), group in values.groupby(["model", "score"])]
        if task.get("choose_score"):
            rows += _chosen(name, values[values["model"] != NO_MODEL], baseline)
        found += sorted(rows, key=lambda row: -row["auroc"])
    return pd.DataFrame(found, columns=list(COLUMNS))


def _values(board: pd.DataFrame, task: str, baseline: str) -> pd.DataFrame:
    """Return columns view, model, score, auroc, validation_auroc of a task."""
    # a score without a model is the same in every run: take it from the baseline's
    of_task = board[(board["subject"] == task) & (board["name"] == "auroc")]
    of_task = of_task[~of_task["baseline"] | (of_task["model"] == baseline)]
    keys = ["view", "model", "score"]
    test = of_task[of_task["part"] == "anomaly"].rename(columns={"mean": "auroc"})
    val = of_task[of_task["part"] == "validation"].rename(columns={"mean": "validation_auroc"})
    values = test[[*keys, "baseline", "auroc"]].merge(val[[*keys, "validation_auroc"]], on=keys, how="left")
    values.loc[values["baseline"], "model"] = NO_MODEL
    return values


def _row(task: str, model: str, score: str, group: pd.DataFrame, names: dict[str, str] | None = None) -> dict[str, Any]:
    names, group = names or {}, group.sort_values("view")
    by_view = " ".join(f"{row.view} {row.auroc:.4f}{names.get(row.view, '')}" for row in group.itertuples())
    means = {column: group[column].mean() for column in ("auroc", "validation_auroc")}
    return {"task": task, "model": model, "score": score, "n_views": len(group), **means, "views": by_view}


def _chosen(task: str, values: pd.DataFrame, baseline: str) -> list[dict[str, Any]]:
    """Return a row for every model, its score chosen, and one for all autoencoders, model and score chosen."""
    autoencoders = values[values["model"] != baseline]
    groups = list(values.groupby("model")) + ([(ANY, autoencoders)] if autoencoders["model"].nunique() > 1 else [])
    rows = []
    for model, group in groups:
        taken = []
        for view in sorted(group["view"].unique()):
            others = group[group["view"] != view].groupby(["model", "score"])["validation_auroc"].mean()
            best = others.idxmax()
            here = group[(group["view"] == view) & (group["model"] == best[0]) & (group["score"] == best[1])]
            taken.append(here.assign(validation_auroc=others.max()))
        frame = pd.concat(taken, ignore_index=True)
        names = {r.view: f" ({r.model} {r.score})" if model == ANY else f" ({r.score})" for r in frame.itertuples()}
        rows.append(_row(task, model, CHOSEN, frame, names))
    return rows


def views_text(frame: pd.DataFrame) -> str:
    """Return the rows of `over_views` as text: what was chosen, then the best of the rest, which test labels rank."""
    lines = []
    for task, rows in frame.groupby("task", sort=True):
        lines += ["", f"task {task}: mean AUROC over {rows['n_views'].iloc[0]} views", ""]
        chosen = rows[rows["score"] == CHOSEN]
        for row in chosen.itertuples():
            lines.append(f"  {row.model:<18} {row.auroc:.4f}  chosen for each view by validation anomalies of others")
        rest = rows[rows["score"] != CHOSEN]
        if len(chosen):
            lines.append("  ranked by test labels, so the first ones are optimistic:")
        for row in rest.head(N_PRINTED).itertuples():
            lines.append(f"  {row.model:<18} {row.auroc:.4f}  {row.score}")
    return "\n".join(lines) + "\n" if lines else ""

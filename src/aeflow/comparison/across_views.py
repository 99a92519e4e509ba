"""One task in many views (ten digits, each the normal one once): means over views, and a choice without test labels.

The model and score of a view are those with the best mean AUROC over the validation anomalies of all *other* views.
Neither a test label nor an anomaly of the view's own has a say in it: what finds nine kinds of anomaly is tried on
the tenth. Where the views overlap (leave one class out), models of the other views were trained on the tenth class as
a normal one.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from aeflow.comparison.leaderboard import BASELINE, NO_MODEL

CHOSEN, ANY = "(chosen)", "(any autoencoder)"
COLUMNS = ("task", "model", "score", "n_views", "auroc", "validation_auroc", "views")
N_PRINTED = 12  # rows of each task


def over_views(board: pd.DataFrame, tasks: dict[str, Any]) -> pd.DataFrame:
    """Return one row per task, model and score: the mean AUROC over the task's views; best first within a task.

    board : a leaderboard; tasks : of the dataset; those of one view have no row.

    Returns
    -------
    Columns task, model, score, n_views, auroc (test), validation_auroc (NaN where the task does not choose its score),
    views (auroc by view, what was chosen in brackets). Of a task that chooses, a row "(chosen)" for every model, and
    one for all but PCA and the baselines together, "(any autoencoder)".
    """
    found = []
    for name, task in tasks.items():
        values = _values(board, name)
        n_views = values["view"].nunique()
        if n_views < 2:
            continue
        everywhere = values.groupby(["model", "score"])["view"].transform("nunique") == n_views
        values = values[everywhere]
        rows = [_row(name, model, score, group) for (model, score), group in values.groupby(["model", "score"])]
        if task.get("choose_score"):
            rows += _chosen(name, values[values["model"] != NO_MODEL])
        found += sorted(rows, key=lambda row: -row["auroc"])
    return pd.DataFrame(found, columns=list(COLUMNS))


def _values(board: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return columns view, model, score, auroc, validation_auroc of a task."""
    frames = []
    for part, column in (("anomaly", "auroc"), ("validation", "validation_auroc")):
        metric = re.compile(rf"{part}/{re.escape(task)}/(?P<score>[a-z]+/\w+)/auroc$")
        score = board["metric"].str.extract(metric)["score"]
        rows = board.assign(score=score)[score.notna()].rename(columns={"mean": column})
        rows = rows[~rows["score"].str.startswith("baseline/") | (rows["model"] == BASELINE)]
        frames.append(rows[["view", "model", "score", column]])
    values = frames[0].merge(frames[1], on=["view", "model", "score"], how="left")
    values.loc[values["score"].str.startswith("baseline/"), "model"] = NO_MODEL
    return values


def _row(task: str, model: str, score: str, group: pd.DataFrame, names: dict[str, str] | None = None) -> dict[str, Any]:
    names, group = names or {}, group.sort_values("view")
    by_view = " ".join(f"{row.view} {row.auroc:.4f}{names.get(row.view, '')}" for row in group.itertuples())
    means = {column: group[column].mean() for column in ("auroc", "validation_auroc")}
    return {"task": task, "model": model, "score": score, "n_views": len(group), **means, "views": by_view}


def _chosen(task: str, values: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for every model, its score chosen, and one for all autoencoders, model and score chosen."""
    autoencoders = values[values["model"] != BASELINE]
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

"""A task in many views: means over views, and a choice that no test label has a say in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import one, specification

from aeflow.comparison.across_views import over_views, views_text
from aeflow.comparison.leaderboard import Leaderboard
from aeflow.errors import DataError
from aeflow.evaluation.detection.anomaly import validation_metrics
from aeflow.evaluation.metric import Interval
from aeflow.evaluation.task import Task
from aeflow.scoring.names import is_baseline

TASKS = {"one": {"choose_score": True}}
PAIRS = [("ae", "deviation/sap"), ("ae", "density/gmm"), ("vae", "density/gmm")]


def board(test, validation, views=("a", "b", "c")) -> pd.DataFrame:
    """test, validation : by pair, its AUROC in every view; a baseline that has none of them is in every view, too."""
    metrics = {(view, "pca"): [one("reconstruction/test/mse", 1.0)] for view in views}
    for part, values in (("anomaly", test), ("validation", validation)):
        for (model, score), by_view in values.items():
            for view, x in zip(views, by_view, strict=True):
                found = metrics.setdefault((view, model), [])
                # neither the bounds of an interval nor another task's AUROC are its own
                about = {"baseline": is_baseline(score)}
                found.append(one(f"{part}/one/{score}/auroc", Interval(x, 0.0, 1.0), **about))
                found.append(one(f"{part}/one_more/{score}/auroc", 0.0, **about))
    runs = [(specification(view=view, model=model), found) for (view, model), found in metrics.items()]
    return Leaderboard.of_runs(runs, "pca").frame


def chosen(frame: pd.DataFrame, model: str) -> str:
    return frame[(frame["model"] == model) & (frame["score"] == "(chosen)")]["views"].item()


def test_a_view_has_no_say_in_its_own_choice():
    """Breaks if a view's own validation anomalies count: gmm is best in view c alone, so c must not take it."""
    test = {pair: [0.5, 0.6, 0.7] for pair in PAIRS[:2]}
    validation = {PAIRS[0]: [0.9, 0.9, 0.6], PAIRS[1]: [0.8, 0.8, 1.0]}
    frame = over_views(board(test, validation), TASKS, "pca")
    assert chosen(frame, "ae") == "a 0.5000 (density/gmm) b 0.6000 (density/gmm) c 0.7000 (deviation/sap)"
    assert "(any autoencoder)" not in set(frame["model"])  # one model: nothing more to choose


VALIDATION = {PAIRS[0]: [0.9, 0.7, 0.8], PAIRS[1]: [0.8, 0.9, 0.6], PAIRS[2]: [0.7, 0.8, 0.85]}


@pytest.fixture(scope="module")
def three_pairs() -> pd.DataFrame:
    return board(dict.fromkeys(PAIRS, [0.5] * 3), VALIDATION)


@given(values=st.lists(st.floats(0, 1), min_size=9, max_size=9))
@settings(max_examples=12)
def test_test_labels_choose_nothing(three_pairs, values):
    """Breaks if an AUROC of test rows decides on model or score."""
    of_test = (three_pairs["part"] == "anomaly") & (three_pairs["subject"] == "one")
    other = three_pairs.copy()
    other.loc[of_test, "mean"] = values
    names = []
    for frame in (three_pairs, other):
        text = chosen(over_views(frame, TASKS, "pca"), "(any autoencoder)")
        names.append([part.split(")")[0] for part in text.split("(")[1:]])
    assert names[0] == names[1] == ["vae density/gmm", "ae deviation/sap", "ae density/gmm"]


def test_pca_is_a_floor_and_no_autoencoder():
    """Breaks if PCA or a score without a model is taken as the best autoencoder."""
    pairs = {("pca", "deviation/sap"): [1.0] * 3, ("pca", "baseline/knn"): [1.0] * 3}
    pairs |= {PAIRS[0]: [0.6] * 3, PAIRS[2]: [0.7] * 3}
    frame = over_views(board(pairs, pairs), TASKS, "pca")
    assert chosen(frame, "(any autoencoder)").count("(vae density/gmm)") == 3
    floors = frame[(frame["model"] == "(no model)")]
    assert floors["score"].tolist() == ["baseline/knn"] and floors["n_views"].item() == 3
    assert "(any autoencoder)  0.7000  chosen" in views_text(frame)


def test_no_choice_without_being_asked_and_no_mean_of_one_view():
    """Breaks if means over views are printed where there is one view, or over views that lack the score."""
    test = {pair: [0.5, 0.6, 0.7] for pair in PAIRS}
    some = board(test, {})
    frame = over_views(some, {"one": {}}, "pca")
    assert set(frame["score"]) == {"deviation/sap", "density/gmm"} and frame["validation_auroc"].isna().all()
    assert (
        over_views(some[some["view"] == "a"], TASKS, "pca").empty
        and views_text(over_views(some[:0], TASKS, "pca")) == ""
    )
    partly = some.drop(some[(some["view"] == "b") & (some["model"] == "vae")].index)
    assert "vae" not in set(over_views(partly, {"one": {}}, "pca")["model"])


def test_validation_metrics_see_validation_rows_alone():
    """Breaks if a test row reaches the AUROC that a score is chosen by."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"split": ["val"] * 60 + ["test"] * 60, "digit": rng.choice([3, 8], 120)})
    scores = pd.DataFrame({"deviation/sap": rng.normal(size=120) + 2 * (obs["digit"] == 8)})
    task = Task.of_entry("one", {"anomaly": "outside_view", "choose_score": True}, {"digit": [3]})
    found = validation_metrics(scores, obs, task)
    assert [metric.text for metric in found] == ["validation/one/deviation/sap/auroc"]
    assert found[0].value > 0.85 and found[0].direction == "none"
    changed = scores.where(obs["split"] == "val", -scores, axis=0)
    assert str(validation_metrics(changed, obs, task)) == str(found)  # bounds are NaN, which equals nothing
    with pytest.raises(DataError, match="task one: no val row is normal"):
        validation_metrics(scores, obs.assign(split="test"), task)

"""A task in many views: means over views, and a choice that no test label has a say in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.comparison.across_views import over_views, views_text
from aeflow.errors import DataError
from aeflow.evaluation.detection.anomaly import validation_metrics

TASKS = {"one": {"choose_score": True}}
PAIRS = [("ae", "deviation/sap"), ("ae", "density/gmm"), ("vae", "density/gmm")]


def board(test, validation, views=("a", "b", "c")) -> pd.DataFrame:
    """test, validation : by pair, its AUROC in every view."""
    rows = []
    for part, values in (("anomaly", test), ("validation", validation)):
        for (model, score), by_view in values.items():
            rows += [(v, model, f"{part}/one/{score}/auroc", x) for v, x in zip(views, by_view, strict=True)]
            rows += [(v, model, f"{part}/one/{score}/auroc_low", 0.0) for v in views]  # no AUROC of their own
            rows += [(v, model, f"{part}/one_more/{score}/auroc", 0.0) for v in views]
    return pd.DataFrame(rows, columns=["view", "model", "metric", "mean"])


def chosen(frame: pd.DataFrame, model: str) -> str:
    return frame[(frame["model"] == model) & (frame["score"] == "(chosen)")]["views"].item()


def test_a_view_has_no_say_in_its_own_choice():
    """Breaks if a view's own validation anomalies count: gmm is best in view c alone, so c must not take it."""
    test = {pair: [0.5, 0.6, 0.7] for pair in PAIRS[:2]}
    validation = {PAIRS[0]: [0.9, 0.9, 0.6], PAIRS[1]: [0.8, 0.8, 1.0]}
    frame = over_views(board(test, validation), TASKS)
    assert chosen(frame, "ae") == "a 0.5000 (density/gmm) b 0.6000 (density/gmm) c 0.7000 (deviation/sap)"
    assert "(any autoencoder)" not in set(frame["model"])  # one model: nothing more to choose


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9))
def test_test_labels_choose_nothing(values):
    """Breaks if an AUROC of test rows decides on model or score."""
    validation = {PAIRS[0]: [0.9, 0.7, 0.8], PAIRS[1]: [0.8, 0.9, 0.6], PAIRS[2]: [0.7, 0.8, 0.85]}
    names = []
    for test in (values, [0.5] * 9):
        by_pair = {pair: test[3 * i : 3 * i + 3] for i, pair in enumerate(PAIRS)}
        text = chosen(over_views(board(by_pair, validation), TASKS), "(any autoencoder)")
        names.append([part.split(")")[0] for part in text.split("(")[1:]])
    assert names[0] == names[1] == ["vae density/gmm", "ae deviation/sap", "ae density/gmm"]


def test_pca_is_a_floor_and_no_autoencoder():
    """Breaks if PCA or a score without a model is taken as the best autoencoder."""
    pairs = {("pca", "deviation/sap"): [1.0] * 3, ("pca", "baseline/knn"): [1.0] * 3}
    pairs |= {PAIRS[0]: [0.6] * 3, PAIRS[2]: [0.7] * 3}
    frame = over_views(board(pairs, pairs), TASKS)
    assert chosen(frame, "(any autoencoder)").count("(vae density/gmm)") == 3
    floors = frame[(frame["model"] == "(no model)")]
    assert floors["score"].tolist() == ["baseline/knn"] and floors["n_views"].item() == 3
    assert "(any autoencoder)  0.7000  chosen" in views_text(frame)


def test_no_choice_without_being_asked_and_no_mean_of_one_view():
    """Breaks if means over views are printed where there is one view, or over views that lack the score."""
    test = {pair: [0.5, 0.6, 0.7] for pair in PAIRS}
    some = board(test, {})
    frame = over_views(some, {"one": {}})
    assert set(frame["score"]) == {"deviation/sap", "density/gmm"} and frame["validation_auroc"].isna().all()
    assert over_views(some[some["view"] == "a"], TASKS).empty and views_text(over_views(some[:0], TASKS)) == ""
    partly = some.drop(some[(some["view"] == "b") & (some["model"] == "vae")].index)
    assert "vae" not in set(over_views(partly, {"one": {}})["model"])


def test_validation_metrics_see_validation_rows_alone():
    """Breaks if a test row reaches the AUROC that a score is chosen by."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"split": ["val"] * 60 + ["test"] * 60, "digit": rng.choice([3, 8], 120)})
    scores = pd.DataFrame({"deviation/sap": rng.normal(size=120) + 2 * (obs["digit"] == 8)})
    task, view = {"anomaly": "outside_view"}, {"digit": [3]}
    found = validation_metrics(scores, obs, task, view, "one")
    assert found["deviation/sap/auroc"] > 0.85
    changed = scores.where(obs["split"] == "val", -scores, axis=0)
    assert validation_metrics(changed, obs, task, view, "one") == found
    with pytest.raises(DataError, match="task one: 0 validation rows are normal"):
        validation_metrics(scores, obs.assign(split="test"), task, view, "one")

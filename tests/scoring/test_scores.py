"""Scores and their evaluation: direction, completeness, references, and the control."""

import numpy as np
import pandas as pd
import pytest
import torch

from aeflow.comparison.leaderboard import as_text, leaderboard
from aeflow.errors import DataError
from aeflow.evaluation.detection.anomaly import anomaly_metrics, task_rows
from aeflow.evaluation.generation.moments import moment_agreement
from aeflow.evaluation.run_metrics import run_metrics
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.scoring.scores import CHUNK, anomaly_scores, knn_distance, mahalanobis_distance
from aeflow.training.fit import TrainingSettings, fit


def rows(n, seed=0, n_vars=12):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, 3)) @ np.random.default_rng(1).normal(size=(3, n_vars))).float()


@pytest.mark.parametrize(
    ("architecture", "keywords"),
    [
        ("pca.PCA", {"n_latent": 3}),
        ("ae.AE", {"n_latent": 3, "n_hidden": [16]}),
        ("vae.VAE", {"n_latent": 3, "n_hidden": [16], "likelihood": "gaussian"}),
    ],
)
def test_an_obvious_outlier_scores_above_inliers(architecture, keywords):
    """Breaks if a score's sign is turned round."""
    torch.manual_seed(0)
    model = build(architecture, 12, keywords)
    train = rows(300)
    fit(model, train, rows(50, 2), TrainingSettings(max_epochs=20, batch_size=50), seed=0)
    outlier = torch.full((1, 12), 40.0)
    scores = anomaly_scores(
        model.eval(), Batch(train), Batch(torch.cat([rows(40, 3), outlier])), n_importance=4, seed=0
    )
    assert ("density/neg_log_likelihood" in scores) == (architecture != "ae.AE")
    for name, values in scores.items():
        assert values[-1] > values[:-1].max(), name


def test_every_row_is_scored_whatever_the_chunk():
    """Breaks if the rows after the last full chunk are lost or scored in another order."""
    model = build("pca.PCA", 12, {"n_latent": 3})
    model.solve(rows(100))
    x = rows(CHUNK + 5, 4) + 0.1
    whole = anomaly_scores(model, Batch(rows(100)), Batch(x), n_importance=1, seed=0)
    tail = anomaly_scores(model, Batch(rows(100)), Batch(x[-5:]), n_importance=1, seed=0)
    for name in whole:
        assert whole[name].shape == (CHUNK + 5,)
        assert np.allclose(whole[name][-5:], tail[name], rtol=1e-3), name


def test_proximity_by_hand():
    """Breaks if neighbours are counted wrongly, latents are not standardised, or the mean is not subtracted."""
    reference = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    sd = reference.std()
    assert knn_distance(reference, np.array([[6.0]]), 0)[0] == pytest.approx(4.0 / sd)
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(20000, 2)) * [1, 10]
    assert mahalanobis_distance(reference, np.array([[0.0, 20.0]]))[0] == pytest.approx(2.0, rel=0.1)


def sheet():
    conditions = [("GTEx", "normal")] * 4 + [("TCGA", "normal")] * 4 + [("TCGA", "tumour")] * 4
    obs = pd.DataFrame(conditions, columns=["study", "condition"])
    obs["sample_id"] = [f"s{i}" for i in range(12)]
    obs["split"] = ["val", "test", "test", "test"] * 3
    return obs


TUMOUR = {
    "anomaly": {"condition": ["tumour"]},
    "control": {
        "negative": {"study": ["GTEx"], "condition": ["normal"]},
        "positive": {"study": ["TCGA"], "condition": ["normal"]},
    },
}
NORMAL = {"condition": ["normal"]}


def test_a_study_detector_is_exposed_by_its_control():
    """Breaks if the control is computed on other rows, or validation rows count as test rows."""
    masks = task_rows(sheet(), TUMOUR, NORMAL, "tumour")
    assert (masks["normal"].sum(), masks["anomaly"].sum()) == (6, 3)
    study = pd.DataFrame({"deviation/study": (sheet()["study"] == "TCGA").astype(float)})
    assert masks["calibration"].tolist() == [True, False, False, False] * 2 + [False] * 4
    metrics = anomaly_metrics(study, masks)
    assert metrics["deviation/study/auroc"] == pytest.approx(0.75)
    assert metrics["deviation/study/control_auroc"] == 1.0
    tumour = pd.DataFrame({"deviation/tumour": (sheet()["condition"] == "tumour").astype(float)})
    metrics = anomaly_metrics(tumour, masks)
    assert metrics["deviation/tumour/auroc"] == 1.0
    assert metrics["deviation/tumour/control_auroc"] == 0.5


def test_false_alarms_of_either_study():
    """Breaks if the threshold comes from test rows, or the alarm rates of the two studies are mixed up."""
    masks = task_rows(sheet(), TUMOUR, NORMAL, "tumour")
    # validation normals (rows 0 and 4) have 1 and 2: the 95 % quantile is 1.95
    scores = pd.DataFrame({"deviation/x": [1.0, 0, 0, 3, 2.0, 3, 3, 3, 9, 9, 9, 9]})
    metrics = anomaly_metrics(scores, masks)
    assert metrics["deviation/x/control_negative_alarms"] == pytest.approx(1 / 3)
    assert metrics["deviation/x/control_positive_alarms"] == 1.0


def test_task_without_anomalies_is_refused():
    """Breaks if a metric over an empty class is reported."""
    with pytest.raises(DataError, match="task tumour: no test row is anomaly"):
        task_rows(sheet()[:8], TUMOUR, NORMAL, "tumour")


def test_run_metrics_by_hand():
    """Breaks if the mean runs over other rows than the view's test rows, or forgets the number of variables."""
    obs = sheet()
    scores = pd.DataFrame({"sample_id": obs["sample_id"], "split": obs["split"]})
    scores["deviation/squared_error"] = np.arange(12.0)
    scores["baseline/squared_distance_to_mean"] = 20.0
    metrics = run_metrics(scores[::-1].reset_index(drop=True), obs, {"n_vars": 2, "outcome": None}, NORMAL, {})
    assert metrics["reconstruction/test/mse"] == np.mean([1, 2, 3, 5, 6, 7]) / 2
    assert metrics["reconstruction/test/explained_variance"] == pytest.approx(1 - 24 / 120)


def board(ae, pca, metric="anomaly/tumour/deviation/squared_error/auroc", origin="simulated"):
    info = {"dataset": "d", "origin": origin, "view": "normal"}
    runs = [
        (info | {"model": m, "seed": s}, {metric: v}) for m, vs in (("ae", ae), ("pca", pca)) for s, v in enumerate(vs)
    ]
    return leaderboard(runs)


def test_leaderboard_pairs_by_seed():
    """Breaks if the interval is of unpaired means: here every seed improves by the same amount."""
    frame = board([0.71, 0.81, 0.91], [0.70, 0.80, 0.90]).set_index("model")
    assert frame.loc["ae", "difference"] == pytest.approx(0.01)
    assert frame.loc["ae", "ci_low"] == pytest.approx(0.01, abs=1e-6)
    assert frame.loc["ae", "verdict"] == "better than PCA"


def test_not_better_than_pca_is_printed():
    """Breaks if a difference within its interval is called an improvement, or simulated data are not named."""
    text = as_text(board([0.71, 0.90, 0.80], [0.70, 0.80, 0.90]))
    assert "not better than PCA" in text
    assert "SIMULATED" in text
    assert "SIMULATED" not in as_text(board([1, 1], [1, 1], origin="real"))


def test_foot_says_what_was_left_out():
    """Breaks if the samples that a gate left out are not in the last line of the table."""
    note = "Gate: 2 of 145 samples left out for more than 40 values above 1.04858e+06."
    frame = board([0.71, 0.90], [0.70, 0.80])
    assert as_text(frame, note).splitlines()[-1] == note
    assert as_text(frame, note).removesuffix(note + "\n") == as_text(frame)


def test_control_and_alarms_stand_beside_their_score():
    """Breaks if a tumour-detection number stands alone, or a control far from 0.5 is not marked."""
    stem = "anomaly/tumour/deviation/squared_error/"
    info = {"dataset": "d", "origin": "real", "view": "normal", "model": "pca", "seed": 0}
    metrics = {"auroc": 0.9, "control_auroc": 0.2, "control_negative_alarms": 0.25, "control_positive_alarms": 0.06}
    text = as_text(leaderboard([(info, {stem + name: value for name, value in metrics.items()})]))
    assert "control 0.200!  alarms  25% /   6%" in text
    assert "the score detects the study" in text


def test_lower_error_is_better():
    """Breaks if an error is ranked as if large were good."""
    frame = board([1.0, 1.1, 1.2], [2.0, 2.1, 2.2], metric="reconstruction/test/mse").set_index("model")
    assert frame.loc["ae", "verdict"] == "better than PCA"
    frame = board([2.0, 2.1, 2.2], [1.0, 1.1, 1.2], metric="reconstruction/test/mse").set_index("model")
    assert frame.loc["ae", "verdict"] == "not better than PCA"


def test_one_seed_has_no_interval_and_claims_nothing():
    """Breaks if a single run is enough to be called better."""
    frame = board([0.9], [0.1]).set_index("model")
    assert np.isnan(frame.loc["ae", "ci_low"])
    assert frame.loc["ae", "verdict"] == "not better than PCA"


def test_moments_of_a_copy_agree():
    """Breaks if means and deviations are taken over the wrong axis."""
    real = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9) + np.arange(8)
    agreement = moment_agreement(real, real)
    assert agreement == pytest.approx({"mean_r": 1.0, "sd_r": 1.0, "sd_ratio": 1.0})

"""Scores and their evaluation: direction, completeness, references, and the control."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import specification, values_of

from aeflow.errors import DataError
from aeflow.evaluation.assessment import Assessment, calibrated
from aeflow.evaluation.detection.anomaly import detection_metrics
from aeflow.evaluation.generation.moments import moment_agreement
from aeflow.evaluation.reconstruction import Reconstruction
from aeflow.evaluation.task import Task
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.run import Run
from aeflow.scoring.family import Reference
from aeflow.scoring.forward import CHUNK
from aeflow.scoring.proximity import LatentGaussian, Neighbours
from aeflow.scoring.scores import Scorer, ScoreSettings
from aeflow.training.fit import TrainingSettings, fit


def rows(n, seed=0, n_vars=12):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, 3)) @ np.random.default_rng(1).normal(size=(3, n_vars))).float()


def anomaly_scores(model, reference, x, n_importance):
    """Return every score of rows x beside the training rows `reference`."""
    fitted_on = Reference(model, Batch(reference), seed=0, n_importance=n_importance, mixture_rows=8000)
    return Scorer(ScoreSettings().families, fitted_on).scores(Batch(x))


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
    scores = anomaly_scores(model.eval(), train, torch.cat([rows(40, 3), outlier]), 4)
    assert ("density/neg_log_likelihood" in scores) == (architecture != "ae.AE")
    for name, values in scores.items():
        assert values[-1] > values[:-1].max(), name


def test_every_row_is_scored_whatever_the_chunk():
    """Breaks if the rows after the last full chunk are lost or scored in another order."""
    model = build("pca.PCA", 12, {"n_latent": 3})
    model.solve(rows(100))
    x = rows(CHUNK + 5, 4) + 0.1
    whole = anomaly_scores(model, rows(100), x, 1)
    tail = anomaly_scores(model, rows(100), x[-5:], 1)
    for name in whole:
        assert whole[name].shape == (CHUNK + 5,)
        assert np.allclose(whole[name][-5:], tail[name], rtol=1e-3), name


def test_proximity_by_hand():
    """Breaks if neighbours are counted wrongly, latents are not standardised, or the mean is not subtracted."""
    reference = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    sd = reference.std()
    assert Neighbours(reference, 0).distance(np.array([[6.0]]))[0] == pytest.approx(4.0 / sd)
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(20000, 2)) * [1, 10]
    assert LatentGaussian(reference).distance(np.array([[0.0, 20.0]]))[0] == pytest.approx(2.0, rel=0.1)
    assert LatentGaussian(np.ones((1, 2))).distance(np.array([[4.0, 5.0]]))[0] == 5  # one row has no covariance


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


TASK = Task.of_entry("tumour", TUMOUR, NORMAL)


def detected(**scores) -> dict[str, float]:
    """Return the metrics of scores of the rows of `sheet`, without part and task."""
    obs = sheet()
    frame = obs[["sample_id", "split"]].assign(**{f"deviation/{name}": values for name, values in scores.items()})
    metrics = detection_metrics(frame, calibrated(frame, obs, NORMAL), obs, TASK, 0)
    assert {metric.subject for metric in metrics} == {"tumour"}
    return values_of([metric for metric in metrics if metric.part == "anomaly"])


def test_a_study_detector_is_exposed_by_its_control():
    """Breaks if the control is computed on other rows, or validation rows count as test rows."""
    assert TASK.calibration(sheet()).tolist() == [True, False, False, False] * 2 + [False] * 4
    metrics = detected(study=(sheet()["study"] == "TCGA").astype(float))
    assert (metrics["anomaly/tumour/n_normal"], metrics["anomaly/tumour/n_anomaly"]) == (6, 3)
    assert metrics["anomaly/tumour/deviation/study/auroc"] == pytest.approx(0.75)
    assert metrics["anomaly/tumour/deviation/study/control_auroc"] == 1.0
    metrics = detected(tumour=(sheet()["condition"] == "tumour").astype(float))
    assert metrics["anomaly/tumour/deviation/tumour/auroc"] == 1.0
    assert metrics["anomaly/tumour/deviation/tumour/control_auroc"] == 0.5


def test_false_alarms_of_either_study():
    """Breaks if the threshold comes from test rows, or the alarm rates of the two studies are mixed up."""
    # validation normals (rows 0 and 4) have 1 and 2: the 95 % quantile is 1.95
    metrics = detected(x=[1.0, 0, 0, 3, 2.0, 3, 3, 3, 9, 9, 9, 9])
    assert metrics["anomaly/tumour/deviation/x/control_negative_alarms"] == pytest.approx(1 / 3)
    assert metrics["anomaly/tumour/deviation/x/control_positive_alarms"] == 1.0


def test_rows_of_p_values_are_those_of_their_scores():
    """Breaks if conformal metrics take the p-values of other rows: one normal and all anomalies are far out."""
    obs = sheet()
    obs.loc[obs.index[:8], "split"] = ["val"] * 7 + ["test"]
    obs.loc[obs.index[8:], "split"] = "test"
    obs = pd.concat([obs, obs.iloc[:7].assign(sample_id=[f"n{i}" for i in range(7)], split="test")], ignore_index=True)
    frame = obs[["sample_id", "split"]].assign(**{"deviation/x": [0.0] * 7 + [9] * 5 + [0] * 7})
    task = Task.of_entry("tumour", {"anomaly": {"condition": ["tumour"]}}, NORMAL)
    p = calibrated(frame, obs, NORMAL)
    assert p["sample_id"].tolist() == obs["sample_id"][7:].tolist()
    found = values_of(detection_metrics(frame, p, obs, task, 0))
    assert found["conformal/tumour/deviation/x/alarms"] == 0  # 1/8 is the least p-value of seven calibration rows
    assert found["conformal/tumour/deviation/x/ks_excess"] == pytest.approx(0)
    found = values_of(
        detection_metrics(frame, p.assign(**{"p:deviation/x": [1.0] + [0.01] * 4 + [1] * 7}), obs, task, 0)
    )
    assert found["conformal/tumour/deviation/x/power"] == 1 and found["conformal/tumour/deviation/x/alarms"] == 0


def test_task_without_anomalies_is_refused():
    """Breaks if a metric over an empty class is reported."""
    with pytest.raises(DataError, match="task tumour: no test row is anomaly"):
        TASK.masks(sheet()[:8], "test")


def test_reconstruction_by_hand():
    """Breaks if the mean runs over other rows than the view's test rows, or forgets the number of variables."""
    obs = sheet()
    scores = pd.DataFrame({"sample_id": obs["sample_id"], "split": obs["split"]})
    scores["deviation/squared_error"] = np.arange(12.0)
    scores["baseline/squared_distance_to_mean"] = 20.0
    scores["density/neg_log_likelihood"] = -np.arange(12.0)

    def found(outcome):
        spec = specification(n_vars=2, outcome=outcome)
        run = Run(spec, build("pca.PCA", 2, {"n_latent": 1}), torch.device("cpu"))
        a = Assessment(run, None, [], is_baseline=False)
        a.scores = scores[::-1].reset_index(drop=True)
        a.scored_obs = obs[::-1].reset_index(drop=True)
        return values_of(Reconstruction().evaluate(a).metrics)

    metrics = found(None)
    assert metrics["reconstruction/test/mse"] == np.mean([1, 2, 3, 5, 6, 7]) / 2
    assert metrics["reconstruction/test/explained_variance"] == pytest.approx(1 - 24 / 120)
    assert set(metrics) == {"reconstruction/test/mse", "reconstruction/test/explained_variance"}
    assert found("counts")["likelihood/test/counts/neg_log_likelihood"] == -4


def test_moments_of_a_copy_agree():
    """Breaks if means and deviations are taken over the wrong axis."""
    real = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9) + np.arange(8)
    agreement = moment_agreement(real, real)
    assert agreement == pytest.approx({"mean_r": 1.0, "sd_r": 1.0, "sd_ratio": 1.0})

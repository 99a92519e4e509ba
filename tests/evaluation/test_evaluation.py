"""What a run is asked beside its scores: representation, challenges, calibration."""

import numpy as np
import pandas as pd
import pytest
from tiny import NORMAL, by_text, train_run, values_of, write_dataset

from aeflow.evaluation.assessment import Assessment, calibrated
from aeflow.evaluation.challenge.questions import Questions, set_coherence
from aeflow.evaluation.detection.anomaly import detection_metrics
from aeflow.evaluation.representation.activity import activity_differences
from aeflow.evaluation.representation.latents import Representation, sparsity
from aeflow.evaluation.representation.subspace import subspace_metrics
from aeflow.evaluation.task import Task
from aeflow.run import Run
from aeflow.table import Table


def sheet(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "donor_id": [f"d{i // 2}" for i in range(n)]})
    obs["split"] = np.repeat(rng.choice(["train", "val", "test"], n // 2, p=[0.5, 0.2, 0.3]), 2)
    obs["tissue"] = rng.choice(["liver", "lung"], n)
    obs["study"] = rng.choice(["GTEx", "TCGA"], n)
    obs["condition"] = np.where(rng.random(n) < 0.3, "tumour", "normal")
    return obs


def latents(obs: pd.DataFrame, seed: int = 1) -> np.ndarray:
    """Two latents that say tissue and condition, one that says nothing."""
    rng = np.random.default_rng(seed)
    told = np.stack([obs["tissue"] == "lung", obs["condition"] == "tumour", np.zeros(len(obs))], 1)
    return 3.0 * told + rng.normal(0, 0.3, (len(obs), 3))


def test_labels_are_read_off_latents():
    """Breaks if a head is tested on rows it was trained on, or a label absent from training rows is left out."""
    obs = sheet()
    view = (obs["condition"] == "normal").to_numpy()
    asked = Representation(labels=["tissue", "condition", "study"], heads=["logistic", "knn"], batch_columns=["study"])
    metrics = by_text(asked.of_labels(latents(obs), obs, view, 0))
    found = {text.removeprefix("representation/"): metric.value for text, metric in metrics.items()}
    assert found["tissue/logistic/accuracy"] > 0.95 and found["tissue/knn/accuracy"] > 0.95
    assert found["condition/logistic/accuracy"] > 0.95  # only normals were trained on: folds of test rows
    assert found["study/logistic/balanced_accuracy"] < 0.65
    assert found["tissue/silhouette"] > 0.3 > 0.1 > found["study/silhouette"]
    for name in ("logistic/accuracy", "knn/balanced_accuracy", "nmi", "ari", "silhouette"):
        assert metrics[f"representation/tissue/{name}"].direction == "higher"
        assert metrics[f"representation/study/{name}"].direction == "lower"


def read_off(z: np.ndarray, obs: pd.DataFrame, column: str, heads=("logistic",)) -> dict[str, float]:
    asked = Representation(labels=[column], heads=heads, batch_columns=[])
    in_view = (obs["condition"] == "normal").to_numpy()
    return values_of(asked.of_labels(z, obs, in_view, 0))


@pytest.mark.parametrize("missing", ["", " ", "NA", "Not Reported", None, np.nan])
def test_a_missing_label_is_not_a_class(missing, caplog):
    """Breaks if blank rows, of one study as a rule, are a class that latents which know the study predict."""
    obs = sheet().assign(condition="normal")
    rng = np.random.default_rng(2)
    sex = rng.choice(["male", "female"], len(obs)).astype(object)
    gtex = (obs["study"] == "GTEx").to_numpy()
    z = np.stack([3.0 * gtex, rng.normal(size=len(obs))], 1)  # knows the study, and nothing of sex
    blank = obs.assign(sex=np.where(gtex, sex, missing))
    found = read_off(z, blank, "sex", ("logistic", "knn"))
    n_blank = int((~gtex & (obs["split"] == "test")).sum())
    assert found.pop("representation/sex/n_unlabelled") == n_blank > 0
    assert f"label sex: {n_blank} test rows have none and are left out" in caplog.text
    assert found == read_off(z[gtex], obs.assign(sex=sex)[gtex].reset_index(drop=True), "sex", ("logistic", "knn"))


def tumours(n: int, donors: list[str] | None = None) -> pd.DataFrame:
    """Return 30 training and 20 test normals of a donor each, and n test tumours."""
    obs = pd.DataFrame({"donor_id": [f"d{i}" for i in range(50)], "condition": "normal"})
    obs["split"] = ["train"] * 30 + ["test"] * 20
    more = pd.DataFrame({"donor_id": donors or [f"e{i}" for i in range(n)], "condition": "tumour", "split": "test"})
    obs = pd.concat([obs, more], ignore_index=True)
    return obs.assign(sample_id=[f"s{i}" for i in range(len(obs))])


@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_latents_that_carry_nothing_are_no_better_than_chance(n):
    """Breaks if a class that is never predicted is left out where a fold lacks it, which gives an accuracy of 1."""
    obs = tumours(n)
    found = read_off(np.zeros((len(obs), 4)), obs, "condition")
    assert found["representation/condition/logistic/balanced_accuracy"] == 0.5
    assert found["representation/condition/logistic/accuracy"] == found["representation/condition/majority"]
    assert found["representation/condition/majority"] == pytest.approx(20 / (20 + n))


@pytest.mark.parametrize(("n", "donors"), [(1, None), (6, ["one"] * 6)])
def test_a_class_of_one_donor_is_not_measured_and_that_is_said(n, donors, caplog):
    """Breaks if folds are asked of what cannot be divided, which ends the evaluation, or is measured on nothing."""
    obs = tumours(n, donors)
    assert read_off(np.random.default_rng(0).normal(size=(len(obs), 4)), obs, "condition") == {}
    assert "label condition: donors of each class among the test rows: {'normal': 20, 'tumour': 1}" in caplog.text


@pytest.mark.parametrize(("value", "classes"), [("", "{}"), ("male", "{'male': 22}")])
def test_a_label_without_two_classes_is_said(value, classes, caplog):
    """Breaks if a column that nobody filled in is asked for, and no word says why it has no metric."""
    obs = tumours(2).assign(sex=value)
    assert read_off(np.zeros((len(obs), 2)), obs, "sex") == {}
    assert f"label sex: donors of each class among the test rows: {classes}; not measured" in caplog.text


def test_a_class_of_one_donor_does_not_take_the_others_with_it(caplog):
    """Breaks if one rare class stops a label of many, or counts as a class that was tested."""
    obs = tumours(6)
    obs.loc[obs["donor_id"] == "e5", "condition"] = "metastasis"
    z = np.stack([3.0 * (obs["condition"] == "tumour"), np.zeros(len(obs))], 1)
    found = read_off(z, obs, "condition")
    assert found["representation/condition/logistic/balanced_accuracy"] == 1
    assert "label condition: classes of one donor are left out: metastasis" in caplog.text


def test_sparsity_by_hand():
    """Breaks if dense and sparse are mixed up."""
    one, dense = np.eye(4)[np.arange(8) % 4], np.ones((8, 4))
    assert sparsity(one)["hoyer"] == pytest.approx(1) and sparsity(dense)["hoyer"] == pytest.approx(0)
    assert sparsity(one)["near_zero"] == 0.75 and sparsity(dense)["unused"] == 1


def test_subspace_beside_pca():
    """Breaks if a rotated basis is another subspace, or counts as the same directions."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 3)))[0]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    rotated = subspace_metrics(basis @ turn, basis)
    assert rotated["largest_angle"] == pytest.approx(0, abs=1e-4)
    scaled = subspace_metrics(basis * [3, 2, 1], basis)
    assert scaled["direction_agreement"] == pytest.approx(1) and rotated["direction_agreement"] < 0.95
    other = np.linalg.qr(np.random.default_rng(2).normal(size=(20, 3)))[0]
    assert subspace_metrics(other, basis)["largest_angle"] > 45


TASK = Task.of_entry("tumour", {"normal": NORMAL, "anomaly": {"condition": ["tumour"]}}, NORMAL)


def scores_of(obs: pd.DataFrame, strength: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shift = strength * (obs["condition"] == "tumour").to_numpy()
    frame = obs[["sample_id", "split"]].copy()
    for name in ("deviation/squared_error", "proximity/knn", "baseline/squared_distance_to_mean"):
        frame[name] = 10 + shift + rng.normal(0, 1, len(obs))
    return frame[obs["split"] != "train"].reset_index(drop=True)


def test_calibration_sees_validation_rows_only():
    """Breaks if test rows shape their own p-values, or p-values of held-out normals are not uniform."""
    obs = sheet(4000)
    scores = scores_of(obs, 5.0, 0)
    rows = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    p = calibrated(scores, rows, NORMAL)
    condition = obs.set_index("sample_id").loc[p["sample_id"], "condition"].to_numpy()
    values = p["p:deviation/squared_error"].to_numpy()
    assert 0.03 < (values[condition == "normal"] <= 0.05).mean() < 0.07
    assert (values[condition == "tumour"] <= 0.05).mean() > 0.95
    changed = scores.copy()
    changed.loc[changed["split"] == "test", "deviation/squared_error"] += 1000
    again = calibrated(changed, rows, NORMAL)
    assert (again["p:deviation/squared_error"] == again["p:deviation/squared_error"].min()).all()
    assert again["p:proximity/knn"].equals(p["p:proximity/knn"])


def test_detection_has_intervals():
    """Breaks if an interval does not hold its estimate, or calibration is missing."""
    obs = sheet(2000)
    scores = scores_of(obs, 2.0, 0)
    rows = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    found = by_text(detection_metrics(scores, calibrated(scores, rows, NORMAL), rows, TASK, 0))
    auroc = found["anomaly/tumour/deviation/squared_error/auroc"]
    assert auroc.low < auroc.value < auroc.high and not auroc.baseline
    assert 0 <= found["anomaly/tumour/deviation/squared_error/fpr_at_95_recall"].value <= 1
    assert found["conformal/tumour/deviation/squared_error/alarms"].value < 0.12
    assert found["conformal/tumour/deviation/squared_error/power"].value > 0
    assert found["anomaly/tumour/baseline/squared_distance_to_mean/auroc"].baseline
    assert (
        found["anomaly/tumour/n_anomaly"].value == ((rows["condition"] == "tumour") & (rows["split"] == "test")).sum()
    )


def challenge(folder, seed: int = 0, raised: float = 4.0, balanced: bool = False) -> tuple[Questions, np.ndarray]:
    """PCA of normals, and tumours in which genes 0 to 9 are raised; `balanced`: 50 normals in each split."""
    rng = np.random.default_rng(seed)
    obs = sheet(600, seed).assign(tissue="liver", study="TCGA")
    loadings = rng.normal(size=(3, 60))
    x = rng.normal(size=(600, 3)) @ loadings + rng.normal(0, 0.5, (600, 60))
    x[(obs["condition"] == "tumour").to_numpy(), :10] += raised
    if balanced:
        kept = (obs.groupby(["split", "condition"]).cumcount() < 50).to_numpy()
        obs = obs[kept].reset_index(drop=True)
        x = x[kept]
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(60)], "centre": 6.0, "scale": 1.0})
    dataset = write_dataset(folder / "planted", Table(x.astype(np.float32), obs, var, "standardised"))
    train_run(folder / "run", dataset, "pca.PCA", {"n_latent": 3})
    mask = np.zeros((60, 3))
    mask[:10, 0] = mask[20:30, 1] = mask[40:55, 2] = 1
    run = Run.open(folder / "run", dataset=dataset)
    return Questions(Assessment(run, dataset, [TASK], is_baseline=True), TASK), mask


def test_dilution_gets_harder(tmp_path):
    """Breaks if shares are mixed up: more tumour must be easier to see."""
    asked, _ = challenge(tmp_path, raised=1.5)
    found = values_of(asked.dilution())
    auroc = [found[f"dilution/{share}/deviation/squared_error/auroc"] for share in (5, 20, 50)]
    assert auroc[0] < auroc[1] < auroc[2] and auroc[2] > 0.7
    assert 0 < found["dilution/n_tumours"] <= asked.anomaly.n_obs


def test_the_planted_program_is_recovered(tmp_path):
    """Breaks if contributions are of normals, or enrichment names another set."""
    asked, mask = challenge(tmp_path)
    genes = asked.contributions()
    first = genes[genes["rank"] <= 5]
    assert (first["var_id"].isin([f"g{j}" for j in range(10)])).mean() > 0.8
    assert set(genes["sample_id"]) == set(asked.anomaly.obs["sample_id"])
    table = asked.enrichment(mask, ["planted", "other", "third"])
    assert table["set"].iloc[0] == "planted" and table["q"].iloc[0] < 0.01


def test_injected_outliers_beside_their_floors(tmp_path):
    """Breaks if PCA of equal rank is not the model it stands for."""
    asked, _ = challenge(tmp_path)
    metrics = by_text(asked.gene_outliers())
    found = {text: metric.value for text, metric in metrics.items()}
    assert found["gene_outliers/z6/auprc"] == pytest.approx(found["gene_outliers/z6/auprc_of_pca"], abs=0.02)
    assert found["gene_outliers/z3/auprc"] > found["gene_outliers/baseline/z_score/z3/auprc"]
    assert [text for text, metric in metrics.items() if metric.baseline] == [
        "gene_outliers/baseline/z_score/z3/auprc",
        "gene_outliers/baseline/z_score/z6/auprc",
    ]


def test_equally_many_training_and_test_normals_are_told_apart(tmp_path):
    """Breaks if tables are recognised by their number of rows."""
    asked, _ = challenge(tmp_path, balanced=True)
    assert asked.normal.n_obs == asked.train.n_obs == 50
    found = values_of(asked.gene_outliers())
    assert found["gene_outliers/z6/auprc"] == pytest.approx(found["gene_outliers/z6/auprc_of_pca"], abs=0.02)


def test_sets_that_lie_together():
    """Breaks if a member's own loading makes its set look coherent, or sets are compared with themselves."""
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 4))
    for s in range(4):
        mask[50 * s : 50 * s + 20, s] = 1
    alike = rng.normal(0, 0.3, (200, 8)) + mask @ rng.normal(size=(4, 8))
    assert set_coherence(alike, mask) > 0.95
    assert set_coherence(rng.normal(size=(200, 8)), mask) == pytest.approx(0.5, abs=0.08)


def test_gene_set_nodes_that_differ():
    """Breaks if rows of one donor count as several, or the groups are mixed up."""
    obs = sheet(600)
    obs["split"] = "test"
    tumour = (obs["condition"] == "tumour").to_numpy()
    values = np.random.default_rng(0).normal(size=(600, 3)) + np.outer(tumour, [2.0, 0, 0])
    activity = obs[["sample_id", "split"]].join(pd.DataFrame(values, columns=["UP", "SAME", "OTHER"]))
    table = activity_differences(activity, obs, [TASK])["gene_set_differences_tumour"]
    assert table["set"].iloc[0] == "UP" and table["q"].iloc[0] < 1e-6 and table["auroc"].iloc[0] > 0.9
    assert (table.set_index("set").loc[["SAME", "OTHER"], "q"] > 0.01).all()

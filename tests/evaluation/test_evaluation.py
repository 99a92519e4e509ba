"""What a run is asked beside its scores: representation, challenges, calibration, paired differences."""

import numpy as np
import pandas as pd
import pytest
import torch

from aeflow.comparison.leaderboard import headline, leaderboard, pictured, ranks
from aeflow.comparison.paired import donor_intervals
from aeflow.comparison.stability import stability_rows
from aeflow.evaluation.challenge.challenge import Challenge
from aeflow.evaluation.representation.activity import activity_differences
from aeflow.evaluation.representation.latents import label_metrics, set_coherence, sparsity, subspace_metrics
from aeflow.evaluation.run_metrics import calibrated, run_metrics
from aeflow.models.build import build
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
    found = label_metrics(latents(obs), obs, view, ["tissue", "condition", "study"], ["logistic", "knn"], 0)
    assert found["tissue/logistic/accuracy"] > 0.95 and found["tissue/knn/accuracy"] > 0.95
    assert found["condition/logistic/accuracy"] > 0.95  # only normals were trained on: folds of test rows
    assert found["study/logistic/balanced_accuracy"] < 0.65
    assert found["tissue/silhouette"] > 0.3 > 0.1 > found["study/silhouette"]


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


VIEW = {"condition": ["normal"]}
TASK = {"datasets": ["x"], "views": ["normal"], "normal": VIEW, "anomaly": {"condition": ["tumour"]}}


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
    p = calibrated(scores, rows, VIEW)
    condition = obs.set_index("sample_id").loc[p["sample_id"], "condition"].to_numpy()
    values = p["p:deviation/squared_error"].to_numpy()
    assert 0.03 < (values[condition == "normal"] <= 0.05).mean() < 0.07
    assert (values[condition == "tumour"] <= 0.05).mean() > 0.95
    changed = scores.copy()
    changed.loc[changed["split"] == "test", "deviation/squared_error"] += 1000
    again = calibrated(changed, rows, VIEW)
    assert (again["p:deviation/squared_error"] == again["p:deviation/squared_error"].min()).all()
    assert again["p:proximity/knn"].equals(p["p:proximity/knn"])


def test_run_metrics_have_intervals():
    """Breaks if an interval does not hold its estimate, or calibration is missing."""
    obs = sheet(2000)
    model = {"n_vars": 5, "outcome": None, "seed": 0}
    found = run_metrics(scores_of(obs, 2.0, 0), obs, model, VIEW, {"tumour": TASK})
    stem = "anomaly/tumour/deviation/squared_error"
    assert found[f"{stem}/auroc_low"] < found[f"{stem}/auroc"] < found[f"{stem}/auroc_high"]
    assert 0 <= found[f"{stem}/fpr_at_95_recall"] <= 1 and found[f"{stem}/conformal/alarms"] < 0.12


def runs_of(strengths: dict[str, float], obs: pd.DataFrame, seeds=(0, 1)) -> list:
    return [
        ({"view": "normal", "view_filter": VIEW, "model": model, "seed": seed}, scores_of(obs, strength, 7 * seed + i))
        for seed in seeds
        for i, (model, strength) in enumerate(strengths.items())
    ]


def test_difference_to_pca_over_donors():
    """Breaks if a model as good as PCA is called better, or a far better one is not."""
    obs = sheet(1000)
    rows = donor_intervals(runs_of({"pca": 1.0, "same": 1.0, "good": 4.0}, obs), obs, {"tumour": TASK})
    rows = rows[rows["metric"] == "anomaly/tumour/deviation/squared_error/auroc"].set_index("model")
    assert rows.loc["good", "donor_low"] > 0.05
    assert rows.loc["same", "donor_low"] < 0 < rows.loc["same", "donor_high"]
    assert "pca" not in rows.index


def test_a_verdict_needs_both_intervals():
    """Breaks if two lucky seeds on few donors are enough for "better than PCA"."""
    info = {"dataset": "x", "origin": "real", "view": "normal"}
    metric = "anomaly/tumour/deviation/squared_error/auroc"
    values = {"pca": (0.80, 0.801, 0.802), "ae": (0.85, 0.851, 0.853)}
    runs = [
        ({**info, "model": m, "seed": s}, {metric: v}) for m, by_seed in values.items() for s, v in enumerate(by_seed)
    ]
    donors = pd.DataFrame(
        [("normal", "ae", metric, -0.01, 0.11)], columns=["view", "model", "metric", "donor_low", "donor_high"]
    )
    for low, verdict in ((-0.01, "not better than PCA"), (0.01, "better than PCA")):
        board = leaderboard(runs, donors.assign(donor_low=low)).set_index("model")
        assert board.loc["ae", "verdict"] == verdict


def test_what_a_model_was_given_is_not_its_merit():
    """Breaks if a model conditioned on the tissue is called better than PCA for having the tissue in its latents."""
    info = {"dataset": "x", "origin": "real", "view": "normal"}
    metrics = ("representation/tissue/logistic/accuracy", "representation/study/logistic/accuracy")
    runs = [
        ({**info, "model": model, "seed": seed, "covariates": codes}, dict.fromkeys(metrics, value + 0.001 * seed))
        for model, value, codes in (("pca", 0.9, {}), ("cvae", 1.0, {"tissue": {"levels": ["a", "b"]}}))
        for seed in range(3)
    ]
    board = leaderboard(runs).set_index(["model", "metric"])["verdict"]
    assert board["cvae", metrics[0]] == "was given tissue" and board["pca", metrics[0]] == ""
    assert board["cvae", metrics[1]] == "better than PCA"


def test_ranks_over_views():
    """Breaks if a model that is always best is not first, or one that misses a view is ranked."""
    info = {"dataset": "x", "origin": "real", "seed": 0}
    metric = "anomaly/one/deviation/squared_error/auroc"
    runs = [
        ({**info, "view": f"v{v}", "model": m}, {metric: value + 0.001 * v})
        for v in range(4)
        for m, value in (("pca", 0.8), ("best", 0.9), ("worst", 0.6))
    ]
    runs.append(({**info, "view": "v0", "model": "once"}, {metric: 0.99}))
    table = ranks(leaderboard(runs))
    assert table["model"].tolist() == ["best", "pca", "worst"] and table["n_blocks"].iloc[0] == 4
    assert ranks(leaderboard(runs[:2])).empty


def test_headlines_are_few():
    """Breaks if intervals, calibration or two-sample AUROCs crowd the printed leaderboard."""
    shown = headline(
        ["anomaly/t/deviation/x/auroc", "anomaly/t/deviation/x/auroc_low", "generation/gmm/two_sample_auroc"]
    )
    assert shown == ["anomaly/t/deviation/x/auroc"] and pictured(shown) == []


def challenge(seed: int = 0, raised: float = 4.0) -> tuple[Challenge, np.ndarray]:
    """PCA of normals, and tumours in which genes 0 to 9 are raised."""
    rng = np.random.default_rng(seed)
    obs = sheet(600, seed).assign(tissue="liver", study="TCGA")
    loadings = rng.normal(size=(3, 60))
    x = rng.normal(size=(600, 3)) @ loadings + rng.normal(0, 0.5, (600, 60))
    x[(obs["condition"] == "tumour").to_numpy(), :10] += raised
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(60)], "centre": 6.0, "scale": 1.0})
    table = Table(x.astype(np.float32), obs, var, "standardised")
    train = table.select(rows=((obs["split"] == "train") & (obs["condition"] == "normal")).to_numpy())
    val = table.select(rows=((obs["split"] == "val") & (obs["condition"] == "normal")).to_numpy())
    test = table.select(rows=(obs["split"] == "test").to_numpy())
    model = build("pca.PCA", 60, {"n_latent": 3})
    model.solve(torch.from_numpy(train.X))
    mask = np.zeros((60, 3))
    mask[:10, 0] = mask[20:30, 1] = mask[40:55, 2] = 1
    return Challenge(model, {}, train, val, test, TASK, VIEW, seed), mask


def test_dilution_gets_harder():
    """Breaks if shares are mixed up: more tumour must be easier to see."""
    asked, _ = challenge(raised=1.5)
    found = asked.dilution(1)
    auroc = [found[f"dilution/{share}/deviation/squared_error/auroc"] for share in (5, 20, 50)]
    assert auroc[0] < auroc[1] < auroc[2] and auroc[2] > 0.7


def test_the_planted_program_is_recovered():
    """Breaks if contributions are of normals, or enrichment names another set."""
    asked, mask = challenge()
    genes = asked.contributions()
    first = genes[genes["rank"] <= 5]
    assert (first["var_id"].isin([f"g{j}" for j in range(10)])).mean() > 0.8
    table = asked.enrichment(mask, ["planted", "other", "third"])
    assert table["set"].iloc[0] == "planted" and table["q"].iloc[0] < 0.01


def test_injected_outliers_beside_their_floors():
    """Breaks if PCA of equal rank is not the model it stands for."""
    asked, _ = challenge()
    found = asked.gene_outliers(baselines=True)
    assert found["gene_outliers/z6/auprc"] == pytest.approx(found["gene_outliers/pca_of_equal_rank/z6/auprc"], abs=0.02)
    assert found["gene_outliers/z3/auprc"] > found["gene_outliers/baseline/z_score/z3/auprc"]


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
    table = activity_differences(activity, obs, {"tumour": TASK}, VIEW)["gene_set_differences_tumour"]
    assert table["set"].iloc[0] == "UP" and table["q"].iloc[0] < 1e-6 and table["auroc"].iloc[0] > 0.9
    assert (table.set_index("set").loc[["SAME", "OTHER"], "q"] > 0.01).all()


def test_stability_over_seeds():
    """Breaks if training rows, or other views, are mixed into the comparison of seeds."""
    obs = sheet(200)
    z = latents(obs)
    info = {"dataset": "x", "origin": "real", "view": "normal"}
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    runs = []
    for model, second in (("turned", z @ turn), ("other", np.random.default_rng(2).normal(size=z.shape))):
        for values in (z, second):
            frame = obs[["sample_id", "split"]].join(pd.DataFrame(values, columns=["z0", "z1", "z2"]))
            runs.append(({**info, "model": model}, frame))
    runs.append(({**info, "model": "once"}, runs[0][1]))
    rows = stability_rows(runs).set_index("model")["mean"]
    assert rows["turned"] == pytest.approx(1) and rows["other"] < 0.2 and "once" not in rows

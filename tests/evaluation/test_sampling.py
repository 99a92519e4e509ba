"""Samplers and the judge of their draws."""

import numpy as np
import pandas as pd
import pytest
import torch

from aeflow.errors import DataError
from aeflow.evaluation.generation.draws import Reference, baseline_metrics, chain_metrics, draw_metrics
from aeflow.evaluation.generation.judge import Judge, judged, train_judge
from aeflow.evaluation.generation.judging import judge_run
from aeflow.evaluation.generation.sampling import conditional_mixture_draws, decode_all, draw_all, mixture_draws
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.run_folder import as_batch, draw_frame, given_rows, permuted, read_draws
from aeflow.table import Table
from aeflow.training.fit import TrainingSettings, fit

N_VARS, N_CLASSES = 12, 3
CENTRES = np.random.default_rng(5).normal(0, 3, (N_CLASSES, N_VARS))


def classes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around three well-separated centres, and their classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, N_CLASSES, n)
    return (CENTRES[y] + rng.normal(0, 0.5, (n, N_VARS))).astype(np.float32), y


@pytest.fixture(scope="module")
def judge() -> Judge:
    x, y = classes(600)
    return train_judge(torch.from_numpy(x), torch.from_numpy(y), N_CLASSES, "expression", 0)


def reference() -> Reference:
    (x, y), (x_test, y_test) = classes(400, 1), classes(300, 2)
    return Reference(x, y, x_test, y_test, y.astype(str))


def test_judge_knows_the_classes(judge):
    """Breaks if the judge does not learn, or is left in training mode with dropout on."""
    x, y = classes(300, 3)
    features, p = judged(judge, torch.from_numpy(x))
    assert (p.argmax(1) == y).mean() > 0.98
    assert features.shape == (300, 64) and np.allclose(p.sum(1), 1, atol=1e-5)
    assert np.array_equal(judged(judge, torch.from_numpy(x))[1], p)


def test_good_draws_are_told_from_bad_ones(judge):
    """Breaks if a metric's direction is turned round, or draws are held against themselves."""
    real, (good, _) = reference(), classes(300, 4)
    draws = {"good": good, "bad": np.random.default_rng(0).normal(0, 3, good.shape).astype(np.float32)}
    found = draw_metrics(draws, None, real, judge, seed=0)
    for metric, higher in (("frechet", False), ("coverage", True), ("two_sample_auroc", False), ("gamma", True)):
        good_value, bad_value = found[f"good/{metric}"], found[f"bad/{metric}"]
        assert (good_value > bad_value) == higher, metric
    assert found["good/frechet"] < 5 * found["good/frechet_floor"]
    copies = draw_metrics({"copied": real.x_train[:300]}, None, real, judge, seed=0)
    assert copies["copied/copies"] > 0.9 > 0.2 > found["good/copies"]


def test_conditional_draws_are_judged_by_what_they_were_given(judge):
    """Breaks if the class a draw was to have is not compared with the one the judge sees."""
    real, (x, y) = reference(), classes(300, 4)
    right = draw_metrics({"prior": x}, y, real, judge, seed=0)
    wrong = draw_metrics({"prior": x}, (y + 1) % N_CLASSES, real, judge, seed=0)
    assert right["prior/control_accuracy"] > 0.98 and wrong["prior/control_accuracy"] < 0.02
    assert right["prior/accuracy_synthetic"] > 0.95 and right["prior/augmentation/n_real"] == 50


def test_baselines_stand_beside(judge):
    """Breaks if the floor of real rows shares rows with what it is held against."""
    found = baseline_metrics(150, reference(), judge, seed=0)
    assert found["baseline/judge/accuracy"] > 0.98
    assert found["baseline/real_train/copies"] < 0.1
    assert found["baseline/class_gaussian/coverage"] > 0.8


def test_chains_that_collapse_reach_one_class(judge):
    """Breaks if a chain stuck in one place counts as covering the data."""
    real, (x, _) = reference(), classes(200, 6)
    varied = chain_metrics(x, real, judge, seed=0)
    stuck = chain_metrics(np.repeat(x[:1], 200, 0), real, judge, seed=0)
    assert varied["classes"] > 2.5 and varied["coverage"] > 0.8
    assert stuck["classes"] == pytest.approx(1.0) and stuck["coverage"] < 0.2


def test_mixture_draws_follow_the_latents():
    """Breaks if the mixture is fitted to other rows, or its draws come in the order of its components."""
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(-5, 0.1, (500, 2)), rng.normal(5, 0.1, (500, 2))]).astype(np.float32)
    draws = mixture_draws(z, 400, 2, 0)
    assert np.allclose(np.abs(draws), 5, atol=0.6)
    assert 0.35 < (draws[:200, 0] > 0).mean() < 0.65
    assert len(mixture_draws(z[:5], 7, 10, 0)) == 7  # fewer rows than components


def test_samplers_a_model_has():
    """Breaks if a plain autoencoder is said to have a prior, or a VAE's posterior draws ignore their rows."""
    x, _ = classes(300)
    train, given = Batch(torch.from_numpy(x)), Batch(torch.from_numpy(x[:40]))
    torch.manual_seed(0)
    for architecture, keywords, expected in (
        ("ae.AE", {"n_latent": 3}, {"normal", "gmm"}),
        ("pca.PCA", {"n_latent": 3}, {"prior", "gmm"}),
        ("vae.VAE", {"n_latent": 3, "likelihood": "gaussian"}, {"prior", "gmm", "posterior"}),
    ):
        model = build(architecture, N_VARS, keywords)
        fit(model, train.x, given.x, TrainingSettings(max_epochs=30, learning_rate=3e-3), seed=0)
        draws = draw_all(model.eval(), train, given, noise=False, n_components=3, seed=0)
        assert set(draws) == expected
        assert all(d.shape == (40, N_VARS) for d in draws.values())
        assert set(draw_all(model, train, given, noise=False, n_components=0, seed=0)) == expected & {"prior"}
        if "posterior" in draws:  # variations of the rows they start from, nearer than other rows are
            near = (draws["posterior"] - given.x).square().sum(1).mean()
            assert near < (draws["posterior"] - given.x.roll(1, 0)).square().sum(1).mean()


def test_conditional_draws_have_their_row_beside_them():
    """Breaks if decoding in chunks separates latents from covariates."""
    torch.manual_seed(0)
    model = build("cvae.CVAE", N_VARS, {"n_latent": 2, "likelihood": "gaussian"}, n_covariates=3).eval()
    c = torch.eye(3)[torch.arange(5000) % 3]
    given = Batch(torch.zeros(5000, N_VARS), None, c)
    z = torch.zeros(5000, 2)
    with torch.no_grad():
        assert torch.allclose(decode_all(model, z, given), model.decode(z, given), atol=1e-6)


def test_rare_classes_are_given_as_often():
    """Breaks if conditional draws repeat the frequencies of training rows."""
    obs = pd.DataFrame({"tissue": ["a"] * 95 + ["b"] * 5})
    rows = given_rows(obs, {"tissue": {"levels": ["a", "b"]}}, 100, 0)
    assert (obs["tissue"].iloc[rows] == "b").sum() == 50
    assert len(set(given_rows(obs, {}, 100, 0).tolist())) > 30


def test_draws_survive_their_file():
    """Breaks if samplers or conditions are mixed up with variables."""
    var, given = pd.Series(["g1", "g2"]), pd.DataFrame({"tissue": ["a", "b"]})
    frame = draw_frame({"prior": np.ones((2, 2)), "gmm": np.zeros((2, 2))}, var, given)
    assert list(frame.columns) == ["sampler", "draw_id", "given:tissue", "g1", "g2"]
    assert {name: x.mean() for name, x in read_draws(frame).items()} == {"prior": 1.0, "gmm": 0.0}


def table(n: int, seed: int) -> Table:
    x, y = classes(n, seed)
    obs = pd.DataFrame({"sample_id": [f"s{seed}_{i}" for i in range(n)], "tissue": [f"t{c}" for c in y]})
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(N_VARS)], "centre": 0.5, "scale": 2.0})
    return Table(x, obs, var, "standardised")


def test_a_run_is_judged_in_the_space_of_its_dataset(judge, tmp_path):
    """Breaks if draws are judged in other units than the judge was trained in."""
    train, test = table(300, 1), table(200, 2)
    x, y = classes(200, 7)
    given = pd.DataFrame({"tissue": [f"t{c}" for c in y]})
    draw_frame({"prior": x * 2.0 + 0.5}, train.var["var_id"], given).to_parquet(tmp_path / "d.parquet")
    description = {"label": "tissue", "levels": ["t0", "t1", "t2"]}
    model = build("pca.PCA", N_VARS, {"n_latent": 3})
    metrics = judge_run(tmp_path / "d.parquet", train, test, model, judge, description, {"model": "pca"}, seed=0)
    assert metrics["generation/prior/control_accuracy"] > 0.98
    assert "generation/baseline/class_gaussian/gamma" in metrics
    with pytest.raises(DataError, match="'t2' is no class of the judge"):
        judge_run(
            *(tmp_path / "d.parquet", train, test, model, judge),
            *({"label": "tissue", "levels": ["t0", "t1"]}, {"model": "ae"}),
            seed=0,
        )


def test_permuted_rows_keep_columns_and_lose_relations():
    """Breaks if the control changes a variable's values, or keeps the relation between variables."""
    before, after = table(300, 1), permuted(table(300, 1), 0)
    assert np.array_equal(np.sort(before.X, 0), np.sort(after.X, 0))
    off = ~np.eye(N_VARS, dtype=bool)
    assert np.abs(np.corrcoef(after.X.T)[off]).mean() < 0.3 * np.abs(np.corrcoef(before.X.T)[off]).mean()


def test_batches_carry_covariates():
    """Breaks if a conditional model is given another row's class."""
    rows = table(10, 1)
    batch = as_batch(rows, {"tissue": {"levels": ["t0", "t1", "t2"]}}, torch.device("cpu"))
    assert [f"t{i}" for i in batch.covariates.argmax(1).tolist()] == rows.obs["tissue"].tolist()
    assert as_batch(rows, {}, torch.device("cpu")).covariates is None


def test_mixture_of_a_conditional_model_follows_its_classes():
    """Breaks if latents of one class are decoded as another's."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    z = (np.array([[-8.0, 0], [0, 0], [8, 0]])[y] + rng.normal(0, 0.3, (600, 2))).astype(np.float32)
    c = torch.eye(3)
    draws = conditional_mixture_draws(z, c[y], c[[0] * 50 + [2] * 50], 100, 2, 0)
    assert np.allclose(draws[:50, 0], -8, atol=2) and np.allclose(draws[50:, 0], 8, atol=2)

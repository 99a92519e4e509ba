"""Samplers and the judge of their draws."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import train_run, values_of, write_dataset

from aeflow.dataset.batch import as_batch, concatenated
from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import DataError
from aeflow.evaluation.assessment import Assessment, Companions
from aeflow.evaluation.generation.draw_table import draw_frame, given_rows, read_draws
from aeflow.evaluation.generation.draws import Reference, baseline_metrics, chain_metrics, draw_metrics
from aeflow.evaluation.generation.judge import JUDGE_FILES, Judge, judged, load_judge, train_judge
from aeflow.evaluation.generation.judging import Generation
from aeflow.evaluation.generation.sampling import conditional_mixture_draws, decode_all, draw_all, mixture_draws
from aeflow.files import write_json
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.run import Run
from aeflow.table import Table
from aeflow.training.checkpoint import save_tensors
from aeflow.training.fit import TrainingSettings, fit
from aeflow.training.permute import permuted

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
    values = values_of(found)
    for metric, higher in (("frechet", False), ("coverage", True), ("two_sample_auroc", False), ("gamma", True)):
        good_value, bad_value = values[f"generation/good/{metric}"], values[f"generation/bad/{metric}"]
        assert (good_value > bad_value) == higher, metric
        assert {m.direction for m in found if m.name == metric} == {"higher" if higher else "lower"}
    assert values["generation/good/frechet"] < 5 * values["generation/good/frechet_floor"]
    copies = values_of(draw_metrics({"copied": real.x_train[:300]}, None, real, judge, seed=0))
    assert copies["generation/copied/copies"] > 0.9 > 0.2 > values["generation/good/copies"]


def test_conditional_draws_are_judged_by_what_they_were_given(judge):
    """Breaks if the class a draw was to have is not compared with the one the judge sees."""
    real, (x, y) = reference(), classes(300, 4)
    right = values_of(draw_metrics({"prior": x}, y, real, judge, seed=0))
    wrong = values_of(draw_metrics({"prior": x}, (y + 1) % N_CLASSES, real, judge, seed=0))
    assert right["generation/prior/control_accuracy"] > 0.98 and wrong["generation/prior/control_accuracy"] < 0.02
    assert right["generation/prior/accuracy_synthetic"] > 0.95 and right["augmentation/prior/n_real"] == 50


def test_baselines_stand_beside(judge):
    """Breaks if the floor of real rows shares rows with what it is held against."""
    metrics = baseline_metrics(150, reference(), judge, seed=0)
    assert all(metric.baseline for metric in metrics)
    found = values_of(metrics)
    assert found["generation/baseline/judge/accuracy"] > 0.98
    assert found["generation/baseline/real_train/copies"] < 0.1
    assert found["generation/baseline/class_gaussian/coverage"] > 0.8


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
    rows = given_rows(obs, CovariateCodes.fit(obs, ["tissue"]), 100, 0)
    assert (obs["tissue"].iloc[rows] == "b").sum() == 50
    assert len(set(given_rows(obs, CovariateCodes({}), 100, 0).tolist())) > 30


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


CODES = CovariateCodes.from_json({"tissue": {"levels": ["t0", "t1", "t2"]}})
GENERATE = {"n_draws": 200, "noise": False, "gmm": 3, "judge": "tissue"}


def judged_dataset(folder, judge, levels):
    """Write a dataset of the three classes, and the folder of its judge."""
    rows = table(500, 1)
    rows.obs["split"] = ["train"] * 250 + ["val"] * 50 + ["test"] * 200
    dataset = write_dataset(folder / "classes", rows)
    (folder / "judge").mkdir()
    save_tensors(judge.state_dict(), folder / "judge" / JUDGE_FILES["weights"])
    description = {"label": "tissue", "levels": levels, "kind": "expression", "n_vars": N_VARS, "test_accuracy": 1.0}
    write_json(description, folder / "judge" / JUDGE_FILES["description"])
    return dataset


def judged_run(folder, dataset, *, is_baseline):
    train_run(folder, dataset, "pca.PCA", {"n_latent": 3}, view={})
    run = Run.open(folder, dataset=dataset)
    companions = Companions(judge=folder.parent / "judge")
    return Assessment(run, dataset, [], is_baseline=is_baseline, companions=companions)


def test_a_run_is_judged_in_the_space_of_its_dataset(judge, tmp_path):
    """Breaks if draws are judged in other units than the judge was trained in, or written in those of the model."""
    dataset = judged_dataset(tmp_path, judge, ["t0", "t1", "t2"])
    a = judged_run(tmp_path / "pca", dataset, is_baseline=True)
    asked = Generation(generate=GENERATE)
    found = asked.evaluate(a)
    draws = read_draws(found.tables["generated"])
    assert set(draws) == {"prior", "gmm"} and draws["gmm"].shape == (200, N_VARS)
    assert np.median(draws["gmm"].std(0) / a.test.X.std(0)) == pytest.approx(2, rel=0.2)  # scale is undone
    values = values_of(found.metrics)
    assert values["generation/gmm/frechet"] < 5 * values["generation/gmm/frechet_floor"]
    assert "generation/baseline/class_gaussian/gamma" in values
    # real rows in the unit before scaling, each given its own class: all are what they were to be
    x, y = classes(200, 7)
    given = pd.DataFrame({"tissue": [f"t{c}" for c in y]})
    other = Assessment(a.run, dataset, [], is_baseline=False, companions=a.companions)
    metrics = asked.judged(other, {"prior": x * 2.0 + 0.5}, given)
    assert values_of(metrics)["generation/prior/control_accuracy"] > 0.98
    assert not [metric for metric in metrics if metric.baseline]


def test_what_the_judge_does_not_know_is_named(judge, tmp_path):
    """Breaks if a class without a number, or a judge that is not there, passes in silence."""
    two = Judge(N_VARS, 2, "expression")
    dataset = judged_dataset(tmp_path, two, ["t0", "t1"])
    a = judged_run(tmp_path / "pca", dataset, is_baseline=False)
    with pytest.raises(DataError, match="'t2' is no class of the judge"):
        Generation(generate=GENERATE).evaluate(a)
    alone = Assessment(a.run, dataset, [], is_baseline=False)
    with pytest.raises(DataError, match="judged by 'tissue', but no judge was given"):
        Generation(generate=GENERATE).evaluate(alone)
    assert Generation(generate={**GENERATE, "judge": None}).evaluate(alone).metrics == []


def test_a_judge_survives_its_files(judge, tmp_path):
    """Breaks if a judge comes back with other weights, in training mode, or with other class names."""
    judged_dataset(tmp_path, judge, ["t0", "t1", "t2"])
    again, description = load_judge(tmp_path / "judge", torch.device("cpu"))
    x = torch.from_numpy(classes(50, 3)[0])
    assert np.array_equal(judged(again, x)[1], judged(judge, x)[1])
    assert description["levels"] == ["t0", "t1", "t2"]


def test_permuted_rows_keep_columns_and_lose_relations():
    """Breaks if the control changes a variable's values, or keeps the relation between variables."""
    before, after = table(300, 1), permuted(table(300, 1), 0)
    assert np.array_equal(np.sort(before.X, 0), np.sort(after.X, 0))
    off = ~np.eye(N_VARS, dtype=bool)
    assert np.abs(np.corrcoef(after.X.T)[off]).mean() < 0.3 * np.abs(np.corrcoef(before.X.T)[off]).mean()


def test_batches_carry_covariates():
    """Breaks if a conditional model is given another row's class."""
    rows = table(10, 1)
    batch = as_batch(rows, CODES, torch.device("cpu"))
    assert [f"t{i}" for i in batch.covariates.argmax(1).tolist()] == rows.obs["tissue"].tolist()
    assert as_batch(rows, CovariateCodes({}), torch.device("cpu")).covariates is None
    both = concatenated(batch, as_batch(rows.select(rows=np.array([3, 4])), CODES, torch.device("cpu")))
    assert torch.equal(both.x[10:], batch.x[3:5]) and torch.equal(both.covariates[10:], batch.covariates[3:5])


def test_mixture_of_a_conditional_model_follows_its_classes():
    """Breaks if latents of one class are decoded as another's."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    z = (np.array([[-8.0, 0], [0, 0], [8, 0]])[y] + rng.normal(0, 0.3, (600, 2))).astype(np.float32)
    c = torch.eye(3)
    draws = conditional_mixture_draws(z, c[y], c[[0] * 50 + [2] * 50], 100, 2, 0)
    assert np.allclose(draws[:50, 0], -8, atol=2) and np.allclose(draws[50:, 0], 8, atol=2)

"""What one part of an evaluation cannot measure takes no other part with it, and is said."""

import numpy as np
import pytest
import torch
from tiny import NORMAL, TUMOUR_TASK, one, tiny_table, train_run, values_of, write_dataset

from aeflow.evaluation.assessment import Assessment, Companions
from aeflow.evaluation.challenge.questions import Questions
from aeflow.evaluation.generation.draws import Reference, baseline_metrics, chain_metrics
from aeflow.evaluation.generation.judge import JUDGE_FILES, Judge
from aeflow.evaluation.generation.judging import Generation
from aeflow.evaluation.metric import measured
from aeflow.evaluation.representation.latents import sparsity
from aeflow.evaluation.task import Task
from aeflow.files import write_json
from aeflow.run import Run
from aeflow.table import Table
from aeflow.training.checkpoint import save_tensors


def assessment(folder, table: Table, n_latent: int) -> Assessment:
    dataset = write_dataset(folder / "tiny", table)
    train_run(folder / "pca", dataset, "pca.PCA", {"n_latent": n_latent}, model="pca")
    run = Run.open(folder / "pca", dataset=dataset)
    task = Task.of_entry("tumour", TUMOUR_TASK, NORMAL)
    return Assessment(run, dataset, [task], is_baseline=True, companions=Companions())


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_no_metric_is_infinite(value, caplog):
    """Breaks if a number that JSON and MLflow refuse reaches them, or one is lost in silence."""
    assert measured("reconstruction", {"mse": value, "explained_variance": 0.5}) == [
        one("reconstruction/explained_variance", 0.5)
    ]
    assert "reconstruction/mse" in caplog.text


def test_sparsity_of_degenerate_latents():
    """Breaks if rows of zeros count as sparser than possible, or one latent has a sparsity."""
    z = np.zeros((4, 2))
    assert np.isnan(sparsity(z)["hoyer"]) and sparsity(z)["unused"] == 1
    z[0] = [1, 0]
    assert sparsity(z)["hoyer"] == pytest.approx(1)
    assert np.isnan(sparsity(np.ones((4, 1)))["hoyer"])


def test_a_model_without_residuals_keeps_its_floor(tmp_path, caplog):
    """Breaks if outliers are sought among rounding errors, or the z-scores' floor is lost with the model's number."""
    table = tiny_table()
    basis = np.random.default_rng(0).normal(size=(4, table.n_vars))
    X = (np.random.default_rng(1).normal(size=(table.n_obs, 4)) @ basis).astype(np.float32)
    a = assessment(tmp_path, Table(X, table.obs, table.var, table.unit), 4)
    asked = Questions(a, a.tasks[0])
    found = values_of(asked.gene_outliers())
    assert set(found) == {f"gene_outliers/baseline/z_score/z{z}/auprc" for z in (3, 6)}
    assert "gene outliers: left out" in caplog.text and "gene outliers, PCA of equal rank: left out" in caplog.text


def reference(n_test: int = 3) -> Reference:
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    classes = np.array(["a", "b", "", "a"] * 10, dtype=object)
    return Reference(x, np.arange(40) % 2, x[:n_test], np.arange(n_test) % 2, classes)


def test_chains_beside_few_test_rows_keep_what_needs_none():
    """Breaks if coverage, which needs six test rows, takes with it what the judge sees."""
    judge = Judge(5, 2, "expression").eval()
    states = np.random.default_rng(1).normal(size=(8, 5)).astype(np.float32)
    assert set(chain_metrics(states, reference(), judge, seed=0)) == {"confident", "classes"}


def test_rows_of_unknown_class_are_no_class_of_the_floor(monkeypatch):
    """Breaks if rows without study, tissue or condition are a Gaussian of their own."""
    seen = []

    def draws(x, classes, wanted, rng):
        seen.append((len(x), set(classes) | set(wanted)))
        return x

    monkeypatch.setattr("aeflow.evaluation.generation.draws.class_gaussian_draws", draws)
    baseline_metrics(20, reference(10), Judge(5, 2, "expression").eval(), seed=0)
    assert seen == [(30, {"a", "b"})]


def test_draws_that_are_not_finite_are_left_out_by_name(tmp_path, monkeypatch, caplog):
    """Breaks if one sampler's infinite draws stop the run, or are drawn and judged beside the others'."""
    a = assessment(tmp_path, tiny_table(), 3)

    def overflow(n, generator, *, noise, covariates=None):
        return torch.full((n, a.run.spec.n_vars), torch.inf)

    monkeypatch.setattr(a.run.model, "generate", overflow)
    found = Generation(generate={"n_draws": 30, "noise": False, "gmm": 2, "judge": None}).evaluate(a)
    assert set(found.tables["generated"]["sampler"]) == {"gmm"}
    assert "generation/prior: left out: 30 of 30 draws are not finite" in caplog.text


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_draws_are_judged_beside_a_sheet_with_gaps(tmp_path, missing):
    """Breaks if a gap in a column beside the judge's own ends the assessment in a bare TypeError."""
    table = tiny_table()
    obs = table.obs.astype({"study": object})
    obs.loc[::5, "study"] = missing
    a = assessment(tmp_path, Table(table.X, obs, table.var, table.unit), 3)
    judge = Judge(table.n_vars, 2, "expression")
    save_tensors(judge.state_dict(), tmp_path / "judge" / JUDGE_FILES["weights"])
    about = {"label": "tissue", "levels": ["liver", "lung"], "kind": "expression", "n_vars": table.n_vars}
    write_json(about, tmp_path / "judge" / JUDGE_FILES["description"])
    a.companions = Companions(judge=tmp_path / "judge")
    found = Generation(generate={"n_draws": 30, "noise": False, "gmm": 0, "judge": "tissue"}).evaluate(a)
    assert "generation/baseline/class_gaussian/frechet" in values_of(found.metrics)

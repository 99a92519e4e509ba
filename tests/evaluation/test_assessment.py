"""Every evaluation on a tiny dataset: what it measures is declared, and reading it off a run costs one pass."""

import importlib
import inspect
import pkgutil

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import ENTRIES, NORMAL, TUMOUR_TASK, by_text, train_run, values_of, write_dataset, write_gene_sets

import aeflow.evaluation
from aeflow.dataset.dataset import Dataset
from aeflow.errors import DataError
from aeflow.evaluation import metric as declared_metrics
from aeflow.evaluation.assessment import Assessment, Companions
from aeflow.evaluation.evaluation import Evaluation, Findings, make_evaluation
from aeflow.evaluation.generation.judge import JUDGE_FILES, train_judge
from aeflow.evaluation.metric import METRIC_COLUMNS, declarations, declared, metric_frame
from aeflow.evaluation.task import Task
from aeflow.files import write_json
from aeflow.run import Run
from aeflow.scoring.names import score_columns
from aeflow.training.checkpoint import save_tensors

MODELS = {
    "pca": ("pca.PCA", {"n_latent": 3}),
    "linear": ("linear_ae.LinearAE", {"n_latent": 3}),
    "cvae": ("cvae.CVAE", {"n_latent": 3, "n_hidden": [8], "likelihood": "gaussian"}),
    "gsae": ("gsae.GSAE", {"n_latent": 2}),
    "gdae": ("gdae.GDAE", {"n_latent": 4, "likelihood": "gaussian", "n_generate": 5}),
}
ASKED = {
    "pca": ("reconstruction", "detection", "representation", "subspace", "generation", "challenge", "exports"),
    "linear": ("subspace", "challenge", "representation", "exports"),
    "cvae": ("reconstruction", "generation"),
    "gsae": ("exports",),
    "gdae": ("generation",),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset, its gene sets and judge, and a run of each of `MODELS`."""
    folder = tmp_path_factory.mktemp("place")
    dataset = write_dataset(folder / "tiny")
    gene_sets = write_gene_sets(folder / "sets.gmt")
    for name, (architecture, hyperparameters) in MODELS.items():
        options = {"gene_sets": gene_sets} if name == "gsae" else {}
        options |= {"condition_on": ("tissue",)} if name == "cvae" else {}
        train_run(folder / name, dataset, architecture, hyperparameters, model=name, **options)
    train = dataset.rows("train")
    y = torch.from_numpy((train.obs["tissue"] == "lung").to_numpy().astype(np.int64))
    judge = train_judge(torch.from_numpy(train.X), y, 2, "expression", 0)
    save_tensors(judge.state_dict(), folder / "judge" / JUDGE_FILES["weights"])
    description = {"label": "tissue", "levels": ["liver", "lung"], "kind": "expression", "n_vars": train.n_vars}
    write_json(description, folder / "judge" / JUDGE_FILES["description"])
    return folder


def assessment(place, name: str, **options) -> Assessment:
    dataset = Dataset.open(place / "tiny")
    companions = Companions(
        judge=place / "judge",
        gene_sets=place / "sets.gmt",
        min_genes=2,
        baseline_run=place / "pca" if name == "linear" else None,
    )
    task = Task.of_entry("tumour", TUMOUR_TASK | options, NORMAL)
    run = Run.open(place / name, dataset=dataset)
    return Assessment(run, dataset, [task], is_baseline=name == "pca", companions=companions)


@pytest.fixture(scope="module")
def findings(place) -> dict[str, dict[str, Findings]]:
    """What the evaluations of `ASKED` find, {model: {evaluation: findings}}."""
    found: dict[str, dict[str, Findings]] = {}
    for model, names in ASKED.items():
        a = assessment(place, model)
        found[model] = {name: make_evaluation(ENTRIES[name]).evaluate(a) for name in names}
    return found


def test_every_built_in_evaluation_is_asked_here():
    """Breaks if an evaluation is added that no test of this file runs."""
    found = set()
    for module in pkgutil.walk_packages(aeflow.evaluation.__path__, "aeflow.evaluation."):
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, Evaluation) and cls is not Evaluation and cls.__module__ == module.name:
                found.add(f"{module.name.removeprefix('aeflow.evaluation.')}.{name}")
    assert found == {entry["evaluation"] for entry in ENTRIES.values()}


def test_everything_measured_is_declared_and_finite(findings):
    """Breaks if a number has no declaration or another direction than declared, or an evaluation gives NaN."""
    for model, by_name in findings.items():
        metrics = [metric for found in by_name.values() for metric in found.metrics]
        assert len(metric_frame(metrics)) == len(metrics)  # nothing is there twice
        for metric in metrics:
            about = declared(metric.part, metric.name)
            of_batch = metric.subject in ("study", "baseline/study")
            assert metric.direction == (about.of_batch if of_batch else about.direction), metric.text
            assert np.isfinite(metric.value), (model, metric.text)
            assert metric.baseline == ("baseline/" in metric.text), metric.text
            # what costs something stands in the baseline's run alone; scores that know no model come with the others
            assert not metric.baseline or model == "pca" or metric.score.startswith("baseline/"), metric.text


def test_everything_declared_is_measured(findings):
    """Breaks if a declaration outlives its computation: the tables would describe what nobody finds."""
    measured = {(m.part, m.name) for found in findings.values() for f in found.values() for m in f.metrics}
    # other tasks; over seeds; where labels are missing
    elsewhere = {("validation", "auroc"), ("representation", "cka"), ("representation", "n_unlabelled")}
    assert {(about.part, about.name) for about in declarations()} - elsewhere == measured


def test_the_study_is_lower_is_better(findings):
    """Breaks if finding the study in latents, or in the variables themselves, counts in a model's favour."""
    metrics = by_text(findings["pca"]["representation"].metrics)
    for stem in ("representation/study", "representation/baseline/study"):
        for name in ("logistic/accuracy", "knn/balanced_accuracy", "nmi", "ari", "silhouette"):
            assert metrics[f"{stem}/{name}"].direction == "lower"
        assert metrics[f"{stem}/majority"].direction == "none"
    assert metrics["representation/tissue/logistic/accuracy"].direction == "higher"


def test_the_evaluations_find_what_there_is(findings):
    """Breaks if an evaluation is asked of other rows than its own: the answers on this dataset are known."""
    pca = values_of([m for found in findings["pca"].values() for m in found.metrics])
    assert pca["reconstruction/test/explained_variance"] > 0.8
    assert pca["anomaly/tumour/deviation/squared_error/auroc"] > 0.8
    assert pca["anomaly/tumour/deviation/squared_error/control_auroc"] == pytest.approx(0.5, abs=0.2)
    assert pca["representation/tissue/logistic/accuracy"] > pca["representation/tissue/majority"]
    assert pca["representation/study/logistic/balanced_accuracy"] == pytest.approx(0.5, abs=0.2)
    linear = values_of(findings["linear"]["subspace"].metrics)
    assert 0 <= linear["representation/subspace/largest_angle"] <= 90
    assert findings["pca"]["subspace"].metrics == []  # beside itself
    cvae = values_of(findings["cvae"]["reconstruction"].metrics)
    assert "likelihood/test/continuous/neg_log_likelihood" in cvae


def test_tables_of_evaluations(findings):
    """Breaks if a table is lost, or has rows of other samples."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for model, by_name in findings.items():
        for found in by_name.values():
            tables.setdefault(model, {}).update(found.tables)
    assert set(tables["pca"]) == {"generated", "contributions", "enrichment", "loadings"}
    assert set(tables["linear"]) == {"contributions", "enrichment", "loadings"}
    assert set(tables["gsae"]) == {"gene_set_activity", "gene_set_differences_tumour"}
    assert list(tables["gsae"]["gene_set_activity"].columns) == ["sample_id", "split", "LOW", "MIDDLE", "HIGH"]
    assert list(tables["pca"]["loadings"].columns) == ["var_id", "v0", "v1", "v2"]
    draws = tables["cvae"]["generated"].groupby("sampler")["given:tissue"].value_counts()
    assert draws.to_dict() == {(s, t): 30 for s in ("prior", "gmm", "posterior") for t in ("liver", "lung")}


def test_latents_and_scores_are_tables_of_their_rows(place):
    """Breaks if rows and values come in different orders, or training rows outside the view are encoded."""
    a = assessment(place, "pca")
    assert list(a.latent.columns) == ["sample_id", "split", "z0", "z1", "z2"]
    assert a.latent["split"].value_counts().to_dict() == {
        "train": a.train.n_obs,
        "val": a.val.n_obs,
        "test": a.test.n_obs,
    }
    of_test = a.latent[a.latent["split"] == "test"]
    assert of_test["sample_id"].tolist() == a.test.obs["sample_id"].tolist()
    assert np.allclose(of_test[["z0", "z1", "z2"]], a.run.encode(a.test), atol=1e-6)
    obs = a.obs_of(a.latent["sample_id"])
    assert (obs["sample_id"] == a.latent["sample_id"]).all()
    assert (obs.loc[obs["split"] != "test", "condition"] == "normal").all()
    assert a.scores["split"].value_counts().to_dict() == {"val": a.val.n_obs, "test": a.test.n_obs}
    alone = a.run.scores(a.test)
    of_test = a.scores[a.scores["split"] == "test"]
    for name in score_columns(a.scores):
        assert np.allclose(of_test[name], alone[name], rtol=1e-5), name
    assert a.calibrated["sample_id"].tolist() == a.test.obs["sample_id"].tolist()
    assert a.scores is a.scores and a.latent is a.latent  # computed once


def test_choosing_a_score_needs_validation_rows_of_other_views(place):
    """Breaks if anomalies among validation rows are not scored where a task chooses by them, or shape p-values."""
    plain = assessment(place, "pca")
    a = assessment(place, "pca", choose_score=True)
    all_val = a.dataset.rows("val").n_obs
    assert all_val > a.val.n_obs and (a.scores["split"] == "val").sum() == all_val
    pd.testing.assert_frame_equal(a.calibrated, plain.calibrated, rtol=1e-5)
    found = make_evaluation(ENTRIES["detection"]).evaluate(a).metrics
    validation = [metric for metric in found if metric.part == "validation"]
    assert {metric.score for metric in validation} == set(score_columns(a.scores))
    assert {metric.direction for metric in validation} == {"none"}


def test_what_does_not_apply_is_not_asked(place):
    """Breaks if a challenge without its task, or a model that exports nothing, stops a run or makes up numbers."""
    a = assessment(place, "cvae")
    none_asked = Assessment(a.run, a.dataset, [], is_baseline=False, companions=a.companions)
    for entry, of in ((ENTRIES["challenge"], none_asked), ({"evaluation": "challenge.questions.Challenge"}, a)):
        found = make_evaluation(entry).evaluate(of)
        assert found.metrics == [] and found.tables == {}
    without = Assessment(a.run, a.dataset, a.tasks, is_baseline=False)
    with pytest.raises(DataError, match="challenge: no gene sets were given"):
        make_evaluation(ENTRIES["challenge"]).evaluate(without)


OWN = '''
"""How large latents are."""

import numpy as np

from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import declare, measured

declare("magnitude", "largest", "lower", "Largest magnitude of a test row's latents.")


class Magnitude(Evaluation):
    def __init__(self, *, times: float = 1.0):
        self.times = times

    def evaluate(self, a):
        z = a.run.encode(a.test)
        return Findings(measured("magnitude", {"largest": self.times * np.abs(z).max()}), {"latents": a.latent})
'''


def test_an_evaluation_of_ones_own_is_one_file(place, tmp_path, monkeypatch):
    """Breaks if an evaluation has to be named anywhere but in the configuration, or its options are lost."""
    monkeypatch.setattr(declared_metrics, "_DECLARED", dict(declared_metrics._DECLARED))
    (tmp_path / "magnitude_of_latents.py").write_text(OWN)
    monkeypatch.setattr(aeflow.evaluation, "__path__", [*aeflow.evaluation.__path__, str(tmp_path)])
    a = assessment(place, "pca")
    found = make_evaluation({"evaluation": "magnitude_of_latents.Magnitude", "times": 2.0}).evaluate(a)
    (metric,) = found.metrics
    assert metric.text == "magnitude/largest" and metric.direction == "lower"
    assert metric.value == pytest.approx(2 * np.abs(a.run.encode(a.test)).max())
    assert tuple(metric_frame(found.metrics).columns) == METRIC_COLUMNS and list(found.tables) == ["latents"]


def test_a_score_that_no_family_gives_is_named():
    """Breaks if a shortened list of score families ends in a bare KeyError."""
    a = Assessment.__new__(Assessment)
    a.scores = pd.DataFrame({"sample_id": ["s"], "split": ["test"], "proximity/knn": [1.0]})
    with pytest.raises(DataError, match="no score 'deviation/squared_error'; there are proximity/knn"):
        a.score("deviation/squared_error")

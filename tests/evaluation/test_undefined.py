"""Runs of degenerate data and collapsed models are assessed whole; what has no value is left out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny import ENTRIES, NORMAL, TUMOUR_TASK, tiny_table, train_run, write_dataset, write_gene_sets

from aeflow.evaluation.assessment import Assessment, Companions
from aeflow.evaluation.evaluation import make_evaluation
from aeflow.evaluation.generation.judge import JUDGE_FILES, labelled, train_judge
from aeflow.evaluation.metric import metric_frame
from aeflow.evaluation.task import Task
from aeflow.files import write_json
from aeflow.run import RUN_FILES, Run
from aeflow.table import Table
from aeflow.training.checkpoint import save_tensors

MODELS = {
    "pca": ("pca.PCA", {"n_latent": 1}),
    "linear": ("linear_ae.LinearAE", {"n_latent": 2}),
    "vae": ("vae.VAE", {"n_hidden": [4], "n_latent": 2, "likelihood": "gaussian"}),
}


def few_rows() -> Table:
    """Return two training, two validation and four test rows: a normal of each study, and two tumours."""
    table = tiny_table()
    rows = []
    for split, condition, study, n in [
        ("train", "normal", "GTEx", 2),
        ("train", "normal", "TCGA", 2),
        ("val", "normal", "GTEx", 1),
        ("val", "normal", "TCGA", 1),
        ("test", "normal", "GTEx", 1),
        ("test", "normal", "TCGA", 1),
        ("test", "tumour", "TCGA", 2),
    ]:
        of = table.obs
        match = (of["split"] == split) & (of["condition"] == condition) & (of["study"] == study)
        tissue = of["tissue"] == ("liver" if n == 1 else of["tissue"])
        rows += np.flatnonzero(match & tissue)[:n].tolist()
    return table.select(rows=np.array(rows))


def changed(case: str) -> Table:
    table = tiny_table()
    X, obs = table.X, table.obs
    train = np.flatnonzero((obs["split"] == "train") & (obs["condition"] == "normal"))
    test = np.flatnonzero((obs["split"] == "test") & (obs["condition"] == "normal"))
    if case == "few rows":
        return few_rows()
    if case == "constant variables":
        X[:, 2:] = 1.0
    if case == "test normals are training rows":
        X[test] = X[train[: len(test)]]
    if case == "test normals are the training mean":
        X[test] = X[train].mean(0)
    if case == "two different training rows":
        X[train] = X[train[:2]].repeat(-(-len(train) // 2), 0)[: len(train)]
    if case == "a class of one row":
        obs.loc[[train[0], test[0]], "tissue"] = ["skin", "heart"]
    if case == "labels are missing":
        obs.loc[obs["study"] == "GTEx", "tissue"] = ""
    if case == "no partner":
        obs.loc[obs["condition"] == "tumour", "tissue"] = "skin"
    return table


def assessment(folder: Path, table: Table, name: str, *, collapsed: bool = False) -> Assessment:
    dataset = write_dataset(folder / "tiny", table)
    gene_sets = write_gene_sets(folder / "sets.gmt")
    for model in {"pca", name}:
        train_run(folder / model, dataset, *MODELS[model], model=model)
    if collapsed:  # all rows are encoded, and decoded, alike
        path = folder / name / RUN_FILES["weights"]
        save_tensors({key: torch.zeros_like(value) for key, value in load_file(path).items()}, path)
    train = labelled(dataset.rows("train"), "tissue")
    levels = sorted(train.obs["tissue"].unique())
    y = torch.from_numpy(train.obs["tissue"].map(levels.index).to_numpy())
    judge = train_judge(torch.from_numpy(train.X), y, len(levels), "expression", 0)
    save_tensors(judge.state_dict(), folder / "judge" / JUDGE_FILES["weights"])
    description = {"label": "tissue", "levels": levels, "kind": "expression", "n_vars": train.n_vars}
    write_json(description, folder / "judge" / JUDGE_FILES["description"])
    companions = Companions(folder / "judge", gene_sets, 2, baseline_run=folder / "pca" if name == "linear" else None)
    run = Run.open(folder / name, dataset=dataset)
    task = Task.of_entry("tumour", TUMOUR_TASK, NORMAL)
    return Assessment(run, dataset, [task], is_baseline=name == "pca", companions=companions)


def assessed(a: Assessment) -> pd.DataFrame:
    return metric_frame([metric for entry in ENTRIES.values() for metric in make_evaluation(entry).evaluate(a).metrics])


CASES = [
    "few rows",
    "constant variables",
    "test normals are training rows",
    "test normals are the training mean",
    "two different training rows",
    "a class of one row",
    "labels are missing",
    "no partner",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_degenerate_data_are_assessed(tmp_path, name, case):
    """Breaks if one number that the data do not define ends the assessment of a run, or becomes NaN in its table."""
    found = assessed(assessment(tmp_path, changed(case), name))
    assert np.isfinite(found["value"]).all()
    assert {"reconstruction", "anomaly", "representation", "generation"} <= set(found["part"])


@pytest.mark.parametrize("name", ["linear", "vae"])
@pytest.mark.filterwarnings("ignore")
def test_a_collapsed_model_is_assessed(tmp_path, name, caplog):
    """Breaks if a model that encodes all rows alike stops the comparison instead of standing last in it."""
    found = assessed(assessment(tmp_path, tiny_table(), name, collapsed=True))
    assert np.isfinite(found["value"]).all()
    accuracy = found[(found["name"] == "balanced_accuracy") & (found["subject"] == "tissue")]
    assert (accuracy["value"] == 0.5).all() and len(accuracy)
    assert ("subspace: left out" in caplog.text) == (name == "linear")

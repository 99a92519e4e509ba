"""What a failing run leaves: the runs that finished are compared and logged, and the rows of the others say why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from waiting import HANG

ROOT = Path(__file__).parents[2]
GENE_SETS = ROOT.parent / "shared" / "data-candidates" / "gmt"
CONFIG = yaml.safe_load(
    """
cohorts:
  sim:
    source: simulated
    gene_sets: hallmark
    options: {tissues: [kidney, lung], n_gtex: 16, n_tcga_normal: 12, n_tcga_tumour: 12, n_genes: 300, seed: 3}
gene_sets: {hallmark: {source: msigdb, path: h.all.v7.5.1.symbols.gmt}}
datasets:
  sim:
    cohort: sim
    split: {by: donor, fractions: {train: 0.4, val: 0.2, test: 0.4}, stratify: [study, tissue, condition]}
    normalise: upper_quartile
    log2p1: true
    n_top_vars: 60
    scale: standard
    fit_on: normal
    labels: [tissue]
views: {normal: {condition: [normal]}, kidney: {condition: [normal], tissue: [kidney]}}
models:
  pca: {architecture: pca.PCA, n_latent: 3}
  linear: {architecture: linear_ae.LinearAE, n_latent: 3}
  diverging: {architecture: ae.AE, n_hidden: [8], n_latent: 3, training: {learning_rate: 1.0e+30, clip_norm: 0}}
  cvae: {architecture: cvae.CVAE, condition_on: [tissue], n_hidden: [8], n_latent: 3, likelihood: gaussian}
experiments: {e: {datasets: [sim], views: [normal], models: [pca, linear, diverging], seeds: [0]}}
tasks: {tumour: {datasets: [sim], views: [normal], anomaly: {condition: [tumour]}}}
training: {max_epochs: 2, batch_size: 32}
"""
)


class Folder:
    """A folder in which the workflow is run with `CONFIG`, changed."""

    def __init__(self, path: Path):
        self.path = path
        (path / "mirror").mkdir()
        (path / "mirror" / "msigdb").symlink_to(GENE_SETS)

    def run(self, *arguments: str, ok: bool, text: str | None = None, **changes) -> str:
        config = json.loads(json.dumps(CONFIG))
        for key, value in changes.items():
            node = config
            *parents, last = key.split("__")
            for parent in parents:
                node = node[parent]
            node[last] = value
        (self.path / "config.yaml").write_text(text or yaml.safe_dump(config))
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
        done = subprocess.run(
            [*command, "--configfile", "config.yaml", *arguments],
            cwd=self.path,
            env=os.environ | {"AEFLOW_MIRROR": str(self.path / "mirror")},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=HANG,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stdout[-6000:]
        return done.stdout

    def board(self) -> pd.DataFrame:
        return pd.read_csv(self.path / "results/comparison/sim/leaderboard.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Folder:
    if not GENE_SETS.is_dir():
        pytest.skip(f"needs the gene sets in {GENE_SETS}")
    return Folder(tmp_path_factory.mktemp("failures"))


def logged_runs(folder: Folder) -> set[str]:
    client = mlflow.MlflowClient(f"sqlite:///{folder.path}/results/mlflow/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'sim'")
    runs = client.search_runs([experiment.experiment_id])
    return {run.info.run_name for run in runs if run.data.tags["kind"] == "cell"}


def test_values_that_no_row_has_are_named_before_any_training(folder):
    """Breaks if a misspelt value filters silently, or fails a job only after the training."""
    output = folder.run(ok=False, views__normal={"condition": ["normal"], "tissue": ["kidney", "Lung"]})
    assert "views.normal.tissue: no row has 'Lung' (did you mean 'lung'?); found: 'kidney' (40 rows)" in output
    assert not (folder.path / "results/runs").exists()
    output = folder.run(
        "--keep-going", ok=False, experiments__e__views=["kidney"], experiments__e__models=["pca", "cvae"], tasks={}
    )
    assert "models.cvae.condition_on, view kidney: test rows: tissue 'lung' was not among the training rows" in output
    assert not (folder.path / "results/runs").exists()


def test_what_finished_is_compared_and_logged(folder):
    """Breaks if one diverging model takes the leaderboard and the MLflow runs of the others with it."""
    output = folder.run("--keep-going", ok=False)
    assert "comparing and logging what finished: 2 of 3 runs" in output
    assert set(folder.board()["model"]) == {"pca", "linear"}
    assert logged_runs(folder) == {"normal/pca/seed0", "normal/linear/seed0"}
    only_one = folder.run("--keep-going", "results/runs/sim/normal/diverging/seed0/model.json", ok=False)
    assert "comparing" not in only_one
    rows = pd.read_csv(folder.path / "results/comparison/sim/unfinished.csv")
    assert rows[["view", "model", "seed"]].to_numpy().tolist() == [["normal", "diverging", 0]]
    assert rows["reason"][0].startswith("train: FloatingPointError: ")
    text = (folder.path / "results/comparison/sim/leaderboard.txt").read_text()
    assert f"view normal, seed 0: {rows['reason'][0]}" in text


def test_a_task_that_was_misspelt_trains_nothing_anew(folder):
    """Breaks if the check of rows, which sees the tasks, makes what is trained depend on them."""
    output = folder.run("--keep-going", ok=False, tasks__tumour__anomaly={"condition": ["tumor"]})
    assert "tasks.tumour.anomaly.condition: no row has 'tumor' (did you mean 'tumour'?)" in output
    assert " train sim/normal/pca" not in output
    assert (folder.path / "results/runs/sim/normal/pca/seed0/model.safetensors").is_file()


def test_a_mended_run_joins_the_others(folder):
    """Breaks if the tables of the second pass count as complete, or the runs that had finished are trained anew."""
    output = folder.run(ok=True, models__diverging__training={})
    assert " train sim/normal/diverging/seed0 " in output
    assert " train sim/normal/linear/seed0 " not in output
    assert set(folder.board()["model"]) == {"pca", "linear", "diverging"}
    assert "normal/diverging/seed0" in logged_runs(folder)
    assert pd.read_csv(folder.path / "results/comparison/sim/unfinished.csv").empty
    assert "DID NOT FINISH" not in (folder.path / "results/comparison/sim/leaderboard.txt").read_text()


def test_a_repeated_key_stops_before_any_job(folder):
    """Breaks if the workflow no longer holds its configuration files against what Snakemake makes of them."""
    text = yaml.safe_dump(CONFIG) + "training: {max_epochs: 7}\n"
    assert "key 'training' stands on line" in folder.run("--dry-run", ok=False, text=text)

"""The workflow as its users run it, on the tiny configuration, in a copy of the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from waiting import HANG

from aeflow.evaluation.metric import read_metrics

ROOT = Path(__file__).parents[2]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]


def mirror(folder: Path) -> dict[str, str]:
    """Environment with AEFLOW_MIRROR laid out from the files beside the checkout; without them fetch goes online."""
    shared = ROOT.parent / "shared"
    if not (shared / "data").is_dir():
        return {}
    folder.mkdir(exist_ok=True)
    (folder / "mnist").symlink_to(shared / "data" / "mnist")
    (folder / "msigdb").symlink_to(shared / "data-candidates" / "gmt")
    return {"AEFLOW_MIRROR": str(folder)}


class Checkout:
    """A copy of the repository to run, edit and run again."""

    def __init__(self, folder: Path):
        self.folder = folder / "checkout"
        for part in ("Snakefile", "workflow", "src", "config", "profiles"):
            source, target = ROOT / part, self.folder / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                self.folder.mkdir()
                shutil.copy(source, target)
        self.environment = os.environ | mirror(folder / "mirror")
        self.console = ""

    def start(self, *arguments: str, overlay: dict | None = None) -> subprocess.Popen:
        files = ["config/test.yaml"]
        if overlay:
            (self.folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
            files.append("overlay.yaml")
        return subprocess.Popen(
            [*SNAKEMAKE, *arguments, "--configfile", *files],
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments: str, overlay: dict | None = None, ok: bool = True) -> str:
        process = self.start(*arguments, overlay=overlay)
        output, _ = process.communicate(timeout=HANG)
        assert (process.returncode == 0) == ok, output[-6000:]
        return output

    def planned(self, overlay: dict | None = None) -> dict[str, set[str]]:
        """Rule -> wildcards of the jobs a dry run plans."""
        output = self.run("--dry-run", overlay=overlay)
        if "Nothing to be done" in output:
            return {}
        jobs: dict[str, set[str]] = {}
        for block in re.split(r"\n(?=(?:local)?rule )", output):
            name = re.match(r"(?:local)?rule (\w+):", block)
            if name:
                wildcards = re.search(r"wildcards: (.*)", block)
                jobs.setdefault(name[1], set()).add(wildcards[1] if wildcards else "")
        jobs.pop("all", None)
        return jobs


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """A checkout in which the tiny configuration has run once."""
    made = Checkout(tmp_path_factory.mktemp("workflow"))
    made.console = made.run()
    return made


RUNS = {
    "mnist/digit3": ("pca", "vae"),
    "mnist/digit8": ("pca", "vae"),
    "simulated/normal": ("pca", "ae", "ae_permuted", "gsae", "linear_ae", "cvae"),
}


def test_the_console_counts_jobs(checkout):
    """Breaks if the Snakefile no longer attaches the console, which then prints every file of every job."""
    lines = checkout.console.splitlines()
    done = [line for line in lines if re.match(r"\[ *\d+/\d+\] [a-z_]+( \S+)? \(.*\)$", line)]
    n_jobs = int(re.search(r"^(\d+) of \1 jobs done, in ", checkout.console, re.M)[1])
    assert len(done) == n_jobs
    assert any(" train mnist/digit3/vae/seed0 (" in line for line in done)
    assert len(lines) < n_jobs + 30


def test_everything_is_there(checkout):
    """Breaks if a cell has no model, scores or metrics, or a comparison is missing."""
    results = checkout.folder / "results"
    for cell, models in RUNS.items():
        for model in models:
            folder = results / "runs" / cell / model / "seed0"
            for file in ("model.safetensors", "model.json", "history.parquet", "latent.parquet", "scores.parquet"):
                assert (folder / file).is_file(), folder / file
            metrics = [metric.text for metric in read_metrics(folder / "metrics.parquet")]
            assert any(name.endswith("/auroc") for name in metrics)
            assert any(name.startswith("representation/") for name in metrics)
            draws = pd.read_parquet(folder / "tables/generated.parquet")
            assert ("prior" in set(draws["sampler"])) == (model in ("pca", "vae", "cvae"))
            assert "generation/gmm/frechet" in metrics
            assert any(name.startswith("dilution/20/") for name in metrics) == cell.startswith("simulated")
    for dataset in ("mnist", "simulated"):
        board = pd.read_csv(results / "comparison" / dataset / "leaderboard.csv")
        assert "pca" in set(board["model"])
        assert (results / "comparison" / dataset / "leaderboard.txt").is_file()


def test_simulated_data_are_named_so(checkout):
    """Breaks if a table of simulated data can be mistaken for measurements."""
    results = checkout.folder / "results"
    assert "SIMULATED" in (results / "comparison/simulated/leaderboard.txt").read_text()
    assert "SIMULATED" not in (results / "comparison/mnist/leaderboard.txt").read_text()
    model = json.loads((results / "runs/simulated/normal/ae/seed0/model.json").read_text())
    assert model["origin"] == "simulated"
    board = pd.read_csv(results / "comparison/simulated/leaderboard.csv")
    assert set(board["origin"]) == {"simulated"}


def test_exports_and_explanations_are_named(checkout):
    """Breaks if activities, loadings or contributions cannot be traced to samples, gene sets and genes."""
    run = checkout.folder / "results/runs/simulated/normal"
    activity = pd.read_parquet(run / "gsae/seed0/tables/gene_set_activity.parquet")
    assert activity.columns[0] == "sample_id" and activity.columns[2].startswith("HALLMARK_")
    var = pd.read_parquet(checkout.folder / "results/datasets/simulated/var.parquet")
    loadings = pd.read_parquet(run / "linear_ae/seed0/tables/loadings.parquet")
    assert loadings["var_id"].tolist() == var["var_id"].tolist()
    obs = pd.read_parquet(checkout.folder / "results/datasets/simulated/obs.parquet").set_index("sample_id")
    genes = pd.read_parquet(run / "ae/seed0/tables/contributions.parquet")
    assert set(obs.loc[genes["sample_id"], "condition"]) == {"tumour"} and set(genes["var_id"]) <= set(var["var_id"])
    p = pd.read_parquet(run / "ae/seed0/calibrated.parquet")
    assert set(obs.loc[p["sample_id"], "split"]) == {"test"}
    assert p["p:deviation/squared_error"].between(0, 1).all()


def test_no_donor_is_in_two_splits(checkout):
    """Breaks if the split of the workflow, not only of the function, divides a donor."""
    obs = pd.read_parquet(checkout.folder / "results/datasets/simulated/obs.parquet")
    assert obs.groupby("donor_id")["split"].nunique().max() == 1
    assert obs["donor_id"].duplicated().any()  # otherwise the line above cannot fail
    assert set(obs["split"]) == {"train", "val", "test"}


def test_every_test_row_is_scored(checkout):
    """Breaks if a view or a chunk drops test rows."""
    results = checkout.folder / "results"
    for dataset, run in (("mnist", "mnist/digit3/vae"), ("simulated", "simulated/normal/gsae")):
        obs = pd.read_parquet(results / "datasets" / dataset / "obs.parquet")
        scores = pd.read_parquet(results / "runs" / run / "seed0" / "scores.parquet")
        assert set(scores.loc[scores["split"] == "test", "sample_id"]) == set(
            obs.loc[obs["split"] == "test", "sample_id"]
        )


def test_scores_are_chosen_by_other_views(checkout):
    """Breaks if validation anomalies are not scored, or what they choose is not in the table."""
    results = checkout.folder / "results"
    obs = pd.read_parquet(results / "datasets/mnist/obs.parquet").set_index("sample_id")
    scores = pd.read_parquet(results / "runs/mnist/digit3/vae/seed0/scores.parquet")
    val = obs.loc[scores.loc[scores["split"] == "val", "sample_id"], "digit"]
    assert set(val) > {3} and (obs["split"] == "val").sum() == len(val)
    views = pd.read_csv(results / "comparison/mnist/views.csv")
    chosen = views[views["score"] == "(chosen)"].set_index("model")
    assert set(chosen.index) == {"pca", "vae"} and (chosen["n_views"] == 2).all()


def test_a_second_run_plans_nothing(checkout):
    """Breaks if any output depends on when it was made."""
    assert checkout.planned() == {}


def test_one_hyperparameter_plans_its_cells_only(checkout):
    """Breaks if a rule's params hold more of the configuration than its own slice."""
    jobs = checkout.planned({"models": {"ae": {"n_latent": 3}}})
    for rule in ("train", "assess", "draw_run"):
        assert jobs[rule] == {"dataset=simulated, view=normal, model=ae, seed=0"}, rule
    assert jobs["compare"] == {"dataset=simulated"}
    assert not jobs.keys() & {"fetch", "simulate", "convert", "unify", "preprocess", "train_judge", "export"}


def test_a_new_seed_plans_its_cells_only(checkout):
    """Breaks if adding a value to a sweep repeats the finished ones."""
    jobs = checkout.planned({"experiments": {"images": {"seeds": [0, 5]}}})
    assert jobs["train"] == {
        f"dataset=mnist, view={v}, model={m}, seed=5" for v in ("digit3", "digit8") for m in ("pca", "vae")
    }


def test_an_edited_model_file_plans_its_cells_only(checkout):
    """Breaks if input.code misses the model's file or holds another model's."""
    path = checkout.folder / "src/aeflow/models/gsae.py"
    text = path.read_text()
    try:
        path.write_text(text + "\n# edited\n")
        jobs = checkout.planned()
    finally:
        path.write_text(text)
    assert jobs["train"] == {"dataset=simulated, view=normal, model=gsae, seed=0"}
    assert "preprocess" not in jobs


def test_log_level_plans_nothing(checkout):
    """Breaks if how much is logged is taken for part of a result."""
    checkout.environment["AEFLOW_LOG_LEVEL"] = "DEBUG"
    try:
        assert checkout.planned() == {}
    finally:
        del checkout.environment["AEFLOW_LOG_LEVEL"]


def test_progress_is_in_the_log(checkout):
    """Breaks if a person cannot watch a training."""
    log = (checkout.folder / "logs/train/simulated/normal/ae/seed0.log").read_text()
    assert re.search(r"epoch 2/2  train [\d.]+ \+ 0\.0000  val [\d.]+", log)


TRAIN = "results/runs/simulated/normal/ae/seed0/model.safetensors"
LONG = {"training": {"max_epochs": 30, "patience": 30, "checkpoint_seconds": 0, "learning_rate": 1e-5}}
KILL = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from waiting import kill_when_renaming_to
kill_when_renaming_to("epoch000012")
"""


def test_a_killed_training_resumes_to_the_same_bytes(checkout):
    """Breaks if kill -9 of a job loses its epochs, leaves half an output, or changes the result."""
    weights, state = checkout.folder / TRAIN, checkout.folder / "results/checkpoints/simulated/normal/ae/seed0"
    folder = weights.parent
    killer = checkout.folder / "killer"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(KILL)  # every Python that has the folder on its path runs it first
    whole = {}
    for _ in range(2):  # the second pass is killed and resumed
        for file in ("model.safetensors", "model.json", "history.parquet"):
            (folder / file).unlink(missing_ok=True)
        if whole:
            plain = checkout.environment
            checkout.environment = plain | {"PYTHONPATH": str(killer)}
            checkout.run(TRAIN, overlay=LONG, ok=False)
            checkout.environment = plain
            assert not weights.exists()
            assert [path.name for path in state.glob("epoch*")] == ["epoch000011"]
        checkout.run(TRAIN, overlay=LONG)
        files = {f: (folder / f).read_bytes() for f in ("model.safetensors", "model.json", "history.parquet")}
        assert files == (whole or files)
        whole = files
    assert "resumed after epoch" in (checkout.folder / "logs/train/simulated/normal/ae/seed0.log").read_text()
    assert not state.exists()


def test_a_view_that_leaves_no_rows_says_so(checkout):
    """Breaks if an empty view ends in an obscure error or an empty model."""
    output = checkout.run(
        "results/runs/mnist/digit3/vae/seed0/model.safetensors",
        overlay={"views": {"digit3": {"digit": [33]}}},
        ok=False,
    )
    assert re.search(r"views.digit3.digit: no row has 33 .*; found: 0 \(\d+ rows\), 1 \(", output)


def test_gmt_without_overlap_says_so(checkout):
    """Breaks if a gene-set model can be built on no gene."""
    gmt = checkout.folder / "resources/msigdb/mouse.gmt"
    gmt.write_text("SET\thttp\tTrp53\tMyc\tCd4\tGapdh\tActb\n")
    overlay = {
        "gene_sets": {"mouse": {"source": "msigdb", "path": "mouse.gmt"}},
        "models": {"gsae": {"gene_sets": "mouse"}},
    }
    output = checkout.run("results/runs/simulated/normal/gsae/seed0/model.json", overlay=overlay, ok=False)
    assert "Trp53" in output


def test_a_wrong_key_stops_before_any_job(checkout):
    """Breaks if Snakemake starts although the configuration is wrong."""
    output = checkout.run(overlay={"models": {"ae": {"n_latents": 3}}}, ok=False)
    assert "models.ae" in output
    assert "did you mean 'n_latent'" in output
    assert " jobs: " not in output  # the plan, which the console prints before the first job

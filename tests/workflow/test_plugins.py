"""One way to add a thing: one file and one entry of a configuration, and nothing else is edited."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.image import imread
from safetensors import safe_open
from waiting import HANG

from aeflow.plan.configuration import EVALUATIONS, Scores
from aeflow.plan.corrections import known_methods
from aeflow.plan.figures import figures
from aeflow.plan.source_code import classes_with

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "aeflow"
PLUGINS = Path(__file__).parent / "plugins"
COPIED = ("Snakefile", "workflow", "src", "config", "profiles")
FAMILIES = Scores().families
RUN = "results/runs/mine/normal/{model}/seed0"

# room -> what a plug-in of it defines; and the files of these rooms that are the contract, not a plug-in
ROOMS = {
    "models": "losses",
    "sources": "convert",
    "correction": "fit",
    "scoring": "scores",
    "evaluation": "evaluate",
}
CONTRACTS = ("base", "scores", "family", "evaluation", "correction")
# files called by a word that means other things, too: no correction, a Markov chain, simulated data, the part of
# RNAseqDB with GTEx's samples, the metric density
WORDS = {"none", "chain", "simulated", "gtex", "density"}
FEW_SCORES = {"deviation/squared_error", "proximity/knn", "combined/max", "density/neg_log_likelihood"}
ALLOWED = {
    # what a configuration has where it says nothing
    "plan/configuration.py": {"pca", *FAMILIES, *EVALUATIONS.values()},
    "scoring/scores.py": set(FAMILIES),
    # the key's word for no correction, which is a correction like all others
    "correction/__init__.py": {"none.NoCorrection"},
    "plan/corrections.py": {"none.NoCorrection"},
    # a score that is made of others, or counted among them
    "scoring/combined.py": {"density/", "deviation/latent_cycle", "deviation/sap", "deviation/squared_error"},
    "scoring/density.py": {"deviation/neg_log_likelihood"},
    # the few scores of a thousand that are read, resampled or shown first; others are computed and listed all the same
    "comparison/paired.py": FEW_SCORES,
    "comparison/shown.py": FEW_SCORES,
    "evaluation/reconstruction.py": {"deviation/squared_error", "density/neg_log_likelihood"},
    "plots/gallery/curves.py": {"deviation/squared_error"},
    # roles of figures, which are called like the models that play them
    "plots/gallery/biology.py": {"gsae"},
    "plots/gallery/features.py": {"ae", "dae", "cae"},
    "plots/gallery/images.py": {"ae", "cvae", "dae", "pca", "vae"},
    "plots/gallery/latent_space.py": {"ae", "pca", "vae"},
}

# every plug-in has its file below plugins/, and here its one entry; `mirrors` says where a source's bytes are
CONFIGURATION = {
    "cohorts": {
        "mine": {"source": "my_source", "options": {"file": "counts.tsv"}},
        "made": {"source": "my_simulation", "gene_sets": "sets", "options": {"n_obs": 3}},
    },
    "gene_sets": {"sets": {"source": "my_source", "path": "sets.gmt"}},
    "datasets": {
        "mine": {
            "cohort": "mine",
            "split": {
                "by": "donor",
                "fractions": {"train": 0.5, "val": 0.25, "test": 0.25},
                "stratify": ["study", "condition"],
            },
            "normalise": "cpm",
            "log2p1": True,
            "correct": {"method": "my_shift.Shift", "options": {"strength": 0.5}},
            "scale": "standard",
            "fit_on": "normal",
        }
    },
    "views": {"normal": {"condition": ["normal"]}},
    "models": {
        "pca": {"architecture": "pca.PCA", "n_latent": 2},
        "tied": {"architecture": "my_ae.MyAE", "n_latent": 2},
    },
    "experiments": {"all": {"datasets": ["mine"], "views": ["normal"], "models": ["pca", "tied"], "seeds": [0]}},
    "tasks": {"tumour": {"datasets": ["mine"], "views": ["normal"], "anomaly": {"condition": ["tumour"]}}},
    "scores": {"families": [*FAMILIES, "my_scores.MyScores"]},
    "evaluations": {"worst": {"evaluation": "my_questions.Worst", "n_worst": 2}},
    "gallery": {"mine": {"view": "normal", "figures": {"my_figures.largest_errors": {"tied": "tied", "other": "pca"}}}},
    "training": {"max_epochs": 2, "batch_size": 16},
}
FIGURE = "results/comparison/mine/gallery/my_figures.largest_errors"
BOARD = "results/comparison/mine/leaderboard.csv"
TARGETS = (BOARD, f"{FIGURE}.png", "results/matrices/my_simulation/made/counts.parquet")


def write_raw_files(folder: Path) -> None:
    """Write counts of 24 genes in 32 normal samples of two studies and 12 tumours, and gene sets, into `folder`."""
    rng = np.random.default_rng(0)
    groups = {("A", "normal"): 16, ("B", "normal"): 16, ("B", "tumour"): 12}
    columns = {"gene": [f"GENE{i}" for i in range(24)]}
    for (study, condition), n_obs in groups.items():
        for i in range(n_obs):
            mean = np.full(24, 50.0)
            mean[:4] *= 3 if study == "B" else 1
            mean[4:8] *= 8 if condition == "tumour" else 1
            columns[f"{study}{condition}{i}|{study}|lung|{condition}"] = rng.poisson(mean)
    folder.mkdir()
    pd.DataFrame(columns).to_csv(folder / "counts.tsv", sep="\t", index=False)
    (folder / "sets.gmt").write_text("SET\tnowhere\tGENE0\tGENE1\tGENE2\n")


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file of the parts of the repository that a copy has; what Python compiles does not count."""
    files = (path for part in COPIED for path in (folder / part, *(folder / part).rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the repository with one more file for each plug-in, in which their configuration has run."""
    base = tmp_path_factory.mktemp("plugins")
    folder = base / "checkout"
    folder.mkdir()
    for part in COPIED:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    for path in PLUGINS.rglob("*.py"):
        shutil.copy(path, folder / "src" / "aeflow" / path.relative_to(PLUGINS))
    write_raw_files(base / "raw")
    configuration = CONFIGURATION | {"mirrors": {"my_source": [str(base / "raw")]}}
    (folder / "config" / "mine.yaml").write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/mine.yaml", "--", *TARGETS]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AEFLOW_")}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=HANG
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return folder


def test_nothing_else_is_edited(checkout):
    """Breaks if a plug-in needs more than its file and its entry, or a run writes into the repository."""
    added = {f"src/aeflow/{path.relative_to(PLUGINS)}": path.read_bytes() for path in PLUGINS.rglob("*.py")}
    found = contents(checkout)
    del found["config/mine.yaml"]
    before = contents(ROOT)
    assert not added.keys() & before.keys()
    assert found == before | added


def test_a_new_source_is_a_cohort(checkout):
    """Breaks if rules fetch, convert or unify know the sources there are."""
    obs = pd.read_parquet(checkout / "results/cohorts/mine/obs.parquet")
    assert obs.groupby(["study", "condition"]).size().to_dict() == {
        ("A", "normal"): 16,
        ("B", "normal"): 16,
        ("B", "tumour"): 12,
    }
    raw = pd.read_csv(checkout / "resources/my_source/counts.tsv", sep="\t", index_col=0)
    X = pd.read_parquet(checkout / "results/cohorts/mine/X.parquet").set_index("sample_id")
    pd.testing.assert_frame_equal(X, raw.T, check_dtype=False, check_names=False)


def test_a_new_source_may_simulate(checkout):
    """Breaks if rule simulate knows one source only."""
    counts = pd.read_parquet(checkout / "results/matrices/my_simulation/made/counts.parquet")
    assert counts["gene"].tolist() == ["GENE0", "GENE1", "GENE2"] and counts.shape == (3, 7)


def test_a_new_correction_is_fitted_and_saved(checkout):
    """Breaks if a correction must stand in a table to be fitted, named in transform.json or loaded again."""
    folder = checkout / "results/datasets/mine"
    asked = json.loads((folder / "transform.json").read_text())["options"]["correct"]
    assert asked == {"method": "my_shift.Shift", "options": {"strength": 0.5}}
    with safe_open(folder / "correction.safetensors", framework="numpy") as file:
        assert file.metadata()["method"] == "my_shift.Shift"
        shift = file.get_tensor("shift")
    assert shift.shape == (2, 24)
    # the genes that are higher in study B come down the most
    assert (shift[1, :4] < 0).all() and np.abs(shift[:, :4]).min() > np.abs(shift[:, 4:]).max()


def test_a_new_model_is_a_row_of_the_leaderboard(checkout):
    """Breaks if a model must be registered to be trained, assessed or compared."""
    info = json.loads((checkout / RUN.format(model="tied") / "model.json").read_text())
    assert info["architecture"] == "my_ae.MyAE" and info["hyperparameters"] == {"n_latent": 2}
    board = pd.read_csv(checkout / BOARD)
    rows = board[(board["model"] == "tied") & (board["name"] == "auroc")]
    assert {"deviation/squared_error", "my_scores/largest_error"} <= set(rows["score"])


@pytest.mark.parametrize("model", ["pca", "tied"])
def test_a_new_score_family_scores_every_model(checkout, model):
    """Breaks if families must be listed, or are not asked in the order of the configuration."""
    scores = pd.read_parquet(checkout / RUN.format(model=model) / "scores.parquet")
    assert scores.columns[-1] == "my_scores/largest_error"
    assert (scores["my_scores/largest_error"] ** 2 <= scores["deviation/squared_error"] * (1 + 1e-5)).all()
    assert (scores["my_scores/largest_error"] > 0).all()


def test_a_new_metric_keeps_its_direction(checkout):
    """Breaks if metrics must be listed, or a verdict does not follow from the declaration in the plug-in's file."""
    metrics = pd.read_parquet(checkout / RUN.format(model="tied") / "metrics.parquet")
    row = metrics[metrics["part"] == "my_questions"]
    assert row[["subject", "name", "direction"]].to_numpy().tolist() == [["test", "worst_share", "lower"]]
    assert 2 / 24 < row["value"].item() < 1
    board = pd.read_csv(checkout / BOARD)
    of_board = board[(board["model"] == "tied") & (board["part"] == "my_questions")]
    assert of_board["direction"].tolist() == ["lower"]


def test_a_new_figure_is_drawn(checkout):
    """Breaks if figures must be listed, or the caption does not come from the plug-in's file."""
    image = imread(checkout / f"{FIGURE}.png")
    assert image.shape[0] > 100 and image.std() > 0
    assert (checkout / f"{FIGURE}.txt").read_text().startswith("Largest error of a variable")


def names_of_plugins() -> dict[str, set[str]]:
    """File of each plug-in that there is, relative to the package -> what it could be called by elsewhere."""
    found: dict[str, set[str]] = {}
    for room, method in ROOMS.items():
        for path in sorted((PACKAGE / room).rglob("*.py")):
            inside = ".".join(path.relative_to(PACKAGE / room).with_suffix("").parts)
            module = ".".join(("aeflow", *room.split("/"), inside))
            if method == "convert":
                names = {""} if any(f.name == method for f in functions(path)) else set()
            else:
                names = set(classes_with(module, method))
            if names and path.stem not in CONTRACTS:
                calls = {f"{inside}.{name}" for name in names if name}
                # the files of evaluations are called by words of everyday: anomaly, latents, questions
                stem = set() if room == "evaluation" else {path.stem} - WORDS
                found[str(path.relative_to(PACKAGE))] = {module, *stem, *calls}
    for name in figures():
        file = name.partition(".")[0]
        found.setdefault(f"plots/gallery/{file}.py", {f"aeflow.plots.gallery.{file}"}).add(name)
    return found


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


def literals(path: Path) -> Iterator[str]:
    """Yield the strings of a file of Python or of rules; docstrings and comments are prose and may name anything."""
    if path.suffix == ".smk":
        with path.open("rb") as file:
            strings = [token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.STRING]
        trees = [ast.parse(f"_ = {string}") for string in strings]
    else:
        trees = [ast.parse(path.read_text(), str(path))]
    for tree in trees:
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield node.value


def mentions() -> dict[str, set[str]]:
    """File of the package or of the workflow -> names of plug-ins, or columns of their scores, of other files in it."""
    plugins = names_of_plugins()
    families = {Path(file).stem: file for file in plugins if file.startswith("scoring/")}
    found: dict[str, set[str]] = {}
    for path in (*PACKAGE.rglob("*.py"), *(ROOT / "workflow").rglob("*.py"), *(ROOT / "workflow").rglob("*.smk")):
        inside = PACKAGE in path.parents
        file = str(path.relative_to(PACKAGE if inside else ROOT))
        others = {name for owner, names in plugins.items() if owner != file for name in names}
        for text in literals(path):
            family = families.get(text.partition("/")[0], file) if "/" in text else file
            if text in others or family != file:
                found.setdefault(file, set()).add(text)
    return found


def test_every_plugin_is_looked_for():
    """Breaks if the test below no longer knows what plug-ins there are, and so finds no mention of them."""
    names = set().union(*names_of_plugins().values())
    assert {"aeflow.models.pca", "pca", "pca.PCA", "aeflow.sources.simulated", "rnaseqdb"} <= names
    assert {*FAMILIES, *EVALUATIONS.values(), *figures()} <= names
    assert set(known_methods()) - {"none"} <= names


def test_no_plugin_is_named_outside_its_file():
    """Breaks if code asks for a plug-in by its name: then one more would need an edit there."""
    assert mentions() == ALLOWED

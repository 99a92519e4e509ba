# Config validation, wildcard constraints, input functions. No rule here.
import json
import os
import sys

SRC = os.path.join(workflow.basedir, "src")
sys.path.insert(0, SRC)
# jobs import aeflow, too; the shell may forbid bytecode, which costs every job seconds of compilation
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SRC, os.environ.get("PYTHONPATH")]))

from aeflow.dataset import dataset_files
from aeflow.plan import cells
from aeflow.plan.configuration import Steps
from aeflow.plan.yaml_traps import check_files
from aeflow.plan.reading import read_configuration
from aeflow.plan.source_code import code_files, constant
from aeflow.plan.scheduling import keep_one_timer
from aeflow.plan.unfinished import Unfinished, compare_the_rest, name_of
from aeflow.files import run_files
from snakemake_logger_plugin_aeflow import attach

attach(workflow)
keep_one_timer()
check_files(workflow.configfiles)
checked = read_configuration(config)
config.clear()
config.update(checked)

UNFINISHED = Unfinished.read()  # nothing, but in the second pass after a failure with --keep-going
CELLS = [cell for cell in cells.cells(config) if name_of(cell) not in UNFINISHED.runs]
COHORTS = {name: cells.matrices(name, config) for name in config["cohorts"]}
DATASETS = sorted({cell.dataset for cell in CELLS})
SOURCES = {name: cohort["source"] for name, cohort in config["cohorts"].items()}
RUN = "results/runs/{dataset}/{view}/{model}/seed{seed}"
DATASET = "results/datasets/{dataset}"
DATASET_FILES = dataset_files(DATASET, "X_train", "X_val", "X_test", "obs", "var", "dataset")
TRAINING_FILES = {name: path for name, path in DATASET_FILES.items() if name != "X_test"}
RUN_FILES = run_files(RUN)

# mirrors do not change results; in params, a change of them would plan new runs
os.environ["AEFLOW_MIRRORS"] = json.dumps(config["mirrors"])


def one_of(names):
    """Wildcard constraint: exactly one of `names`."""
    return "|".join(sorted(names)) or "NONE"


wildcard_constraints:
    source="[a-z_0-9]+",
    cohort=one_of(config["cohorts"]),
    dataset=one_of(config["datasets"]),
    view=one_of(config["views"]),
    model=one_of(config["models"]),
    seed="[0-9]+",


def code(*modules):
    """Package files that decide a result: the modules given and all they import, relative where possible."""
    return [os.path.relpath(path) for path in code_files(*modules)]


def raw_path(source, name):
    """Path of the raw matrix `name` of a source: downloaded, or made by rule simulate."""
    for cohort, matrices in COHORTS.items():
        if SOURCES[cohort] == source and name in matrices:
            owner, _, path = matrices[name].rpartition(":")  # a source may name a file of another one
            folder = f"results/simulated/{cohort}" if cells.simulates(source) else f"resources/{owner or source}"
            return f"{folder}/{path}"
    raise ValueError(f"no cohort of the configuration has a matrix {name!r} of source {source!r}")


def raw_input(wildcards):
    """What must exist before a raw matrix can be read: itself, or the folder of the whole simulation."""
    path = raw_path(wildcards.source, wildcards.name)
    return "/".join(path.split("/")[:3]) if cells.simulates(wildcards.source) else path


def matrix_files(cohort):
    return [f"results/matrices/{SOURCES[cohort]}/{name}.parquet" for name in COHORTS[cohort]]


def option_files(cohort):
    """Files that a cohort's options name (a saved manifest): an edit of one plans the cohort anew."""
    options = config["cohorts"][cohort]["options"]
    return [options[key] for key in ("manifest", "metadata") if key in options]


def gene_set_file(name):
    """Path of a gene-set file, or [] where there is none to wait for."""
    return "resources/{source}/{path}".format(**config["gene_sets"][name]) if name else []


def model_gene_sets(wildcards):
    return gene_set_file(config["models"][wildcards.model].get("gene_sets"))


def cohort_of(wildcards):
    """Files of the cohort that a dataset is made from."""
    folder = f"results/cohorts/{config['datasets'][wildcards.dataset]['cohort']}"
    values = {name: f"{folder}/{name}.parquet" for name in ("X", "obs", "var")}
    return values | {"quality": f"{folder}/quality.json"}


def fit_filter(dataset):
    """Filter on training rows that fitted steps of a dataset may see."""
    return config["views"].get(config["datasets"][dataset].get("fit_on"), {})


def preprocess_options(dataset):
    return {key: config["datasets"][dataset][key] for key in Steps.model_fields}


def runs(file, dataset=None, model=None):
    """Path of `file` in every run folder, or in those of a dataset or model."""
    chosen = [c for c in CELLS if dataset in (None, c.dataset) and model in (None, c.model)]
    return [f"{RUN}/{file}".format(**cell._asdict()) for cell in chosen]


def first_runs(file, dataset, view):
    """Path of `file` in the run of the smallest seed of every model."""
    first = {}
    for cell in CELLS:
        if (cell.dataset, cell.view) == (dataset, view):
            first.setdefault(cell.model, cell)  # CELLS is sorted
    return [f"{RUN}/{file}".format(**cell._asdict()) for cell in first.values()]


def gallery_runs(file, wildcards):
    """Path of `file` in the run of every role of a gallery figure, in the order of the configuration."""
    by_role = cells.gallery_cells(wildcards.dataset, wildcards.figure, config)
    return [f"{RUN}/{file}".format(**cell._asdict()) for cell in by_role.values()]


def gallery_of(wildcards, key, absent=None):
    """What the configuration says of a dataset's gallery."""
    return config["gallery"][wildcards.dataset].get(key, absent)


def generated(wildcards):
    """Folder with the draws of a run's model, where it is asked for some."""
    asked = cells.draws(wildcards.dataset, wildcards.model, config)
    return f"{RUN}/tables" if asked else []


def beside_draws(wildcards):
    """Test rows that a run's draws are shown beside: expression needs them, images are shown alone."""
    if cells.kind(wildcards.dataset, config) != "expression" or not generated(wildcards):
        return {}
    return {name: f"{DATASET}/{name}.parquet" for name in ("X_test", "var")}


def companions(wildcards):
    """What the evaluations of a run read beside the run and its dataset."""
    dataset = config["datasets"][wildcards.dataset]
    found = {}
    if "judge" in dataset["generate"]:
        found["judge"] = "results/judges/{dataset}/judge.json"
        found["judge_weights"] = "results/judges/{dataset}/judge.safetensors"
    if cells.challenged(wildcards.dataset, wildcards.view, config):
        found["gene_sets"] = gene_set_file(dataset["challenge"]["gene_sets"])
    if wildcards.model != config["baseline"] and cells.is_linear(wildcards.model, config):
        files = run_files(RUN.replace("{model}", config["baseline"]))
        found["baseline"] = files["model"]
        found["baseline_weights"] = files["weights"]
    return found


def assess_code(wildcards):
    """Files that decide what an assessment finds."""
    scores = [f"aeflow.scoring.{name.rsplit('.', 1)[0]}" for name in config["scores"]["families"]]
    entries = cells.evaluations(wildcards.dataset, config).values()
    evaluations = [f"aeflow.evaluation.{entry['evaluation'].rsplit('.', 1)[0]}" for entry in entries]
    return code("aeflow.run", *scores, *evaluations)


def comparisons():
    """Tables and figures of every dataset."""
    wanted = []
    for dataset in DATASETS:
        folder = f"results/comparison/{dataset}"
        wanted += [f"{folder}/leaderboard.csv", f"{folder}/leaderboard.png"]
        if cells.kind(dataset, config) == "images":
            views = sorted({cell.view for cell in CELLS if cell.dataset == dataset})
            wanted += [f"{folder}/reconstructions_{view}.png" for view in views]
        else:
            wanted += [f"{folder}/cohort.png", f"{folder}/probes.csv"]
        for name in config["gallery"].get(dataset, {}).get("figures", ()):
            if set(cells.gallery_cells(dataset, name, config).values()) <= set(CELLS):
                wanted.append(f"{folder}/gallery/{name}.png")
    return UNFINISHED.without(wanted)


def finished_figures():
    """Folders of the runs' figures, but those that could not be drawn."""
    return UNFINISHED.without(runs("figures"))


def targets():
    """Everything `rule all` asks for."""
    return [*comparisons(), "results/mlflow/logged.json"]

"""The gallery shows what its captions say, from tiny untrained models. The look was judged by eye. About 10 s."""

import copy
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.text import Text
from safetensors.torch import save_file

from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import ConfigError, DataError
from aeflow.files import write_frame, write_json
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.plan import cells as grid
from aeflow.plan.figures import figures
from aeflow.plan.reading import read_configuration
from aeflow.plan.source_code import class_info, path_of
from aeflow.plots.gallery import biology, features
from aeflow.plots.gallery.material import Material, ShownRun, draw
from aeflow.table import Table

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SIDE, N_IMAGES, N_SAMPLES, N_GENES, N_SETS = 4, 40, 48, 30, 6
RNG = np.random.default_rng(0)

IMAGES = Table(
    RNG.random((N_IMAGES, SIDE**2), dtype=np.float32),
    pd.DataFrame({"sample_id": [f"i{i}" for i in range(N_IMAGES)], "digit": np.arange(N_IMAGES) % 10, "split": "test"}),
    pd.DataFrame({"var_id": [f"p{i}" for i in range(SIDE**2)], "centre": 0.0, "scale": 1.0}),
    "intensity",
)
SAMPLES = Table(
    RNG.normal(size=(N_SAMPLES, N_GENES)).astype(np.float32),
    pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(N_SAMPLES)],
            "donor_id": [f"d{i // 2}" for i in range(N_SAMPLES)],
            "tissue": np.repeat(["kidney", "lung"], N_SAMPLES // 2),
            "condition": np.tile(np.repeat(["normal", "tumour"], N_SAMPLES // 4), 2),
            "study": np.tile(np.repeat(["GTEx", "TCGA"], [6, 18]), 2),
            "split": "test",
        }
    ),
    pd.DataFrame({"var_id": [f"g{i}" for i in range(N_GENES)], "symbol": [f"G{i}" for i in range(N_GENES)]}).assign(
        centre=5.0, scale=2.0
    ),
    "standardised",
)
MASK = torch.from_numpy((RNG.random((N_GENES, N_SETS)) < 0.4).astype(np.float32))
HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3], "train_reconstruction": [9.0, 6, 3], "val_reconstruction": [9.0, 7, 6], "penalty_weight": 0.5}
).assign(train_penalty=[1.0, 2, 4], val_penalty=[1.0, 2, 4])


def run(name: str, architecture: str, table: Table, **keywords) -> ShownRun:
    """An untrained run, its weights decided by its name."""
    torch.manual_seed(sum(map(ord, name)))
    covariates = CovariateCodes.fit(table.obs, ["digit"]).to_json() if architecture == "cvae.CVAE" else {}
    mask = MASK if architecture == "gsae.GSAE" else None
    model = build(architecture, table.n_vars, keywords, mask, 10 if covariates else None)
    info = {"model": name, "dataset": "tiny", "view": "all", "seed": 0, "architecture": architecture}
    info |= {"hyperparameters": keywords, "covariates": covariates, "n_latent": model.n_latent, "origin": "simulated"}
    info |= {"unit": table.unit, "unit_before_scale": "log2_counts1", "best_epoch": 3, "n_vars": table.n_vars}
    info |= {"n_obs_train": 12, "n_parameters": sum(p.numel() for p in model.parameters())}
    info |= {"gene_sets": [f"HALLMARK_SET_{i}" for i in range(N_SETS)]}
    scores = pd.DataFrame({"sample_id": table.obs["sample_id"]})
    scores = scores.assign(**{"deviation/squared_error": 1.0, "baseline/squared_distance_to_mean": 1.0})
    scores["deviation/squared_error"] = np.arange(len(scores), dtype=float)
    return ShownRun(model.eval(), info, HISTORY, scores.sample(frac=1, random_state=0))


FIGURES = figures()
ENTRIES = {  # class or base -> a tiny model that may play it
    "PCA": ("pca.PCA", {"n_latent": 2}),
    "LinearAE": ("linear_ae.LinearAE", {"n_latent": 2}),
    "AE": ("ae.AE", {"n_hidden": [8], "n_latent": 2}),
    "DAE": ("dae.DAE", {"n_hidden": [8], "n_latent": 3}),
    "CAE": ("cae.CAE", {"n_hidden": [8], "n_latent": 3, "activation": "tanh"}),
    "SparseAE": ("sparse_ae.SparseAE", {"n_latent": 20}),
    "VAE": ("vae.VAE", {"n_hidden": [8], "n_latent": 2, "likelihood": "bernoulli"}),
    "CVAE": ("cvae.CVAE", {"n_hidden": [8], "n_latent": 3}),
    "GSAE": ("gsae.GSAE", {"n_latent": 3}),
    "AbstractMarkovChain": ("gdae.GDAE", {"n_latent": 12, "likelihood": "bernoulli"}),
    "any": ("ae.AE", {"n_hidden": [8], "n_latent": 4}),
}


def material(name: str, *, images: bool | None = None) -> Material:
    needs = FIGURES[name]
    if images is None:
        images = needs.observations != "expression" and not needs.task
    table = IMAGES if images else SAMPLES
    roles = needs.roles or {"first": "AE", "second": "AE"}
    runs = {}
    for role, needed in roles.items():
        architecture, keywords = ENTRIES[needed]
        runs[role] = run(f"{role}_model", architecture, table, **keywords)
    if name == "images.epochs":
        runs["early"].info["best_epoch"] = 1
    normal = (SAMPLES.obs["condition"] == "normal").to_numpy()
    masks = {"normal": normal, "anomaly": ~normal} if needs.task else {}
    return Material(runs, table, table.obs, masks, CPU)


def texts(figure) -> str:
    figure.canvas.draw()
    return " | ".join(t.get_text().replace("\n", " ") for t in figure.findobj(Text) if t.get_text().strip())


def shown_in(ax) -> np.ndarray:
    """Values of the only picture of `ax`."""
    return np.asarray(ax.images[0].get_array())


@pytest.fixture(scope="module")
def drawn() -> dict:
    return {name: draw(name, material(name)) for name in FIGURES}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_whole(drawn, name):
    """Breaks if a figure fails, hides that its data are simulated, names no model, or lets text leave its edges."""
    figure = drawn[name]
    shown = texts(figure)
    assert "(simulated)" in figure.get_suptitle().replace("\n", " ") and "tiny" in figure.get_suptitle()
    assert name == "images.epochs" or all(run.name in shown for run in material(name).runs.values())
    ink = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(ink.x0, ink.y0) > -0.02
    assert ink.x1 < figure.get_figwidth() + 0.02 and ink.y1 < figure.get_figheight() + 0.02


@pytest.mark.parametrize(
    "name", ["latent_space.bottleneck", "features.jacobian", "curves.overfitting", "curves.loss_parts"]
)
def test_figures_of_any_kind_take_both(name):
    """Breaks if what is declared for any observations works on images only."""
    assert draw(name, material(name, images=False)).axes


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_explained_and_declare_what_exists(name):
    """Breaks if the source is read as another declaration than Python runs, a caption says nothing, or a role is of
    no class."""
    file, function = name.split(".")
    assert getattr(import_module(f"aeflow.plots.gallery.{file}"), function).declaration == FIGURES[name]
    assert len(FIGURES[name].caption) > 150
    core = pytest.importorskip("docutils.core")  # the report reads captions as reStructuredText
    core.publish_parts(FIGURES[name].caption, writer="html", settings_overrides={"halt_level": 2})
    bases = Path(path_of("aeflow.models.base")).read_text()
    for needed in set(FIGURES[name].roles.values()) - {"any"}:
        architecture = ENTRIES[needed][0]
        assert needed in (architecture.split(".")[1], *class_info(architecture).bases) or f"class {needed}(" in bases


def test_jacobian_norm_is_that_of_the_whole_jacobian():
    """Breaks if the norm sums wrong entries, or is that of a batch instead of a row."""
    model = run("m", "cae.CAE", IMAGES, n_hidden=[8], n_latent=3, activation="tanh").model
    x = torch.from_numpy(IMAGES.X[:5])
    found = features.jacobian_norms(model, Batch(x))
    for row, norm in zip(x, found, strict=True):
        whole = torch.autograd.functional.jacobian(lambda v: model.encode(Batch(v[None]))[0], row)
        assert norm.item() == pytest.approx(whole.norm().item(), rel=1e-5)
    assert found == pytest.approx(model.squared_jacobian(x)[1].sqrt().detach())


def test_denoising_compares_with_clean_images(drawn):
    """Breaks if an error is against the corrupted images, or of a model fed clean ones."""
    m = material("images.denoising")
    run = m.runs["dae"]
    noise = torch.randn(IMAGES.X.shape, generator=m.generator()) * run.model.noise
    with torch.no_grad():
        denoised = run.model.decoder(run.model.encoder(torch.from_numpy(IMAGES.X) + noise))
    shown = texts(drawn["images.denoising"])
    assert f"corrupted MSE {noise.square().mean():.4f}" in shown
    assert f"denoised MSE {(denoised - torch.from_numpy(IMAGES.X)).square().mean():.4f}" in shown


def test_interpolation_ends_are_reconstructions_and_pixels_cross_fade(drawn):
    """Breaks if the line runs the wrong way, stops short, or joins other images than the two shown."""
    m = material("images.interpolation")
    picture = shown_in(drawn["images.interpolation"].axes[0])

    def cell(row: int, column: int) -> np.ndarray:
        top, left = (2 + place * (SIDE + 2) for place in (row, column))
        return picture[top : top + SIDE, left : left + SIDE].ravel()

    for row, role in enumerate(("ae", "vae")):
        x_hat = m.reconstruct(m.runs[role], np.array([0, 1]))  # digits 0 and 1
        assert cell(row, 0) == pytest.approx(x_hat[0], abs=1e-5)
        assert cell(row, 8) == pytest.approx(x_hat[1], abs=1e-5)
    assert cell(2, 4) == pytest.approx(IMAGES.X[:2].mean(0), abs=1e-5)


def test_manifold_grid_is_even_in_probability(drawn):
    """Breaks if the grid is even in the latents, or latent 2 grows downwards."""
    from scipy.stats import norm

    model, right = material("latent_space.manifold").runs["vae"].model, drawn["latent_space.manifold"].axes[1]
    corner = shown_in(right)[2 : 2 + SIDE, 2 : 2 + SIDE]  # top left: latent 1 lowest, latent 2 highest
    z = torch.tensor([[norm.ppf(0.03), norm.ppf(0.97)]], dtype=torch.float32)
    with torch.no_grad():
        assert corner.ravel() == pytest.approx(model.decode(z, None)[0].numpy(), abs=1e-5)


def test_conditional_rows_share_their_latents():
    """Breaks if classes and draws are mixed up: a decoder that sees the latents alone gives equal rows."""
    m = material("images.conditional")
    first = m.runs["cvae"].model.decoder[0][0]
    assert isinstance(first, torch.nn.Linear)
    with torch.no_grad():
        first.weight[:, 3:] = 0  # z alone
    picture = shown_in(draw("images.conditional", m).axes[0])[2:, 2:]
    step = SIDE + 2
    assert np.ptp([picture[i * step : i * step + SIDE, :SIDE] for i in range(10)], axis=0).max() == 0
    assert (picture[:SIDE, :SIDE] != picture[:SIDE, step : step + SIDE]).any()


def test_loss_parts_weight_the_penalty():
    """Breaks if the penalty is drawn without its weight, or the sum is not that of what is drawn."""
    lines = {line.get_label(): line for line in draw("curves.loss_parts", material("curves.loss_parts")).axes[0].lines}
    assert lines["weighted penalty, train"].get_ydata().tolist() == [0.5, 1, 2]
    assert lines["sum, train"].get_ydata().tolist() == [9.5, 7, 5]


def test_overfitting_states_the_gap(drawn):
    """Breaks if the ratio is upside down or of another epoch than the last."""
    assert texts(drawn["curves.overfitting"]).count("validation / training = 2.00") == 2


def test_sparsity_is_measured():
    """Breaks if silence is judged by the value of an activation rather than by its share of the latent's maximum."""
    m = material("features.sparse_features")
    sparse = m.runs["sparse"].model
    with torch.no_grad():
        for p in sparse.encoder.parameters():
            p.zero_()
        bias = next(p for p in sparse.encoder.parameters() if p.ndim == 1)
        bias[:5] = 1e-6  # 5 of 20 latents always at their maximum, the others never active
    assert "sparse: 0% silent, 5 active an image" in texts(draw("features.sparse_features", m))
    assert "15 never active" in texts(draw("features.sparse_features", m))


def test_roc_aligns_scores_with_test_rows(drawn):
    """Breaks if scores, which lie in another order, are read by position; or if the baseline is left out."""
    shown = texts(drawn["curves.roc"])
    # rows 0-11 and 24-35 are normal, 12-23 and 36-47 tumours; the score is the row: AUROC 3/4
    assert "first_model: AUROC 0.750" in shown and "no model, distance to mean: AUROC 0.500" in shown


def test_volcano_finds_the_gene_that_differs():
    """Breaks if sides are swapped, the unit is that of scaled values, or q-values are p-values."""
    residual = RNG.normal(size=(N_SAMPLES, N_GENES)) * 0.1
    normal = (SAMPLES.obs["condition"] == "normal").to_numpy()
    residual[~normal, 7] += 3
    difference, q = biology.residual_test(residual, SAMPLES.obs, ~normal, normal)
    assert difference[7] == pytest.approx(3, abs=0.2) and q.argmin() == 7 and q[7] < 1e-6
    assert (np.delete(q, 7) > 0.01).all()
    residual[:, 3] = 1.0  # no spread
    assert biology.residual_test(residual, SAMPLES.obs, ~normal, normal)[1][3] == 1


def test_volcano_counts_donors_not_samples():
    """Breaks if copies of a donor's samples make a gene surer."""
    normal = (SAMPLES.obs["condition"] == "normal").to_numpy()
    residual = RNG.normal(size=(N_SAMPLES, N_GENES))
    once = biology.residual_test(residual, SAMPLES.obs, ~normal, normal)
    twice = biology.residual_test(
        np.tile(residual, (2, 1)), pd.concat([SAMPLES.obs] * 2), np.tile(~normal, 2), np.tile(normal, 2)
    )
    assert twice[1] == pytest.approx(once[1])
    few = SAMPLES.obs.assign(donor_id=["a"] * N_SAMPLES)
    with pytest.raises(DataError, match=r"needs 2 donors in each group, found \[1, 1\]"):
        biology.residual_test(residual, few, ~normal, normal)


def test_gene_set_activity_points_with_expression():
    """Breaks if a node's sign, which its weights choose at random, passes for that of its genes' expression."""
    figures = []
    for sign in (1, -1):
        m = material("biology.gene_sets")
        with torch.no_grad():
            m.runs["gsae"].model.genes_to_sets[0].weight.mul_(sign)
            m.runs["gsae"].model.genes_to_sets[0].bias.zero_()
        figures.append(shown_in(draw("biology.gene_sets", m).axes[0]))
    assert figures[0] == pytest.approx(figures[1], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("latent_space.manifold", {"n_latent": 3}, "'vae_model' must have n_latent 2, found 3"),
        ("latent_space.bottleneck", {"n_latent": 3}, "must have n_latent 2, found 3"),
        ("images.epochs", {"seed": 1}, "differ in seed: not one training"),
        ("images.epochs", {"best_epoch": 9}, "kept at epoch 9, .* the first must be earlier"),
        ("images.conditional", {"covariates": {}}, "must be given one column of classes"),
    ],
)
def test_refusals_name_what_is_wrong(name, change, message):
    """Breaks if a figure is drawn from runs that cannot show what it claims."""
    m = material(name)
    role, shown = next(iter(m.runs.items()))
    with pytest.raises(DataError, match=message):
        draw(name, replace(m, runs={**m.runs, role: replace(shown, info=shown.info | change)}))


def test_expression_is_no_image():
    """Breaks if genes are drawn as pixels."""
    with pytest.raises(DataError, match="30 variables make no square image"):
        draw("features.sparse_features", material("features.sparse_features", images=False))


def checked(**gallery) -> dict:
    """config/test.yaml with another gallery, as Snakemake checks it."""
    config = yaml.safe_load((ROOT / "config" / "test.yaml").read_text()) | {"gallery": copy.deepcopy(gallery)}
    return read_configuration(config)


ROC = {"curves.roc": {"a": "pca"}}


@pytest.mark.parametrize(
    ("gallery", "message"),
    [
        ({"cells": {"view": "normal", "figures": ROC}}, "gallery: 'cells' does not exist"),
        ({"mnist": {"view": "digit33", "figures": ROC}}, "gallery.mnist.view: 'digit33' .*did you mean 'digit3'"),
        ({"mnist": {"view": "digit3", "task": "tumour", "figures": ROC}}, "gallery.mnist.task: 'tumour' does not"),
        ({"mnist": {"view": "digit3", "figures": ROC}}, "figures.curves.roc: needs the key gallery.mnist.task"),
        (
            {"mnist": {"view": "digit3", "figures": {"roc": {"a": "pca"}}}},
            "gallery.mnist.figures: 'roc' must be named as file.function: curves.roc",
        ),
        (
            {"mnist": {"view": "digit3", "figures": {"curves.rocs": {"a": "pca"}}}},
            "'curves.rocs' does not .*'curves.roc'",
        ),
        (
            {"mnist": {"view": "digit3", "figures": {"curves.loss_parts": {"a": "ae"}}}},
            "curves.loss_parts.a, run on mnist with view digit3: 'ae' does not exist.*there are ",
        ),
        (
            {"mnist": {"view": "digit3", "figures": {"latent_space.manifold": {"ae": "vae"}}}},
            r"figures.latent_space.manifold: takes the roles \['vae'\], found \['ae'\]",
        ),
        (
            {"mnist": {"view": "digit3", "figures": {"latent_space.manifold": {"vae": "pca"}}}},
            "figures.latent_space.manifold.vae: must be a VAE, but model 'pca' is a pca.PCA",
        ),
        (
            {"simulated": {"view": "normal", "figures": {"images.denoising": {"dae": "ae"}}}},
            "figures.images.denoising: is a figure of images, 'simulated' holds expression",
        ),
    ],
)
def test_a_wrong_gallery_stops_before_any_job(gallery, message):
    """Breaks if a misspelt name in the gallery is found by a job, hours later."""
    with pytest.raises(ConfigError, match=message):
        checked(**gallery)


def test_figures_show_the_smallest_seed():
    """Breaks if a new seed redraws the gallery from other runs."""
    config = checked(
        simulated={"view": "normal", "task": "tumour", "figures": {"curves.roc": {"b": "gsae", "a": "pca"}}}
    )
    config["experiments"]["expression"]["seeds"] = [3, 2]
    found = grid.gallery_cells("simulated", "curves.roc", config)
    assert list(found) == ["b", "a"]
    assert found["a"] == ("simulated", "normal", "pca", 2)


def test_zoo_has_every_figure():
    """Breaks if a figure is shown by no shipped configuration."""
    zoo = yaml.safe_load((ROOT / "config" / "zoo.yaml").read_text())
    assert set().union(*(entry["figures"] for entry in zoo["gallery"].values())) == set(FIGURES)


EXTRA_FIGURE = """
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.style import new_figure, put_title


@gallery_figure(observations="images", roles={"model": "VAE"}, caption="Norms of latents: one bar a bin.")
def norms(m):
    figure, axes = new_figure(4, 3)
    axes[0][0].hist((m.encode(m.runs["model"]) ** 2).sum(1))
    put_title(figure, m.title("Norms"), m.info["origin"])
    return figure
"""

DRAW_EXTRA = """
import runpy, sys, yaml
from pathlib import Path
from types import SimpleNamespace
from aeflow.plan.reading import read_configuration
from aeflow.plan.figures import declared

config = yaml.safe_load(Path("config/test.yaml").read_text())
config["gallery"] = {"mnist": {"view": "digit3", "figures": {"norms_of_latents.norms": {"model": "vae"}}}}
config = read_configuration(config)

class Inputs(SimpleNamespace):
    get = lambda self, name: getattr(self, name, None)

class Outputs(list):
    figure, caption = "out.png", "out.txt"

(name, roles), = config["gallery"]["mnist"]["figures"].items()
inputs = Inputs(weights=["model.safetensors"], models=["model.json"], histories=["history.parquet"])
inputs.X_test, inputs.obs, inputs.var = "X.parquet", "obs.parquet", "var.parquet"
snakemake = SimpleNamespace(
    input=inputs, output=Outputs(["out.png", "out.txt"]), log=["log"], threads=1, resources={},
    rule="draw_gallery", wildcards=type("Wildcards", (dict,), {"figure": name})(),
    params=SimpleNamespace(roles=list(roles), view={}, task=None, caption=declared(name).caption),
)
runpy.run_path("workflow/scripts/draw_gallery.py", init_globals={"snakemake": snakemake})
"""


def test_a_figure_is_one_file_and_one_entry(tmp_path):
    """Breaks if a new figure needs more than its file and the entry of the configuration that names it."""
    for folder in ("src", "workflow", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src/aeflow/plots/gallery/norms_of_latents.py").write_text(EXTRA_FIGURE)
    shown = run("vae", "vae.VAE", IMAGES, n_hidden=[8], n_latent=2, likelihood="bernoulli")
    save_file(shown.model.state_dict(), tmp_path / "model.safetensors")
    write_json(dict(shown.info), tmp_path / "model.json")
    write_frame(HISTORY, tmp_path / "history.parquet")
    IMAGES.write(tmp_path / "X.parquet", tmp_path / "obs.parquet", tmp_path / "var.parquet")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        [sys.executable, "-c", DRAW_EXTRA], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_text() == "Norms of latents: one bar a bin.\n"
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_declaration_must_be_readable_without_running_it(tmp_path, monkeypatch):
    """Breaks if a computed or misspelt declaration is read as something else, or stops without file and line."""
    monkeypatch.setattr("aeflow.plan.figures.FOLDER", tmp_path)
    for declaration, message in (
        ('caption="a" + b', "line 1: .* literal"),
        ('caption="a", role={}', "line 1: .*'role'"),
        ('caption="a", observations="genes"', "line 1: .*found 'genes'"),
    ):
        (tmp_path / "extra.py").write_text(f"@gallery_figure({declaration})\ndef f(m): ...\n")
        figures.cache_clear()
        with pytest.raises(ConfigError, match=f"extra.py, {message}"):
            figures()
    figures.cache_clear()

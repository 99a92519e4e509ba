"""Figures say what they show: titles, legends, numbers, simulated data. Their look was judged by eye. About 6 s."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score, roc_curve

from aeflow.errors import DataError
from aeflow.plots.components import cohort_pca, two_components
from aeflow.plots.expression_draws import expression_draws
from aeflow.plots.image_grids import image_grid, reconstruction_grid
from aeflow.plots.leaderboard_figure import leaderboard_figure
from aeflow.plots.loss_curves import training_curve
from aeflow.plots.roc_curves import roc_curves, roc_points
from aeflow.plots.style import save

SRC = Path(__file__).parents[2] / "src"
REPORT = SRC.parent / "workflow" / "report"
RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 4)
SCORE = np.array([1.0, 2, 3, 4, 2.5, 5, 6, 7])  # 14 of 16 pairs are in order: AUROC 0.875
UNRELATED = np.array([1.0, 2, 3, 4, 1.5, 1.6, 3.5, 3.6])  # 8 of 16


def texts(figure) -> str:
    """All text of a figure that is not blank, line breaks as blanks."""
    figure.canvas.draw()  # lays out what is only placed on drawing
    return " | ".join(t.get_text().replace("\n", " ") for t in figure.findobj(Text) if t.get_text().strip())


def history(n_epochs=6, penalty=1.0, first=1) -> pd.DataFrame:
    epochs = np.arange(first, first + n_epochs)
    loss = (epochs - 3.0) ** 2 + 10
    parts = {"train_reconstruction": loss, "train_penalty": penalty, "val_reconstruction": loss, "val_penalty": penalty}
    return pd.DataFrame({"epoch": epochs, **parts, "val_loss": loss + penalty, "penalty_weight": 1.0})


def board(origin="simulated", seeds=3, views=("normal",), control=True) -> pd.DataFrame:
    """A leaderboard on which vae beats PCA by AUROC and ae does not; ae has no density."""
    rows = []
    sd = 0.01 if seeds > 1 else np.nan
    for view in views:
        for score, models in (("deviation/squared_error", ("pca", "ae", "vae")), ("density/nll", ("pca", "vae"))):
            for kind in ("auroc", "control_auroc") if control else ("auroc",):
                for model in models:
                    verdict = {"pca": "", "ae": "not better than PCA", "vae": "better than PCA"}[model]
                    mean = {"pca": 0.8, "ae": 0.7, "vae": 0.9}[model]
                    row = {"dataset": "d", "origin": origin, "view": view, "model": model, "n_seeds": seeds}
                    row |= {"metric": f"anomaly/tumour/{score}/{kind}", "sd": sd, "pca_mean": 0.8}
                    row |= {"mean": mean, "verdict": verdict, "direction": "higher"}
                    if kind == "control_auroc":
                        row |= {"mean": 0.55, "verdict": "", "direction": "none"}
                    rows.append(row)
    return pd.DataFrame(rows)


AUROC = "anomaly/tumour/deviation/squared_error/auroc"
DENSITY = "anomaly/tumour/density/nll/auroc"
OBS = pd.DataFrame(
    {"study": ["GTEx", "TCGA"] * 6, "tissue": ["kidney"] * 6 + ["lung"] * 6, "condition": ["normal"] * 12}
)
X = RNG.normal(size=(12, 9))

LONG = ("density/neg_log_likelihood", "baseline/squared_distance_to_mean")
ALL = {
    "training_curve": lambda origin: training_curve(history(), origin=origin),
    "training_curve of a closed form": lambda origin: training_curve(
        history(1, penalty=0.0, first=0), origin=origin, best_epoch=0
    ),
    "roc_curves": lambda origin: roc_curves({"s": (LABELS, SCORE)}, origin=origin),
    "roc_curves with control": lambda origin: roc_curves(
        dict.fromkeys(LONG, (LABELS, SCORE)), origin=origin, control=dict.fromkeys(LONG, (LABELS, UNRELATED))
    ),
    "roc_curves of many scores": lambda origin: roc_curves(
        {f"{LONG[1]}{i}": (LABELS, SCORE) for i in range(15)},
        origin=origin,
        control={f"{LONG[1]}{i}": (LABELS, UNRELATED) for i in range(15)},
    ),
    "image_grid": lambda origin: image_grid(X, 3, 4, origin=origin),
    "reconstruction_grid": lambda origin: reconstruction_grid(X, {"vae": X + 1}, origin=origin),
    "expression_draws": lambda origin: expression_draws(X, X + 1, "log2_counts1", origin=origin),
    "leaderboard_figure": lambda origin: leaderboard_figure(board(origin), [AUROC], "Dataset d", baseline="pca"),
    "leaderboard_figure of views": lambda origin: leaderboard_figure(
        board(origin, views=("gtex_normal", "normal")), [AUROC, DENSITY], "Dataset d", baseline="pca"
    ),
    "cohort_pca": lambda origin: cohort_pca(X, OBS, unit="log2_counts1", origin=origin),
}


@pytest.mark.parametrize("name", ALL)
def test_simulated_data_are_named_in_the_title(name):
    """Breaks if a figure of simulated data could be taken for measurements, the reverse, or the origin is unchecked."""
    assert "(simulated)" in ALL[name]("simulated").get_suptitle()
    assert "simulated" not in ALL[name]("real").get_suptitle()
    with pytest.raises(DataError, match=r"origin must be 'real' or 'simulated', found 'guessed'"):
        ALL[name]("guessed")


@pytest.mark.parametrize("name", ALL)
def test_nothing_leaves_the_figure(name):
    """Breaks if a title, legend or label runs over the edge, where it is cut off."""
    figure = ALL[name]("simulated")
    figure.canvas.draw()
    ink = figure.get_tightbbox(figure.canvas.get_renderer())  # inches
    assert min(ink.x0, ink.y0) > -0.01
    assert ink.x1 < figure.get_figwidth() + 0.01 and ink.y1 < figure.get_figheight() + 0.01


def test_long_title_is_wrapped():
    """Breaks if a long name of dataset, view and model is cut off at the edge of a narrow figure."""
    title = "simulated_cohort / gtex_normal_of_all_tissues / gaussian_vae_wide / seed 12"
    figure = training_curve(history(penalty=0), origin="simulated", title=title)
    figure.canvas.draw()
    extent = figure._suptitle.get_window_extent(figure.canvas.get_renderer())
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1
    assert figure.get_suptitle().replace("\n", " ") == f"{title} (simulated)"


def test_save_is_atomic_and_deterministic(tmp_path):
    """Breaks if equal figures differ by date or version, if a failure leaves a half file, or the resolution changes."""
    for name in ("a.png", "b.png"):
        save(ALL["cohort_pca"]("real"), tmp_path / "made" / name)
    a, b = ((tmp_path / "made" / name).read_bytes() for name in ("a.png", "b.png"))
    assert a == b and a.startswith(b"\x89PNG")
    figure = ALL["training_curve"]("real")
    save(figure, tmp_path / "c.png")
    assert imread(tmp_path / "c.png").shape[1] == pytest.approx(150 * figure.get_figwidth(), abs=1)

    def fail(*args, **kwargs):
        raise RuntimeError("disk full")

    figure.draw = fail
    with pytest.raises(RuntimeError):
        save(figure, tmp_path / "made" / "a.png")
    assert (tmp_path / "made" / "a.png").read_bytes() == a
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"a.png", "b.png"}


def test_training_curve_marks_the_epoch_kept():
    """Breaks if the mark is not where val_loss is smallest, or not where the caller says that weights were kept."""
    assert "epoch kept: 3" in texts(training_curve(history(), origin="real"))
    assert "epoch kept: 5" in texts(training_curve(history(), origin="real", best_epoch=5))


def test_training_curve_of_a_closed_form_and_of_one_epoch():
    """Breaks if a single row (PCA, or one epoch) fails, draws an invisible line, or is called an epoch."""
    figure = training_curve(history(1, first=0), origin="real", best_epoch=0)
    assert "closed form: no epochs" in texts(figure)
    lines = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 1]
    assert lines and all(line.get_marker() == "o" for line in lines)
    assert "epoch kept: 1" in texts(training_curve(history(1), origin="real"))


def test_training_curve_without_penalty_has_one_panel():
    """Breaks if a plain autoencoder gets empty panels for a penalty that it does not have."""
    assert len(training_curve(history(penalty=0.0), origin="real").axes) == 1
    assert len(training_curve(history(), origin="real").axes) == 3


def test_training_curve_of_negative_losses():
    """Breaks if a Gaussian density's negative losses meet a logarithmic axis."""
    frame = history()
    frame[[c for c in frame.columns if c.endswith(("reconstruction", "loss"))]] -= 100
    figure = training_curve(frame, origin="real")
    assert all(ax.get_yscale() == "linear" for ax in figure.axes)


def test_training_curve_names_a_missing_column():
    """Breaks if a history of another layout gives a figure, or an error that does not say what is missing."""
    with pytest.raises(DataError, match="no column 'val_loss'"):
        training_curve(history().drop(columns="val_loss"), origin="real")


def test_roc_curves_give_auroc_and_control():
    """Breaks if an AUROC is wrong, is another score's, or if the control is not beside the score it belongs to."""
    shown = texts(
        roc_curves(
            {"deviation/a": (LABELS, SCORE), "density/b": (LABELS, UNRELATED)},
            origin="real",
            control={"deviation/a": (LABELS, UNRELATED), "density/b": (LABELS, SCORE)},
        )
    )
    assert "deviation/a: AUROC 0.875, control 0.500" in shown
    assert "density/b: AUROC 0.500, control 0.875" in shown
    assert "GTEx normal vs TCGA normal" in shown and "chance: 0.500" in shown
    without = texts(roc_curves({"deviation/a": (LABELS, SCORE)}, origin="real"))
    assert "control" not in without


def test_many_roc_curves_never_share_a_colour():
    """Breaks if two scores of one panel look alike, or a score is drawn in no panel or in two."""
    names = [f"family/score{i}" for i in range(15)]
    figure = roc_curves(dict.fromkeys(names, (LABELS, SCORE)), origin="real")
    labelled = []
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        scores = [(h.get_color(), text) for h, text in zip(handles, labels, strict=True) if "AUROC" in text]
        assert len({colour for colour, _ in scores}) == len(scores)
        labelled += [text.split(":")[0] for _, text in scores]
    assert labelled == names


def test_roc_curves_control_is_dashed_in_the_colour_of_its_score():
    """Breaks if a control could be read as a result, or be attributed to another score."""
    pairs = {"a": (LABELS, SCORE), "b": (LABELS, UNRELATED)}
    lines = [line for line in roc_curves(pairs, origin="real", control=pairs).axes[0].lines if len(line.get_xdata())]
    assert [line.get_linestyle() for line in lines[:4]] == ["-", "--", "-", "--"]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color() == lines[3].get_color()


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        (np.zeros(8), SCORE, r"score 'deviation/a': a ROC curve needs both labels, found \[0\.0\]"),
        (LABELS, np.where(LABELS, np.nan, SCORE), r"score 'deviation/a': 4 of 8 values are not finite"),
    ],
)
def test_roc_curves_refuse(labels, scores, message):
    """Breaks if a curve is drawn from one label only or from NaN."""
    with pytest.raises(DataError, match=message):
        roc_curves({"deviation/a": (labels, scores)}, origin="real")


def test_roc_control_must_belong_to_a_score():
    """Breaks if a misspelt control disappears."""
    with pytest.raises(DataError, match="control of 'b'"):
        roc_curves({"a": (LABELS, SCORE)}, origin="real", control={"b": (LABELS, SCORE)})


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_roc_points_are_those_of_scikit_learn(rows):
    """Breaks if tied scores are taken apart, a corner is lost, or the rates are exchanged.

    scikit-learn keeps some points on straight lines, which are no corners.
    """
    labels = np.array([label for label, _ in rows]).astype(int)
    scores = np.array([score for _, score in rows], dtype=float)
    false_positive, true_positive = roc_points(labels, scores)
    points = list(zip(false_positive, true_positive, strict=True))
    every_point = list(zip(*roc_curve(labels, scores, drop_intermediate=False)[:2], strict=True))
    assert set(points) <= set(every_point)
    assert (points[0], points[-1]) == ((0, 0), (1, 1))
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (30, 3)])
def test_two_components_are_those_of_a_full_decomposition(shape):
    """Breaks if the iteration stops before the components have settled, or their signs depend on the machine."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=shape) + rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1]))
    X = (X + 5).astype(np.float32)
    found = two_components(X)
    centred = X.astype(float) - X.mean(0, dtype=float)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    assert found.percent == pytest.approx(100 * values[:2] ** 2 / (values**2).sum(), rel=1e-4)
    assert np.abs((found.axes * right[:2].T).sum(0)) == pytest.approx(1, abs=1e-4)
    largest = np.abs(found.axes).argmax(0)
    assert (found.axes[largest, [0, 1]] > 0).all()
    assert np.abs(found.scores(X)) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-2)


def test_image_grid_keeps_order_and_orientation():
    """Breaks if images are transposed, reordered or rescaled; leftover places must stay white."""
    images = np.zeros((3, 9))
    images[1] = [0, 0.5, 1, 0, 0, 0, 0, 0, 0]  # first row of pixels
    picture = image_grid(images, 2, 2, origin="real").axes[0].images[0].get_array()
    assert picture.shape == (12, 12)
    assert picture[2:5, 7:10].tolist() == [[0, 0.5, 1], [0, 0, 0], [0, 0, 0]]
    assert (picture[7:10, 2:5] == 0).all() and (picture[7:10, 7:10] == 1).all()


def test_image_grid_takes_square_images_only():
    """Breaks if expression is drawn as an image."""
    with pytest.raises(DataError, match="10 variables make no square image"):
        image_grid(np.zeros((4, 10)), 2, 2, origin="real")


def test_reconstruction_grid_names_rows_and_errors():
    """Breaks if a model's row, or its error on these images, is another model's."""
    original = np.full((2, 4), 0.5)
    figure = reconstruction_grid(original, {"pca": original, "vae": original + 0.1}, origin="real")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["original", "pca\nMSE 0.0000", "vae\nMSE 0.0100"]
    with pytest.raises(DataError, match=r"'ae' has shape \(1, 4\)"):
        reconstruction_grid(original, {"ae": original[:1]}, origin="real")


def test_expression_draws_say_unit_and_agreement():
    """Breaks if an axis lacks its unit, a correlation is wrong, or components are fitted on generated rows."""
    real = RNG.normal(size=(50, 20)) * np.linspace(1, 3, 20) + np.linspace(0, 9, 20)
    figure = expression_draws(real, real * [1], "log2_tpm1", origin="real")
    shown = texts(figure)
    assert "Mean of each gene, r = 1.000" in shown and "generated [log2(TPM + 1)]" in shown
    flat = expression_draws(real, np.ones((30, 20)), "log2_tpm1", origin="real")
    assert "Standard deviation of each gene, r undefined" in texts(flat)
    assert "held-out (n = 50)" in texts(flat) and "generated (n = 30)" in texts(flat)
    share = re.search(r"component 1 \((\d+) % of variance\)", shown).group(0)
    assert share in texts(expression_draws(real, RNG.normal(size=(9, 20)) * 99, "log2_tpm1", origin="real"))
    with pytest.raises(DataError, match="20 genes are real, 19 generated"):
        expression_draws(real, real[:, 1:], "log2_tpm1", origin="real")


def test_leaderboard_fills_only_what_is_better_than_pca():
    """Breaks if a model that is not better than PCA looks as if it were, or PCA's line is not at its mean."""
    ax = leaderboard_figure(board(control=False), [AUROC], "Dataset d", baseline="pca").axes[0]
    dots = {line.get_xdata()[0]: line for line in ax.lines if line.get_marker() == "o"}
    assert dots[0.9].get_markerfacecolor() != "white" and dots[0.7].get_markerfacecolor() == "white"
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [0.8]
    assert "higher is better" in ax.get_xlabel() and "3 seeds" in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["pca", "ae", "vae"]


def test_leaderboard_is_about_the_baseline_it_is_given():
    """Breaks if another baseline than PCA is drawn as one model among others, or a verdict is read as a name."""
    frame = board(control=False).replace({"verdict": {"better than PCA": "better than ae"}})
    figure = leaderboard_figure(frame, [AUROC], "Dataset d", baseline="ae")
    ax = figure.axes[0]
    dots = {line.get_xdata()[0]: line for line in ax.lines if line.get_marker() == "o"}
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [0.7]
    assert dots[0.7].get_color() == "black" and dots[0.9].get_markerfacecolor() != "white"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ae", "pca", "vae"]
    assert "ae, its mean dashed" in texts(figure)


def test_leaderboard_shows_the_control_beside_its_auroc():
    """Breaks if a tumour AUROC appears without its control and the line at 0.5."""
    figure = leaderboard_figure(board(), [AUROC], "Dataset d", baseline="pca")
    ax = figure.axes[0]
    diamonds = [line for line in ax.lines if line.get_marker() == "D"]
    assert [line.get_xdata()[0] for line in diamonds] == [0.55] * 3
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == [0.5]
    assert "control: AUROC" in texts(figure)
    assert "control" not in texts(leaderboard_figure(board(control=False), [AUROC], "Dataset d", baseline="pca"))


def test_leaderboard_of_several_views_one_seed_and_undefined_scores():
    """Breaks if a view or metric loses its panel, one seed has no dot, or a missing score passes as zero."""
    frame = board("real", seeds=1, views=("a", "b"))
    frame = frame[~((frame["view"] == "b") & frame["metric"].str.contains("density"))]
    figure = leaderboard_figure(frame, [AUROC, DENSITY], "Dataset d", baseline="pca")
    shown = texts(figure)
    assert len(figure.axes) == 3  # no empty panel for what was not measured
    assert "view a" in shown and "view b" in shown and "mean over 1 seed (" in shown
    assert shown.count("no value") == 1 and shown.count(DENSITY) == 1 and shown.count(AUROC) == 2


def test_leaderboard_refuses_mixed_origins_and_unknown_metrics():
    """Breaks if real and simulated results share a picture, or a misspelt metric gives an empty one."""
    with pytest.raises(DataError, match="one origin, found"):
        leaderboard_figure(pd.concat([board("real"), board()]), [AUROC], "Dataset d", baseline="pca")
    with pytest.raises(DataError, match="no metric 'auc'"):
        leaderboard_figure(board(), ["auc"], "Dataset d", baseline="pca")


def test_cohort_pca_counts_groups_in_every_panel():
    """Breaks if a panel colours by another column, or an observation is in no group."""
    figure = cohort_pca(X, OBS, unit="log2_counts1", origin="real", title="Cohort kidney")
    shown = texts(figure)
    for text in (
        "by study",
        "GTEx (6)",
        "TCGA (6)",
        "by tissue",
        "kidney (6)",
        "lung (6)",
        "by condition",
        "normal (12)",
    ):
        assert text in shown
    assert "12 observations, 9 variables, log2(counts + 1)" in figure.get_suptitle().replace("\n", " ")
    for ax in figure.axes:
        assert sum(len(c.get_offsets()) for c in ax.collections) == 12


def test_cohort_pca_tells_many_groups_apart():
    """Breaks if two of 30 tissues look the same."""
    tissues = pd.DataFrame({"tissue": [f"t{i}" for i in range(30)] * 2})
    axes = cohort_pca(RNG.normal(size=(60, 5)), tissues, unit="tpm", origin="real", columns=("tissue",)).axes
    looks = {(tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in axes[0].collections}
    assert len(axes[0].collections) == len(looks) == 30


def test_cohort_pca_shows_rows_without_a_label_as_such():
    """Breaks if blanks of a sheet, NaN beside texts, end the figure, or each kind of blank is a group."""
    gaps = pd.DataFrame({"tissue": ["liver", None, "", np.nan, "NA", "lung"] * 10})
    figure = cohort_pca(RNG.normal(size=(60, 5)), gaps, unit="tpm", origin="real", columns=("tissue",))
    assert "no label (40)" in texts(figure)


def test_cohort_pca_names_a_missing_column():
    """Breaks if a sample sheet without tissue gives an error that does not say so."""
    with pytest.raises(DataError, match="obs has no column 'tissue'"):
        cohort_pca(X, OBS.drop(columns="tissue"), unit="tpm", origin="real")
    with pytest.raises(DataError, match="X has 11 rows, obs has 12"):
        cohort_pca(X[1:], OBS, unit="tpm", origin="real")


@pytest.mark.parametrize("path", sorted(REPORT.glob("*.rst")), ids=lambda path: path.name)
def test_report_captions_render(path):
    """Breaks if a caption is no valid template or reStructuredText, which stops `snakemake --report` at its end."""
    jinja2, core = pytest.importorskip("jinja2"), pytest.importorskip("docutils.core")
    wildcards = SimpleNamespace(dataset="expression_a", view="normal", model="vae", seed="0")
    config = {
        "datasets": {"expression_a": {"cohort": "made"}, "mnist": {"cohort": "mnist"}},
        "cohorts": {"made": {"source": "simulated"}, "mnist": {"source": "mnist"}},
    }
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # as Snakemake's
    text = environment.from_string(path.read_text()).render(
        snakemake=SimpleNamespace(
            wildcards=wildcards,
            config=config,
            params=SimpleNamespace(caption="What to see."),
            input=SimpleNamespace(models=["results/runs/expression_a/normal/vae/seed0/model.json"]),
        )
    )
    html = core.publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["html_body"]
    assert "expression_a" in html and "{{" not in html
    if path.name == "workflow.rst":
        assert html.count("simulated data, not measurements") == 1


DRAWN_ALONE = """
import ast, sys
from pathlib import Path
for path in sys.argv[1:]:
    imports = [n for n in ast.parse(Path(path).read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), path, "exec"))
import numpy as np, pandas as pd
from aeflow.plots.expression_draws import expression_draws
from aeflow.plots.roc_curves import roc_curves
X = np.random.default_rng(0).normal(size=(12, 9))
obs = pd.DataFrame({"study": ["a", "b"] * 6})
cohort_pca(X, obs, unit="tpm", origin="real", columns=("study",))
expression_draws(X, X, "tpm", origin="real")
save(roc_curves({"s": (np.arange(12) > 6, X[:, 0])}, origin="real"), "roc.png")
print([name for name in ("torch", "sklearn", "scipy", "matplotlib.pyplot") if name in sys.modules])
"""


def test_drawing_imports_no_learning_library(tmp_path):
    """Breaks if figures of a run cost the import of torch, scikit-learn or scipy (1 to 2 CPU seconds a job), or of
    pyplot, which keeps every figure in memory until the job ends."""
    scripts = [SRC.parent / "workflow" / "scripts" / f"draw_{what}.py" for what in ("run", "leaderboard", "cohort")]
    command = [sys.executable, "-c", DRAWN_ALONE, *map(str, scripts)]
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Two-dimensional latents."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.labels import NO_LABEL, shown_labels
from aeflow.models.base import Batch
from aeflow.plots.components import two_components
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material, ShownRun
from aeflow.plots.image_grids import show, square, tile
from aeflow.plots.style import MARKERS, PALETTE, new_figure, put_title

MAX_POINTS = 1500  # more would hide one another
N_NEIGHBOURS = 5
N_GRID = 15  # images a side of the manifold
TAIL = 0.03  # probability beyond the outermost images of the manifold, at either side


@gallery_figure(
    roles={"pca": "PCA", "ae": "AE"},
    caption="Test rows in two dimensions, coloured by class (which no model saw), of each study with its own mark: "
    "two principal components beside the bottleneck of a deep autoencoder. See whether the classes part; the "
    "neighbour accuracy says how well, the share of rows whose five nearest neighbours in the picture vote "
    "for their class. Where studies part, too, the latents hold what is not biology. MSE, per variable, tells "
    "how much two numbers keep of a row.",
)
def bottleneck(m: Material) -> Figure:
    """Return test rows on two principal components, and in the bottleneck of an autoencoder, coloured by class."""
    labels, column = _classes(m)
    studies = shown_labels(m.test.obs["study"]) if "study" in m.test.obs else None
    figure, axes = new_figure(10, 5.2, 1, 2)
    for ax, role in zip(axes[0], ("pca", "ae"), strict=True):
        run = m.runs[role]
        z = _two_latents(m, run, "bottleneck")
        mse = np.square(m.reconstruct(run) - m.test.X).mean(dtype=float)
        _scatter(ax, z, labels, studies)
        ax.set_title(f"{run.name}: neighbour accuracy {_neighbour_accuracy(z, labels):.0%}, MSE {mse:.3g}")
    _legend(figure, axes[0][0])
    put_title(figure, m.title(f"Two latents, by {column}"), m.info["origin"])
    return figure


@gallery_figure(
    roles={"pca": "PCA", "ae": "any"},
    caption="All latents of two models in two dimensions, coloured by class (which no model saw), of each study with "
    "its own mark. Above: their first two principal components, which keep distances as far as two axes can. "
    "Below: t-SNE, which keeps neighbours and nothing else; sizes of clusters and distances between them mean "
    "nothing. The neighbour accuracy is measured in the latents, not in the picture: the share of rows whose "
    "five nearest neighbours vote for their class.",
)
def embedding(m: Material) -> Figure:
    """Return test rows by their latents under two models: two principal components above, t-SNE below."""
    labels, column = _classes(m)
    rows = np.random.default_rng(0).permutation(len(labels))[:MAX_POINTS]
    labels = labels[rows]
    studies = shown_labels(m.test.obs["study"])[rows] if "study" in m.test.obs else None
    figure, axes = new_figure(10, 9.6, 2, 2)
    for (above, below), role in zip(axes.T, ("pca", "ae"), strict=True):
        run = m.runs[role]
        z = m.encode(run, rows).astype(np.float64)
        if z.shape[1] < 2:
            raise DataError(f"figure embedding: {run.name!r} has {z.shape[1]} latent, fewer than the picture's axes")
        _scatter(above, two_components(z).scores(z), labels, studies)
        above.set_title(f"{run.name}, {z.shape[1]} latents: neighbour accuracy {_neighbour_accuracy(z, labels):.0%}")
        above.set(xlabel="component 1", ylabel="component 2")
        _scatter(below, _tsne(z), labels, studies)
        below.set(title=f"{run.name}, t-SNE", xlabel="t-SNE 1", ylabel="t-SNE 2")
    _legend(figure, axes[0][0])
    put_title(figure, m.title(f"Latents in two dimensions, by {column}"), m.info["origin"])
    return figure


@gallery_figure(
    observations="images",
    roles={"vae": "VAE"},
    caption="Left: posterior means of test images in the two latents of a variational autoencoder; they fill a disc "
    "about zero, as the prior asks. Right: decoded latents on a grid that is even in the prior's probability "
    "(inverse normal distribution function of 0.03 to 0.97), so that each picture stands for an equal share "
    "of draws. Neighbours change smoothly, classes have regions.",
)
def manifold(m: Material) -> Figure:
    """Return posterior means of test images, and images decoded from a grid even in the prior's probability."""
    from scipy.stats import norm

    run, (labels, column) = m.runs["vae"], _classes(m)
    figure, axes = new_figure(10.6, 5.6, 1, 2)
    left, right = axes[0]
    _scatter(left, _two_latents(m, run, "manifold"), labels)
    left.set_title(f"posterior means of test images, by {column}")
    left.set_aspect("equal", adjustable="datalim")
    _legend(figure, left)

    at = norm.ppf(np.linspace(TAIL, 1 - TAIL, N_GRID)).astype(np.float32)
    z = np.stack([np.tile(at, N_GRID), np.repeat(at[::-1], N_GRID)], axis=1)  # latent 2 grows upwards
    with torch.no_grad():
        x = run.model.decode(torch.from_numpy(z).to(m.device), Batch(torch.zeros(len(z), m.test.n_vars).to(m.device)))
    images = square(x.cpu().numpy(), "manifold")
    show(right, tile(images, N_GRID, N_GRID))
    step = images.shape[1] + 2
    shown = np.linspace(0, N_GRID - 1, 5).round().astype(int)
    centres = shown * step + 2 + images.shape[1] / 2 - 0.5
    right.set_xticks(centres, [f"{at[i]:.1f}" for i in shown])
    right.set_yticks(centres, [f"{at[-1 - i]:.1f}" for i in shown])
    right.set(xlabel="latent 1", ylabel="latent 2", title="decoded, even in the prior's probability")
    put_title(figure, m.title(f"Two latents of {run.name} and what they decode to"), m.info["origin"])
    return figure


def _classes(m: Material) -> tuple[np.ndarray, str]:
    """Return the class of each test row as text, and the column it comes from."""
    column = "digit" if "digit" in m.test.obs.columns else "tissue"
    return shown_labels(m.test.obs[column]), column


def _two_latents(m: Material, run: ShownRun, figure: str) -> np.ndarray:
    if run.info["n_latent"] != 2:
        raise DataError(f"figure {figure}: {run.name!r} must have n_latent 2, found {run.info['n_latent']}")
    return m.encode(run)


def _tsne(z: np.ndarray) -> np.ndarray:
    """Return a t-SNE (n, 2) of latents (n, n_latent), started from the principal components."""
    from sklearn.manifold import TSNE

    if not np.ptp(z, axis=0).any():  # collapsed: scikit-learn would divide by their spread, and crash on the NaN
        return np.zeros((len(z), 2))
    return TSNE(perplexity=min(30, (len(z) - 1) / 3), init="pca", random_state=0).fit_transform(z)


def _neighbour_accuracy(z: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows with a label whose nearest neighbours among the others vote for their class."""
    from sklearn.neighbors import KNeighborsClassifier

    has = labels != NO_LABEL
    z = z[has]
    labels = labels[has]
    # a fitted classifier asked without rows leaves each row out of its own neighbours
    known = KNeighborsClassifier(min(N_NEIGHBOURS, len(z) - 1)).fit(z, labels)
    return float((known.predict(None) == labels).mean())


def _scatter(ax, z: np.ndarray, labels: np.ndarray, studies: np.ndarray | None = None) -> None:
    """Draw rows coloured by class, of each study with its own mark; classes of one character are their own mark."""
    names = sorted(set(labels))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    marks = {name: f"${name}$" if len(name) == 1 else MARKERS[i // len(PALETTE)] for i, name in enumerate(names)}
    chosen = np.random.default_rng(0).permutation(len(z))[:MAX_POINTS]  # shuffled: no class covers another
    z, labels, studies = z[chosen], labels[chosen], None if studies is None else studies[chosen]
    for name in names:
        for i, study in enumerate([None] if studies is None else sorted(set(studies))):
            rows = (labels == name) if study is None else (labels == name) & (studies == study)
            if not rows.any():
                continue
            mark = marks[name] if study is None else MARKERS[i]
            size, text = (22 if mark.startswith("$") else 14), name if study is None else f"{name}, {study}"
            # more classes than colours: the second round is hollow, else two classes would look the same
            hollow = study is not None and names.index(name) >= len(PALETTE)
            style = {"facecolors": "none", "edgecolors": colours[name], "linewidths": 0.9} if hollow else {
                "color": colours[name], "linewidths": 0}  # fmt: skip
            ax.scatter(*z[rows].T, s=size, marker=mark, alpha=0.8, label=text, **style)
    ax.set(xlabel="latent 1", ylabel="latent 2")


def _legend(figure: Figure, ax) -> None:
    handles, texts = ax.get_legend_handles_labels()
    if any(len(text) > 1 for text in texts):  # else the marks say it
        figure.legend(handles, texts, loc="outside lower center", ncols=min(6, len(texts)), markerscale=1.5)

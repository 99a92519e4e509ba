"""What latents respond to, and how strongly."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from aeflow.models.base import AbstractAutoencoder, Batch
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material, ShownRun
from aeflow.plots.image_grids import GAP, square, tile
from aeflow.plots.style import PALETTE, new_figure, put_title

N_FEATURES = (6, 6)  # rows and columns of features shown
SILENT = 0.01  # share of a latent's own maximum below which it says nothing
MAX_ROWS = 1000  # test rows of the Jacobian
N_BINS = 50


@gallery_figure(
    observations="images",
    roles={"sparse": "SparseAE", "dense": "any"},
    caption="What the most used latents of a sparse and of a dense autoencoder add to an image (orange brighter, "
    "purple darker, each on its own scale), and how their activations on test images are distributed. Sparse "
    "latents are silent on most images, so each can stand for one stroke or place. Silent: below 1 % of the "
    "latent's own maximum.",
)
def sparse_features(m: Material) -> Figure:
    """Return features of a sparse and of a dense autoencoder, and how often their latents are active."""
    figure, axes = new_figure(12.5, 4.6, 1, 3, gridspec_kw={"width_ratios": (1, 1, 1.05)})
    edges = np.linspace(0, 1, N_BINS + 1)
    for ax, role, colour in zip(axes[0], ("sparse", "dense"), PALETTE, strict=False):
        run = m.runs[role]
        z = np.abs(m.encode(run))
        peak = z.max(0)
        relative = z[:, peak > 0] / peak[peak > 0]
        silent = (relative < SILENT).mean()
        active = (relative >= SILENT).sum(1).mean()
        _features(ax, run, z, m)
        dead = f", {int((peak == 0).sum())} never active" if (peak == 0).any() else ""
        ax.set_title(f"{role}: {run.name}, {z.shape[1]} latents{dead}")
        label = f"{role}: {silent:.0%} silent, {active:.0f} active an image"
        share = np.full(relative.size, 1 / relative.size)
        axes[0][2].hist(
            relative.ravel(), edges, weights=share, histtype="step", color=colour, linewidth=1.5, label=label
        )
    ax = axes[0][2]
    ax.set_yscale("log")
    ax.set(
        xlabel="activation / the latent's maximum", ylabel="share of activations", title="Activations on test images"
    )
    ax.legend(loc="upper right")
    put_title(figure, m.title("Features of sparse and dense latents"), m.info["origin"])
    return figure


def _features(ax, run: ShownRun, z: np.ndarray, m: Material) -> None:
    """Draw what one unit of the most used latents adds to the decoder's answer to zero, each on its own scale."""
    most = np.argsort(-z.mean(0), kind="stable")[: N_FEATURES[0] * N_FEATURES[1]]
    one = torch.eye(z.shape[1], device=m.device)[torch.as_tensor(most.copy())]
    given = Batch(torch.zeros(len(one), m.test.n_vars, device=m.device))
    with torch.no_grad():
        feature = (run.model.decode(one, given) - run.model.decode(torch.zeros_like(one), given)).cpu().numpy()
    largest = np.abs(feature).max(1, keepdims=True)
    images = square(feature / np.where(largest > 0, largest, 1), "sparse_features")
    picture = tile(images, *N_FEATURES)
    gaps = np.ones(picture.shape, dtype=bool)
    side = images.shape[1]
    for index in range(len(images)):
        top, left = (GAP + place * (side + GAP) for place in divmod(index, N_FEATURES[1]))
        gaps[top : top + side, left : left + side] = False
    ax.imshow(np.ma.masked_array(picture, gaps), cmap="PuOr_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()


@gallery_figure(
    roles={"ae": "AE", "dae": "DAE", "cae": "CAE"},
    caption="How far the latents move when a test row moves a little: Frobenius norm of the encoder's Jacobian, one "
    "value per row. Left as it is, which a model lowers by merely shrinking its latents; right divided by the "
    "spread of the latents, which it cannot. A contractive autoencoder is penalised by this norm, a denoising "
    "one lowers it indirectly. One layer without activation has the same Jacobian at every row: a single bar.",
)
def jacobian(m: Material) -> Figure:
    """Return the distribution over test rows of ||J||_F of three encoders, as it is and in spreads of their latents."""
    rows = np.sort(np.random.default_rng(0).permutation(m.test.n_obs)[:MAX_ROWS])
    figure, axes = new_figure(9.4, 3.9, 1, 2)
    left, right = axes[0]
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for role in ("ae", "dae", "cae"):
        run = m.runs[role]
        norm = jacobian_norms(run.model, m.batch(run, rows)).cpu().numpy()
        spread = np.sqrt(m.encode(run).var(0, dtype=float).sum())
        found[f"{role.upper()}: {run.name}"] = norm, norm / spread
    for k, ax in enumerate((left, right)):
        # the same bins for all, else their shares would not compare
        edges = np.linspace(0, max(np.quantile(pair[k], 0.995) for pair in found.values()), N_BINS + 1)
        share = np.full(len(rows), 1 / len(rows))
        for i, (name, pair) in enumerate(found.items()):
            style = {"color": PALETTE[i], "histtype": "step", "linewidth": 1.5, "linestyle": ("-", "--", ":")[i]}
            label = f"{name}, median {np.median(pair[k]):.3g}"
            ax.hist(np.minimum(pair[k], edges[-1]), edges, weights=share, label=label, **style)
    unit = "unit of x" if m.info["unit"] == "intensity" else "sd of x"
    left.set(xlabel=f"||J||$_F$ [units of z per {unit}]", ylabel="share of rows", title="As it is")
    right.set(xlabel=f"||J||$_F$ / spread of z [1 per {unit}]", title="In spreads of the latents")
    for ax in (left, right):
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    put_title(figure, m.title(f"How far latents move. Encoder Jacobians at {len(rows):,} test rows"), m.info["origin"])
    return figure


def jacobian_norms(model: AbstractAutoencoder, batch: Batch) -> Tensor:
    """Return the Frobenius norm of dz/dx (B,) at the rows of a batch; each row's latents depend on that row alone."""
    x = batch.x.detach().clone().requires_grad_()
    with torch.enable_grad():
        z = model.encode(batch._replace(x=x))
        squared = torch.zeros_like(z[:, 0])
        for j in range(z.shape[1]):  # a row of every Jacobian at a time
            (row,) = torch.autograd.grad(z[:, j].sum(), x, retain_graph=True)
            squared = squared + row.square().sum(1)
    return squared.detach().sqrt()

"""Images that models give back or make."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import DataError
from aeflow.models.base import Batch, standard_normal
from aeflow.models.parts.corruption import corrupt
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material, ShownRun
from aeflow.plots.image_grids import first_of_each, labelled_grid
from aeflow.plots.style import new_figure, put_title
from aeflow.scoring.forward import in_chunks

N_DRAWS = (6, 8)  # rows and columns of decoded draws
N_STEPS = 9  # images from one end of an interpolation to the other
N_PAIRS = 3
N_CONDITIONAL = 12  # draws a class


@gallery_figure(
    observations="images",
    roles={"pca": "PCA", "linear": "LinearAE"},
    caption="Test images, and what PCA and a linear autoencoder of equal size give back. A linear autoencoder has "
    "PCA's subspace as its optimum, so the two rows should look alike and their errors should agree; PCA's is "
    "the least any linear map can reach on its training rows. MSE: mean squared error per pixel over the "
    "whole test set.",
)
def linear_reconstructions(m: Material) -> Figure:
    """Return originals and the reconstructions by PCA and by a linear autoencoder."""
    rows = {f"{m.runs[r].name}\n{m.runs[r].info['n_latent']} latents": m.runs[r] for r in ("pca", "linear")}
    return _reconstructions(m, rows, "PCA against a linear autoencoder")


@gallery_figure(
    observations="images",
    roles={"ae": "AE"},
    caption="Test images above what the plainest autoencoder gives back: one hidden layer of rectified units, one "
    "sigmoid output per pixel. Strokes survive, fine detail is blurred; compare the error with PCA's of equal "
    "size in linear_reconstructions. MSE: mean squared error per pixel over the whole test set.",
)
def shallow_reconstructions(m: Material) -> Figure:
    """Return originals and the reconstructions by an autoencoder of one hidden layer."""
    run = m.runs["ae"]
    return _reconstructions(m, {f"{run.name}\n{run.info['n_latent']} latents": run}, "One hidden layer")


@gallery_figure(
    observations="images",
    roles={"early": "AE", "late": "AE"},
    caption="Test images and what one autoencoder gives back early and late in one training (same seed, same "
    "batches). The first epoch already finds the shape; later ones sharpen it. MSE: mean squared error per "
    "pixel over the whole test set.",
)
def epochs(m: Material) -> Figure:
    """Return originals and reconstructions at two epochs of one training; DataError if it is not one training."""
    early, late = m.runs["early"], m.runs["late"]
    for key in ("architecture", "hyperparameters", "seed", "n_parameters"):
        if early.info[key] != late.info[key]:
            raise DataError(f"figure epochs: {early.name!r} and {late.name!r} differ in {key}: not one training")
    if early.info["best_epoch"] >= late.info["best_epoch"]:
        raise DataError(
            f"figure epochs: {early.name!r} was kept at epoch {early.info['best_epoch']}, "
            f"{late.name!r} at {late.info['best_epoch']}: the first must be earlier"
        )
    rows = {f"epoch {run.info['best_epoch']}": run for run in (early, late)}
    return _reconstructions(m, rows, f"{late.name} during training")


def _reconstructions(m: Material, runs: dict[str, ShownRun], text: str) -> Figure:
    shown = first_of_each(m.test.obs["digit"])
    parts, labels = [m.test.X[shown]], ["original"]
    for label, run in runs.items():
        x_hat = m.reconstruct(run)
        parts.append(x_hat[shown])
        labels.append(f"{label}\nMSE {np.square(x_hat - m.test.X).mean(dtype=float):.4f}")
    return _rows(m, parts, labels, text)


def _rows(m: Material, parts: list[np.ndarray], labels: list[str], text: str) -> Figure:
    n = len(parts[0])
    figure, axes = new_figure(0.75 * n + 1.5, 0.8 * len(parts) + 0.5)
    labelled_grid(axes[0][0], np.concatenate(parts), rows=labels, n_columns=n)
    put_title(figure, m.title(text), m.info["origin"])
    return figure


@gallery_figure(
    observations="images",
    roles={"dae": "DAE"},
    caption="Test images, the same images corrupted as in training, and what the denoising autoencoder makes of them. "
    "The noise should be gone, at the price of fine detail; the errors, against the clean images of the whole "
    "test set, say how much of it. Corrupted values are drawn within 0 to 1.",
)
def denoising(m: Material) -> Figure:
    """Return clean, corrupted and denoised test images, with the errors of all test images against the clean ones."""
    run, clean = m.runs["dae"], m.batch(m.runs["dae"])
    kind, noise = run.model.corruption, run.model.noise
    corrupted = corrupt(clean.x, kind, noise, m.generator())
    denoised = in_chunks(lambda batch: run.model.decode(run.model.encode(batch), batch), clean._replace(x=corrupted))
    shown = first_of_each(m.test.obs["digit"])
    mse = lambda x: f"MSE {(x - clean.x).square().double().mean().item():.4f}"  # noqa: E731
    parts = [x.cpu().numpy()[shown] for x in (clean.x, corrupted, denoised)]
    labels = ["clean", f"corrupted\n{mse(corrupted)}", f"denoised\n{mse(denoised)}"]
    return _rows(m, parts, labels, f"{run.name} against {kind.replace('_', ' ')} noise of {noise:g}")


@gallery_figure(
    observations="images",
    roles={"ae": "AE", "vae": "VAE"},
    caption="Draws from N(0, 1) decoded by a plain and by a variational autoencoder; none was picked. Nothing places "
    "the plain one's latents there (see their spread and correlations over its panel), so its decoder meets "
    "points it was never trained on; the variational one is trained to be a decoder of just these draws.",
)
def prior_draws(m: Material) -> Figure:
    """Return N(0, 1) draws decoded by an autoencoder and by a variational one."""
    figure, axes = new_figure(10, 4.6, 1, 2)
    for ax, role in zip(axes[0], ("ae", "vae"), strict=True):
        run, (n_rows, n_columns) = m.runs[role], N_DRAWS
        z = standard_normal((n_rows * n_columns, run.info["n_latent"]), m.batch(run, np.arange(1)).x, m.generator())
        with torch.no_grad():
            x = run.model.decode(z, Batch(torch.zeros(len(z), m.test.n_vars, device=m.device))).cpu().numpy()
        labelled_grid(ax, x, rows=[""] * n_rows, n_columns=n_columns)
        ax.set_title(f"{run.name}, {run.info['n_latent']} latents\nof test images: {_spread(m.encode(run))}")
    put_title(figure, m.title("Draws from N(0, 1), decoded"), m.info["origin"])
    return figure


def _spread(z: np.ndarray) -> str:
    """Return how far latents (n_obs, n_latent) are from independent ones of unit variance."""
    sd = z.std(0)
    r = np.corrcoef(z[:, sd > 0].T) - np.eye(int((sd > 0).sum()))
    largest = np.abs(r).max() if r.ndim and r.size else 0.0
    return f"sd {sd.min():.2g} to {sd.max():.2g}, correlations up to {largest:.2f}"


@gallery_figure(
    observations="images",
    roles={"ae": "AE", "vae": "VAE"},
    caption="From one test image to another in equal steps along the straight line between their latents, beside the "
    "cross-fade of pixels, which needs no model. A good latent space passes through plausible images instead "
    "of showing two at once. Both ends are reconstructions.",
)
def interpolation(m: Material) -> Figure:
    """Return images along the line between the latents of test images, beside the cross-fade of their pixels."""
    ends = first_of_each(m.test.obs["digit"])
    pairs = ends[: 2 * min(N_PAIRS, len(ends) // 2)].reshape(-1, 2)
    if not len(pairs):
        raise DataError(f"figure interpolation: needs test images of two digits, found {len(ends)}")
    share = torch.linspace(0, 1, N_STEPS, device=m.device)[:, None]
    figure, axes = new_figure(0.72 * N_STEPS + 1.8, 2.2 * len(pairs) + 0.6, len(pairs), 1)
    for ax, pair in zip(axes[:, 0], pairs, strict=True):
        parts, labels = [], []
        for role in ("ae", "vae"):
            run = m.runs[role]
            batch = m.batch(run, pair)
            with torch.no_grad():
                z = run.model.encode(batch)
                parts.append(run.model.decode(z[:1].lerp(z[1:], share), batch).cpu().numpy())
            labels.append(run.name)
        a, b = m.test.X[pair]
        parts.append(a + share.cpu().numpy() * (b - a))
        labelled_grid(ax, np.concatenate(parts), rows=[*labels, "pixels"], n_columns=N_STEPS)
    put_title(figure, m.title("From one test image to another"), m.info["origin"])
    return figure


@gallery_figure(
    observations="images",
    roles={"cvae": "CVAE"},
    caption="Images generated for each class by a conditional variational autoencoder: a row per class, the same "
    "latents in each column. The class should change down a column while slant and stroke stay, because the "
    "latents need not hold what the class says.",
)
def conditional(m: Material) -> Figure:
    """Return decoded N(0, 1) draws, a row per class, the same draws in each; DataError if several columns are given."""
    run = m.runs["cvae"]
    codes = run.info["covariates"]
    if len(codes) != 1 or "levels" not in next(iter(codes.values())):
        raise DataError(f"figure conditional: {run.name!r} must be given one column of classes, found {list(codes)}")
    column, levels = next((column, code["levels"]) for column, code in codes.items())
    given = torch.from_numpy(CovariateCodes.from_json(codes).encode(pd.DataFrame({column: levels}))).to(m.device)
    z = standard_normal((N_CONDITIONAL, run.info["n_latent"]), given, m.generator())
    z = z.repeat(len(levels), 1)
    given = given.repeat_interleave(N_CONDITIONAL, 0)
    with torch.no_grad():
        x = run.model.decode(z, Batch(torch.zeros(len(z), m.test.n_vars, device=m.device), None, given))
    figure, axes = new_figure(0.5 * N_CONDITIONAL + 1.2, 0.5 * len(levels) + 0.8)
    labelled_grid(axes[0][0], x.cpu().numpy(), rows=[str(level) for level in levels], n_columns=N_CONDITIONAL)
    axes[0][0].set_ylabel(column)
    put_title(figure, m.title(f"Draws by {run.name} for each {column}"), m.info["origin"])
    return figure

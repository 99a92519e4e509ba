"""Draws from a trained model, one set per sampler.

prior      the model's own p(x), where it has one: z ~ p(z) for latent models, a chain for walkback autoencoders.
normal     decoding z ~ N(0, I) with a model whose training does not pull latents towards it, as a plain autoencoder.
gmm        decoding draws from a Gaussian mixture fitted to training latents (Ghosh et al. 2020, arXiv:1903.12436);
           conditional models: to latents less their class mean, which is added for the class of each draw.
posterior  decoding z ~ q(z | x) of random training rows: variations of what was seen, an upper bound on fidelity.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aeflow.errors import DataError
from aeflow.models.base import AbstractAutoencoder, AbstractGenerative, AbstractPosterior, Batch, standard_normal
from aeflow.scoring.forward import encode_all, in_chunks
from aeflow.scoring.space import fit_mixture, kept

MAX_MIXTURE_ROWS = 10_000  # training latents the mixture is fitted to: bounds its time


def draw_all(
    model: AbstractAutoencoder, train: Batch, given: Batch, *, noise: bool, n_components: int, seed: int
) -> dict[str, Tensor]:
    """Return {sampler: x (n_draws, D)} of every sampler the model has.

    Parameters
    ----------
    train : all training rows of the view; the mixture is fitted to their latents.
    given : n_draws training rows: what conditional models are given, and where posterior draws start.
    noise : draw from p(x | z) where the model's `generate` can; all other samplers give means E[x | z].
    n_components : of the Gaussian mixture; 0 leaves gmm, normal and posterior out.
    """
    generator = torch.Generator(given.x.device).manual_seed(seed)
    n_draws, draws = len(given.x), {}
    with torch.no_grad():
        if isinstance(model, AbstractGenerative):
            draws["prior"] = model.generate(n_draws, generator, noise=noise, covariates=given.covariates)
        if not n_components:
            return draws
        if not isinstance(model, AbstractGenerative):
            z = standard_normal((n_draws, model.n_latent), given.x, generator)
            draws["normal"] = decode_all(model, z, given)
        z = conditional_mixture_draws(
            encode_all(model, train), train.covariates, given.covariates, n_draws, n_components, seed
        )
        draws["gmm"] = decode_all(model, torch.from_numpy(z).to(given.x), given)
        if isinstance(model, AbstractPosterior):
            mu, logvar = model.latent_distribution(given)
            z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, generator)
            draws["posterior"] = decode_all(model, z, given)
    return draws


def decode_all(model: AbstractAutoencoder, z: Tensor, given: Batch) -> Tensor:
    """Return x_hat (n, D) of latents z (n, L), each decoded as if it belonged to the row of `given` beside it."""
    rows = torch.arange(len(z), device=z.device, dtype=given.x.dtype)[:, None]

    def decode(batch: Batch) -> Tensor:
        at = batch.x[:, 0].long()
        c = None if given.covariates is None else given.covariates[at]
        return model.decode(z[at], Batch(given.x[at], None, c))

    return in_chunks(decode, Batch(rows))


def conditional_mixture_draws(
    z_train: np.ndarray, c_train: Tensor | None, c_given: Tensor | None, n_draws: int, n_components: int, seed: int
) -> np.ndarray:
    """Return (n_draws, L) float32 from a mixture fitted to z_train (n_obs, L), moved to the class mean of each draw.

    Classes are the distinct rows of c_train (n_obs, C); nothing makes the latents of a conditional model the same in
    all of them. Without covariates the mixture is that of all rows.
    """
    if c_train is None:
        return mixture_draws(z_train, n_draws, n_components, seed)
    classes, of_train = np.unique(c_train.cpu().numpy(), axis=0, return_inverse=True)
    means = np.stack([z_train[of_train.ravel() == i].mean(0) for i in range(len(classes))])
    position = {row.tobytes(): i for i, row in enumerate(classes)}
    of_draws = np.array([position[row.tobytes()] for row in c_given.cpu().numpy()])
    around = mixture_draws(z_train - means[of_train.ravel()], n_draws, n_components, seed)
    return (around + means[of_draws]).astype(np.float32)


def mixture_draws(z_train: np.ndarray, n_draws: int, n_components: int, seed: int) -> np.ndarray:
    """Return (n_draws, L) float32 from a mixture of Gaussians with full covariances fitted to z_train (n_obs, L).

    Fewer components are fitted where there are not ten training rows for each.
    """
    if len(z_train) < 2:
        raise DataError(f"gmm: a mixture needs 2 training rows at least, found {len(z_train)}")
    rng = np.random.default_rng(seed)
    z = z_train[kept(len(z_train), MAX_MIXTURE_ROWS, rng)].astype(np.float64)
    n_components = max(1, min(n_components, len(z) // 10))
    floor = 1e-4 * max(float(z.var(0).mean()), 1e-8)  # latents a model leaves unused have no variance to invert
    mixture = fit_mixture(z, n_components, covariance="full", floor=floor, max_rounds=200, seed=seed)
    return mixture.sample(n_draws)[0][rng.permutation(n_draws)].astype(np.float32)

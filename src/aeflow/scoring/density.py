"""Density: how improbable an observation is, in nats.

density/neg_log_likelihood    -log p(x): exact, or importance-weighted with `n_importance` draws
density/elbo                  -ELBO(x), the mean of `n_importance` passes, of `MAX_PASSES` at most
deviation/neg_log_likelihood  -E_{q(z|x)} log p(x|z), the ELBO's reconstruction part over the same passes
density/gmm                   -log p(z) under a Gaussian mixture fitted to standardised training latents

The reconstruction part is the reconstruction probability of An & Cho (2015), Variational autoencoder based anomaly
detection using reconstruction probability, SNU Data Mining Center; the mixture on latents follows Ghosh et al. (2020),
From variational to deterministic autoencoders, ICLR, section 4, which takes 10 components; here the data decide.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from aeflow.errors import DataError
from aeflow.models.base import AbstractAutoencoder, AbstractClosedForm, AbstractDensity, Batch
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import CHUNK, in_chunks
from aeflow.scoring.space import Standardised, fit_mixture, kept

MAX_PASSES = 64  # enough for a mean; an importance-weighted likelihood needs more
N_COMPONENTS = (1, 3, 10, 30, 100)  # of the mixture; held-out training rows decide
HELD_OUT = 0.1  # share of the training rows
GMM = "density/gmm"
MAX_ROUNDS = 100  # of expectation-maximisation
MAX_FULL = 64  # latents; with more, component covariances are diagonal
ROWS_PER_LATENT = 5  # training rows per latent that a full covariance needs; with fewer it is diagonal
RIDGE = 1e-3  # added to the variances of standardised latents, so that few rows give no singular component


class Density(ScoreFamily):
    """How improbable an observation is under the model, and its latents under a mixture."""

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        reference = self.reference
        of_model = model_density(reference.model, rows, reference.n_importance, reference.seed)
        return of_model | {GMM: reference.fitted(LatentMixture).neg_log_density(z)}


def model_density(model: AbstractAutoencoder, rows: Batch, n_importance: int, seed: int) -> dict[str, np.ndarray]:
    """Return the scores of the model's own density, each (n_obs,) float64; none if it has no density."""
    if not isinstance(model, AbstractDensity):
        return {}
    given = rows._replace(generator=torch.Generator(rows.x.device).manual_seed(seed))
    log_px = in_chunks(lambda batch: model.log_likelihood(batch, n_importance), given)
    scores = {"density/neg_log_likelihood": -log_px.double().cpu().numpy()}
    if isinstance(model, AbstractClosedForm):  # its likelihood is exact: no bound to report
        return scores
    given = rows._replace(generator=torch.Generator(rows.x.device).manual_seed(seed))

    n_passes = min(n_importance, MAX_PASSES)

    def mean_losses(batch: Batch) -> torch.Tensor:
        passes = (torch.stack(model.losses(batch), 1).double() for _ in range(n_passes))
        return sum(passes) / n_passes  # (B, 2)

    reconstruction, penalty = in_chunks(mean_losses, given).cpu().numpy().T
    scores["density/elbo"] = reconstruction + penalty
    if penalty.any():  # a bound in one piece (iwae) has no reconstruction part
        scores["deviation/neg_log_likelihood"] = np.ascontiguousarray(reconstruction)
    return scores


class LatentMixture:
    """Gaussian mixture on training latents (n_reference, n_latent), standardised.

    The number of components, from `N_COMPONENTS`, is the one that makes a held-out tenth of the rows most probable.
    It sees `reference.mixture_rows` training rows at most; more rows allow more components.
    """

    def __init__(self, reference: Reference):
        z_reference, seed = reference.z, reference.seed
        if len(z_reference) < 2:
            raise DataError(f"{GMM}: a mixture needs 2 training rows at least, found {len(z_reference)}")
        z = z_reference[kept(len(z_reference), reference.mixture_rows, seed)]
        self.space = Standardised(z)
        z = np.random.default_rng(seed).permutation(self.space(z))
        n_held_out = int(HELD_OUT * len(z))
        held_out, z = z[:n_held_out], z[n_held_out:]
        n, width = z.shape
        kind = "full" if width <= min(MAX_FULL, n / ROWS_PER_LATENT) else "diag"
        best = -np.inf
        for k in N_COMPONENTS:
            # a component of a few rows describes their neighbourhood, not a density
            if k > 1 and n < k * ROWS_PER_LATENT * width:
                break
            fitted = fit_mixture(z, k, covariance=kind, floor=RIDGE, max_rounds=MAX_ROUNDS, seed=seed)
            score = fitted.score(held_out) if n_held_out else 0.0  # mean log-density
            if score <= best:
                break
            best, self.mixture = score, fitted

    def neg_log_density(self, z: np.ndarray) -> np.ndarray:
        """Return -log p(z) in nats (n_obs,) of standardised latents."""
        z = self.space(z)
        parts = [self.mixture.score_samples(z[i : i + CHUNK]) for i in range(0, len(z), CHUNK)]
        return -np.concatenate(parts)

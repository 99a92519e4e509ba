"""Anomaly scores of a trained model; higher means more anomalous.

Each score is a function of (model, reference, x): `reference` are the training rows of the run's view. Names are
family/score: *deviation* from the model's reconstruction, *density* under the model, *proximity* to training latents.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aeflow.models.base import AbstractAutoencoder, AbstractDensity, Batch

CHUNK = 2048  # rows per forward pass
MAX_REFERENCE = 10_000  # training latents kept for neighbour search: bounds its time on large views
K_NEIGHBOURS = 5


def in_chunks(function, rows: Batch) -> Tensor:
    """Return function(batch) over consecutive rows, concatenated; no row is left out."""
    x, generator, c = rows
    with torch.no_grad():
        parts = [
            function(Batch(x[i : i + CHUNK], generator, None if c is None else c[i : i + CHUNK]))
            for i in range(0, len(x), CHUNK)
        ]
    return torch.cat(parts)


def encode_all(model: AbstractAutoencoder, rows: Batch) -> np.ndarray:
    """Return latents (n_obs, n_latent) float32."""
    return in_chunks(model.encode, rows).cpu().numpy()


def reconstruct_all(model: AbstractAutoencoder, rows: Batch) -> Tensor:
    """Return x_hat (n_obs, n_vars), in the units of x."""
    return in_chunks(lambda batch: model.decode(model.encode(batch), batch), rows)


def anomaly_scores(
    model: AbstractAutoencoder, reference: Batch, rows: Batch, *, n_importance: int, seed: int
) -> dict[str, np.ndarray]:
    """Return every score the model allows for `rows` (n_obs), each (n_obs,) float64.

    The last one, baseline/squared_distance_to_mean, knows no model: it is the floor of every other score.
    """
    x = rows.x
    z_reference, z = encode_all(model, reference), encode_all(model, rows)
    scores = {
        "deviation/squared_error": (reconstruct_all(model, rows) - x).double().square().sum(1).cpu().numpy(),
        "proximity/knn": knn_distance(z_reference, z, seed),
        "proximity/mahalanobis": mahalanobis_distance(z_reference, z),
        "baseline/squared_distance_to_mean": (x - reference.x.mean(0)).double().square().sum(1).cpu().numpy(),
    }
    if isinstance(model, AbstractDensity):
        generator = torch.Generator(x.device).manual_seed(seed)
        given = rows._replace(generator=generator)
        log_px = in_chunks(lambda batch: model.log_likelihood(batch, n_importance), given)
        scores["density/neg_log_likelihood"] = -log_px.double().cpu().numpy()
    bad = [name for name, values in scores.items() if not np.isfinite(values).all()]
    if bad:
        raise FloatingPointError(f"score {bad[0]} is not finite for {int((~np.isfinite(scores[bad[0]])).sum())} rows")
    return scores


def knn_distance(z_reference: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean Euclidean distance to the `K_NEIGHBOURS` nearest reference latents, each latent standardised."""
    from sklearn.neighbors import NearestNeighbors

    if len(z_reference) > MAX_REFERENCE:
        rows = np.random.default_rng(seed).choice(len(z_reference), MAX_REFERENCE, replace=False)
        z_reference = z_reference[np.sort(rows)]
    centre, scale = z_reference.mean(0), z_reference.std(0)
    scale = np.where(scale > 0, scale, 1)
    search = NearestNeighbors(n_neighbors=min(K_NEIGHBOURS, len(z_reference))).fit((z_reference - centre) / scale)
    return search.kneighbors((z - centre) / scale)[0].mean(1).astype(np.float64)


def mahalanobis_distance(z_reference: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distance to the reference latents, covariance shrunk after Ledoit & Wolf (2004)."""
    from sklearn.covariance import LedoitWolf

    if len(z_reference) < 2:  # no covariance: Euclidean distance
        return np.linalg.norm(z - z_reference.mean(0), axis=1).astype(np.float64)
    fitted = LedoitWolf().fit(z_reference.astype(np.float64))
    return np.sqrt(fitted.mahalanobis(z.astype(np.float64)))

"""Anomaly scores of a trained model; higher means more anomalous.

Names are family/score: *deviation* from the model's reconstruction, *density* under the model, *proximity* to training
latents, *combined* of several, *baseline* without a model. Each family is a file of `aeflow.scoring`.
"""

from __future__ import annotations

import numpy as np

from aeflow.models.base import AbstractAutoencoder, AbstractClosedForm, Batch
from aeflow.scoring.baselines import distance_to_mean, raw_input_scores
from aeflow.scoring.combined import combined_scores
from aeflow.scoring.density import MAX_ROWS, LatentMixture, model_density
from aeflow.scoring.deviation import Deviation
from aeflow.scoring.forward import CHUNK, MAX_REFERENCE, encode_all, in_chunks, reconstruct_all, some_rows
from aeflow.scoring.proximity import centroid_distance, knn_distance, mahalanobis_distance

__all__ = [
    "CHUNK",
    "anomaly_scores",
    "encode_all",
    "in_chunks",
    "knn_distance",
    "mahalanobis_distance",
    "reconstruct_all",
]


def anomaly_scores(
    model: AbstractAutoencoder,
    reference: Batch,
    rows: Batch,
    *,
    n_importance: int,
    seed: int,
    calibration: Batch | None = None,
    mixture_rows: int = MAX_ROWS,
) -> dict[str, np.ndarray]:
    """Return every score the model allows for `rows` (n_obs), each (n_obs,) float64.

    Parameters
    ----------
    reference : the training rows of the run's view; all that is fitted sees these only, but for
    calibration : the validation rows of the view, by which combined scores are standardised; None takes `reference`.
    n_importance : draws of likelihoods that need them.
    mixture_rows : training rows that the mixture on latents sees.

    Scores of the raw input that cost something are computed for closed forms only: they are the same for every model
    of a view, and PCA is one of them in every view. The baseline that costs nothing is the floor of every table.

    Raises
    ------
    FloatingPointError
        A score is not finite; names it.
    """
    z_reference, z = encode_all(model, reference), encode_all(model, rows)
    deviation, mixture = Deviation(model, reference, seed), LatentMixture(z_reference, seed, mixture_rows)
    scores = deviation.scores(rows) | model_density(model, rows, n_importance, seed)
    scores |= {
        "density/gmm": mixture.neg_log_density(z),
        "proximity/knn": knn_distance(z_reference, z, seed),
        "proximity/mahalanobis": mahalanobis_distance(z_reference, z),
        "proximity/centroid": centroid_distance(z_reference, z, seed),
    }
    expected_of = some_rows(reference, MAX_REFERENCE, seed) if calibration is None else calibration
    expected = deviation.scores(expected_of)
    expected["density/gmm"] = mixture.neg_log_density(encode_all(model, expected_of))
    scores |= combined_scores(scores, expected)
    scores["baseline/squared_distance_to_mean"] = distance_to_mean(reference, rows)
    if isinstance(model, AbstractClosedForm):
        scores |= raw_input_scores(reference, rows, seed)
    bad = [name for name, values in scores.items() if not np.isfinite(values).all()]
    if bad:
        raise FloatingPointError(f"score {bad[0]} is not finite for {int((~np.isfinite(scores[bad[0]])).sum())} rows")
    return scores

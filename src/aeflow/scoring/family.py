"""ScoreFamily: anomaly scores of one kind, fitted once on training rows, then given for any rows.

A family is one file of this folder and one entry of the configuration (`scores.families`) that names it as file.Class.
Scores are called family/score; higher means more anomalous.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from aeflow.models.base import AbstractAutoencoder, Batch
from aeflow.scoring.forward import check_finite, encode_all

Fit = TypeVar("Fit")


class Reference:
    """What scores may be fitted on: a model and training rows of its view.

    Parameters
    ----------
    rows : the training rows; all that is fitted sees these only.
    calibration : validation rows of the view, by which combined scores are standardised; None where there are none.
    n_importance : draws of likelihoods that need them.
    mixture_rows : training rows that a mixture on latents sees at most.
    """

    def __init__(
        self,
        model: AbstractAutoencoder,
        rows: Batch,
        *,
        seed: int,
        n_importance: int,
        mixture_rows: int,
        calibration: Batch | None = None,
    ):
        self.model = model
        self.rows = rows
        self.seed = seed
        self.n_importance = n_importance
        self.mixture_rows = mixture_rows
        self.calibration = calibration
        self._fits: dict[type, Any] = {}

    @cached_property
    def z(self) -> np.ndarray:
        """Latents (n_reference, n_latent) of the training rows; FloatingPointError if one is not finite."""
        z = encode_all(self.model, self.rows)
        check_finite("training latents", z)
        return z

    def fitted(self, kind: type[Fit]) -> Fit:
        """Return `kind(self)`, made at the first call: families share what they fit."""
        if kind not in self._fits:
            self._fits[kind] = kind(self)
        return self._fits[kind]


class ScoreFamily(abc.ABC):
    """Anomaly scores that are fitted together."""

    def __init__(self, reference: Reference):
        self.reference = reference

    @abc.abstractmethod
    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return {family/score: (n_obs,) float64}; higher means more anomalous; {} where the model allows none.

        rows : n_obs observations; z (n_obs, n_latent) : their latents; found : the scores of the families before.
        """

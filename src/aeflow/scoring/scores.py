"""Every anomaly score of a trained model, by the families that the configuration names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aeflow.models.base import Batch
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import check_finite, encode_all


@dataclass(frozen=True)
class ScoreSettings:
    """Which scores, and what they cost (key `scores` of the configuration).

    families : file.Class below aeflow.scoring, in the order of their columns.
    n_importance : posterior draws of the importance-weighted likelihood.
    mixture_rows : training rows that the Gaussian mixture on latents sees at most.
    """

    families: Sequence[str] = (
        "deviation.Deviation",
        "density.Density",
        "proximity.Proximity",
        "combined.Combined",
        "baselines.Baselines",
    )
    n_importance: int = 16
    mixture_rows: int = 8000


def family_class(name: str) -> type[ScoreFamily]:
    """Return the class named file.Class below aeflow.scoring."""
    module, cls = name.rsplit(".", 1)
    return getattr(importlib.import_module(f"aeflow.scoring.{module}"), cls)


class Scorer:
    """Score families of one model, fitted once on its training rows, then asked for any rows."""

    def __init__(self, families: Sequence[str], reference: Reference):
        self.reference = reference
        self.families = [reference.fitted(family_class(name)) for name in families]

    def scores(self, rows: Batch, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return {family/score: (n_obs,) float64} of every family, in their order.

        names : (n_obs,) of the rows, for messages.

        Raises
        ------
        FloatingPointError
            A score, or a latent that scores need, is not finite; names it and the first such row.
        """
        z = encode_all(self.reference.model, rows)
        found: dict[str, np.ndarray] = {}
        for family in self.families:
            try:
                new = family.scores(rows, z, found)
            except ValueError:  # scikit-learn takes finite latents only, and does not say whose they are
                check_finite("latents", z, names)
                raise
            for name, values in new.items():
                check_finite(f"score {name}", values, names)
            found |= new
        return found

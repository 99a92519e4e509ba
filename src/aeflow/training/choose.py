"""One hyperparameter chosen on validation rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch

from aeflow.models.base import AbstractAutoencoder, Batch
from aeflow.training.checkpoint import Checkpoint
from aeflow.training.fit import TrainingSettings, evaluate, fit

log = logging.getLogger(__name__)


class Fitted(NamedTuple):
    """A trained model, what it was made with, and how the choice was made ({} if there was none)."""

    model: AbstractAutoencoder
    hyperparameters: dict[str, Any]
    history: pd.DataFrame
    best_epoch: int
    choice: dict[str, Any]


def fit_chosen(
    make: Callable[[dict[str, Any]], AbstractAutoencoder],
    hyperparameters: Mapping[str, Any],
    choose: Mapping[str, Sequence],
    train: Batch,
    val: Batch,
    settings: TrainingSettings,
    *,
    seed: int,
    checkpoint: Callable[[str], Checkpoint],
) -> Fitted:
    """Train a model for each value of the one hyperparameter in `choose`, and return the best on validation rows.

    Candidates draw their initial weights from the same seed. Each is judged by its mean validation reconstruction under
    every candidate's value in turn; otherwise the denoiser with the least noise would win. A value that shapes the
    network is judged under itself only. The lowest mean wins. Without `choose`, one model is trained. As with `fit`, a
    resumed training gives the same bytes.
    """
    ((key, values),) = choose.items() if choose else ((None, (None,)),)
    fitted = []
    for value in values:
        chosen = dict(hyperparameters) | ({} if key is None else {key: value})
        torch.manual_seed(seed)  # initial weights
        model = make(chosen)
        state = checkpoint("" if key is None else f"{key}{value}")
        history, best = fit(
            model, train.x, val.x, settings, seed=seed, c_train=train.covariates, c_val=val.covariates, checkpoint=state
        )
        fitted.append(Fitted(model, chosen, history, best, {}))
    if key is None:
        return fitted[0]
    errors = [_errors(candidate.model, key, values, val, seed) for candidate in fitted]
    means = [sum(row) / len(row) for row in errors]
    best = min(range(len(means)), key=means.__getitem__)
    for value, mean in zip(values, means, strict=True):
        log.info("%s %s: mean validation reconstruction %.5g%s", key, value, mean, "  chosen" * (value == values[best]))
    choice = {"key": key, "values": list(values), "val_reconstruction": means, "chosen": values[best]}
    return fitted[best]._replace(choice=choice)


def _errors(model: AbstractAutoencoder, key: str, values: Sequence, val: Batch, seed: int) -> list[float]:
    """Return the validation reconstruction of `model` under each value, or under its own alone.

    A level (decimals that the model keeps, such as noise) can be changed on a trained model; what shapes its network
    (widths, names) cannot.
    """
    if key not in vars(model) or not any(isinstance(value, float) for value in values):
        return [evaluate(model, val.x, seed, beta=1.0, covariates=val.covariates)["val_reconstruction"]]
    own, errors = getattr(model, key), []
    for value in values:
        setattr(model, key, value)
        parts = evaluate(model, val.x, seed, beta=1.0, covariates=val.covariates)
        errors.append(parts["val_reconstruction"])
    setattr(model, key, own)
    return errors

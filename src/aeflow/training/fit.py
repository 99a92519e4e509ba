"""The only training loop."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import get_args

import pandas as pd
import torch
from torch import Tensor

from aeflow.errors import ConfigError
from aeflow.models.base import AbstractAutoencoder, AbstractClosedForm, AbstractPrepared, Batch
from aeflow.training.checkpoint import Checkpoint
from aeflow.training.pretrain import pretrain
from aeflow.training.settings import Schedule, TrainingSettings

log = logging.getLogger(__name__)
HISTORY = (
    "epoch",
    "train_reconstruction",
    "train_penalty",
    "train_loss",
    "val_reconstruction",
    "val_penalty",
    "val_loss",
    "penalty_weight",
    "learning_rate",
)
EVAL_ROWS = 4096  # rows per forward pass without gradients: bounds memory, does not change results


@dataclass
class _Progress:
    """Training state, other than tensors, that must survive a kill."""

    epoch: int
    best_epoch: int
    best_loss: float
    history: list[dict[str, float]]


def fit(
    model: AbstractAutoencoder,
    x_train: Tensor,
    x_val: Tensor,
    settings: TrainingSettings,
    *,
    seed: int,
    c_train: Tensor | None = None,
    c_val: Tensor | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[pd.DataFrame, int]:
    """Fit `model` in place to x_train (n_obs, D), keeping the weights of the best epoch on x_val.

    c_train, c_val (n_obs, C) are the covariates of conditional models. Data and model must already lie on the same
    device. Given the same model, data, settings, seed and thread count the result is the same to the byte, whether or
    not the run was killed and resumed from `checkpoint` in between.

    Returns
    -------
    history : one row per epoch, losses as means over rows, in nats or squared units: the two parts and their total,
        reconstruction + penalty_weight * penalty in training, with weight beta on validation rows.
    best_epoch : 1-based; 0 for a closed form.

    Raises
    ------
    FloatingPointError
        A loss is not finite; names epoch and batch.
    DataError
        The data lie outside the model's support.
    """
    model.check_support(x_train)
    model.check_support(x_val)
    if isinstance(model, AbstractPrepared):
        model.prepare(x_train, c_train)
    if isinstance(model, AbstractClosedForm):
        model.solve(x_train)
        row = _closed_form_row(model, (x_train, c_train), (x_val, c_val), seed, settings)
        return pd.DataFrame([row], columns=HISTORY), 0
    run = _Run(model, x_train, c_train, settings, seed)
    progress = run.resume(checkpoint)
    if progress is None:
        if settings.pretrain_epochs:
            run.pretrain()
        progress = _Progress(0, 0, float("inf"), [])
    saved_at = time.monotonic()
    while progress.epoch < settings.max_epochs and not _stalled(progress, settings):
        started = time.monotonic()
        progress.epoch += 1
        row = run.train_epoch(progress.epoch)
        try:
            row |= evaluate(model, x_val, seed, beta=settings.beta, covariates=c_val)
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {progress.epoch}: {error}") from None
        progress.history.append(row)
        # while the penalty's weight still rises, the validation loss is not the one being minimised
        if progress.epoch <= settings.warmup_epochs or row["val_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = row["val_loss"], progress.epoch
            run.keep_weights()
        log.info(
            "epoch %d/%d  train %.4f + %.4f  val %.4f  best %d  %.1f s",
            progress.epoch, settings.max_epochs, row["train_reconstruction"], row["train_penalty"], row["val_loss"],
            progress.best_epoch, time.monotonic() - started,
        )  # fmt: skip
        if checkpoint and time.monotonic() - saved_at >= settings.checkpoint_seconds:
            run.save(checkpoint, progress)
            saved_at = time.monotonic()
    model.load_state_dict(run.best)
    return pd.DataFrame(progress.history, columns=HISTORY), progress.best_epoch


def evaluate(
    model: AbstractAutoencoder, x: Tensor, seed: int, *, beta: float, covariates: Tensor | None = None
) -> dict[str, float]:
    """Return mean validation losses over rows x; the same random draws at every call, so that epochs compare."""
    generator = torch.Generator(x.device).manual_seed(seed)
    model.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(x), EVAL_ROWS):
            rows = slice(start, start + EVAL_ROWS)
            losses = model.losses(Batch(x[rows], generator, None if covariates is None else covariates[rows]))
            parts.append(torch.stack(losses).double().sum(1))
    reconstruction, penalty = (torch.stack(parts).sum(0) / len(x)).tolist()
    if not math.isfinite(reconstruction + penalty):
        raise FloatingPointError(f"validation loss is not finite: reconstruction {reconstruction}, penalty {penalty}")
    return {
        "val_reconstruction": reconstruction,
        "val_penalty": penalty,
        "val_loss": reconstruction + beta * penalty,
    }


def _stalled(progress: _Progress, settings: TrainingSettings) -> bool:
    since = progress.epoch - max(progress.best_epoch, settings.warmup_epochs)
    return progress.epoch > settings.warmup_epochs and since >= settings.patience


def _closed_form_row(model, train, val, seed, settings) -> dict[str, float]:
    (x, c), (x_val, c_val) = train, val
    train = evaluate(model, x, seed, beta=settings.beta, covariates=c)
    row = {"epoch": 0, "train_reconstruction": train["val_reconstruction"], "train_penalty": train["val_penalty"]}
    row |= {"train_loss": train["val_loss"], "penalty_weight": settings.beta, "learning_rate": 0.0}
    return row | evaluate(model, x_val, seed, beta=settings.beta, covariates=c_val)


def _dropout_generator(device: torch.device) -> torch.Generator:
    """Return the generator that nn.Dropout draws from: torch's global one of the device; it takes no other."""
    return torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[device.index]


class _Run:
    """Model, optimiser and generator of one training, and the weights of its best epoch."""

    def __init__(
        self, model: AbstractAutoencoder, x: Tensor, covariates: Tensor | None, settings: TrainingSettings, seed: int
    ):
        if settings.schedule not in get_args(Schedule):
            known = ", ".join(get_args(Schedule))
            raise ConfigError(f"training.schedule: {settings.schedule!r} does not exist; known: {known}")
        self.model, self.x, self.c, self.settings, self.seed = model, x, covariates, settings, seed
        self.optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            eps=settings.adam_eps,
            fused=True,
        )
        self.generator = torch.Generator(x.device).manual_seed(seed)
        self.keep_weights()

    def pretrain(self) -> None:
        s = self.settings
        shared = {"batch_size": s.batch_size, "learning_rate": s.learning_rate, "seed": self.seed}
        pretrain(self.model, self.x, self.c, epochs=s.pretrain_epochs, **shared)
        self.keep_weights()

    def learning_rate(self, epoch: int, step: float) -> float:
        """Return the rate at `step`, the share of the epoch that is done."""
        settings = self.settings
        if settings.schedule == "constant":
            return settings.learning_rate
        if settings.schedule == "stages":  # stage i ends after (3^(i + 1) - 1) / 2 epochs
            stage = next(i for i in range(64) if epoch <= (3 ** (i + 1) - 1) // 2)
            return settings.learning_rate * 10 ** (-stage / 7)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1 + step) / settings.max_epochs))

    def keep_weights(self) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def train_epoch(self, epoch: int) -> dict[str, float]:
        settings, model = self.settings, self.model
        weight = settings.beta * min(1.0, epoch / (settings.warmup_epochs + 1))
        model.train()
        order = torch.randperm(len(self.x), generator=self.generator, device=self.x.device)
        batches = order.split(settings.batch_size)
        sums = []  # stays on the device: one synchronisation an epoch
        for i, rows in enumerate(batches):
            rate = self.learning_rate(epoch, i / len(batches))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            c = None if self.c is None else self.c.index_select(0, rows)
            losses = model.losses(
                Batch(self.x.index_select(0, rows), self.generator, c)
            )  # takes a fifth of the time of x[rows]
            loss = (losses.reconstruction + weight * losses.penalty).mean()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if settings.clip_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            self.optimiser.step()
            sums.append(torch.stack(losses).detach().sum(1))
        sums = torch.stack(sums).double().cpu()  # (n_batches, 2)
        bad = (~sums.isfinite()).any(1).nonzero()
        if len(bad):
            first = int(bad[0])
            raise FloatingPointError(
                f"loss is not finite at epoch {epoch}, batch {first + 1} of {len(batches)}: "
                f"reconstruction {sums[first, 0]:g}, penalty {sums[first, 1]:g}; "
                f"learning_rate {settings.learning_rate:g}"
            )
        reconstruction, penalty = (sums.sum(0) / len(self.x)).tolist()
        return {
            "epoch": epoch,
            "train_reconstruction": reconstruction,
            "train_penalty": penalty,
            "train_loss": reconstruction + weight * penalty,
            "penalty_weight": weight,
            "learning_rate": rate,
        }

    def save(self, checkpoint: Checkpoint, progress: _Progress) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
        tensors["generator"] = self.generator.get_state()
        tensors["dropout_generator"] = _dropout_generator(self.x.device).get_state()
        checkpoint.save(progress.epoch, tensors, {"progress": vars(progress)})

    def resume(self, checkpoint: Checkpoint | None) -> _Progress | None:
        loaded = checkpoint.load(self.x.device) if checkpoint else None
        if loaded is None:
            return None
        tensors, content = loaded
        part = lambda name: {k[len(name) :]: v for k, v in tensors.items() if k.startswith(name)}  # noqa: E731
        self.model.load_state_dict(part("model."))
        self.best = part("best.")
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in part("optimiser.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.generator.set_state(tensors["generator"].cpu())
        _dropout_generator(self.x.device).set_state(tensors["dropout_generator"].cpu())
        progress = _Progress(**content["progress"])
        log.info("resumed after epoch %d from %s", progress.epoch, checkpoint.folder)
        return progress

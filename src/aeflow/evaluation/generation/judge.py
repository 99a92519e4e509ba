"""A small classifier that judges generated observations: its features, and which class it sees.

It is trained on training rows of the whole dataset, never on draws; its accuracy on real test rows stands beside every
number that depends on it. Distances in its features are not comparable with those of other classifiers (no FID).
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from aeflow.errors import DataError
from aeflow.files import read_json
from aeflow.labels import has_label
from aeflow.table import Table

log = logging.getLogger(__name__)
N_FEATURES = 64
EPOCHS = {"images": 8, "expression": 60}
BATCH, LEARNING_RATE, SHIFT = 128, 2e-3, 2


class Judge(nn.Module):
    """Images: two convolutions, each halved by pooling; expression: one hidden layer. Then features, then classes."""

    def __init__(self, n_vars: int, n_classes: int, kind: str):
        super().__init__()
        self.kind, side = kind, math.isqrt(n_vars)
        if kind == "images":
            self.body = nn.Sequential(
                *(nn.Unflatten(1, (1, side, side)), nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3)),
                *(nn.Linear(64 * (side // 4) ** 2, N_FEATURES), nn.ReLU()),
            )
        else:
            self.body = nn.Sequential(
                nn.Linear(n_vars, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, N_FEATURES), nn.ReLU()
            )
        self.classes = nn.Linear(N_FEATURES, n_classes)
        # expression is standardised by its training rows: scales of datasets differ
        self.register_buffer("centre", torch.zeros(n_vars))
        self.register_buffer("scale", torch.ones(n_vars))

    def features(self, x: Tensor) -> Tensor:
        """Return (B, 64) activations before the last layer for x (B, n_vars)."""
        return self.body((x - self.centre) / self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits (B, n_classes)."""
        return self.classes(self.features(x))


def labelled(table: Table, column: str) -> Table:
    """Return the rows of a table that have a label in `column`; DataError if none has."""
    known = has_label(table.obs[column])
    if not known.any():
        raise DataError(f"judge: none of {table.n_obs} rows has a {column}")
    return table if known.all() else table.select(rows=known)


def train_judge(x: Tensor, y: Tensor, n_classes: int, kind: str, seed: int) -> Judge:
    """Return a judge trained on rows x (n_obs, n_vars) with classes y (n_obs,) int64; images are shifted at random.

    AdamW, cosine schedule, `EPOCHS` passes. DataError for fewer than 2 rows or classes, FloatingPointError if the loss
    is not finite.
    """
    if len(x) < 2 or n_classes < 2:
        raise DataError(f"judge: 2 training rows of 2 classes are needed at least, found {len(x)} of {n_classes}")
    torch.manual_seed(seed)
    judge = Judge(x.shape[1], n_classes, kind).to(x.device)
    if kind != "images":
        judge.centre.copy_(x.mean(0))
        varies = x.amax(0) > x.amin(0)  # a constant variable is centred only: draws may differ there
        judge.scale.copy_(torch.where(varies, x.std(0).clamp(min=1e-6), 1.0))
    generator = torch.Generator(x.device).manual_seed(seed)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    n_steps = EPOCHS[kind] * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for epoch in range(1, EPOCHS[kind] + 1):
        total = 0.0
        judge.train()
        for rows in torch.randperm(len(x), generator=generator, device=x.device).split(BATCH):
            batch = _shifted(x[rows], generator) if kind == "images" else x[rows]
            loss = F.cross_entropy(judge(batch), y[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        if not math.isfinite(total):
            raise FloatingPointError(f"judge: loss is {total} at epoch {epoch}")
        log.info("judge: epoch %d/%d  cross-entropy %.4f", epoch, EPOCHS[kind], total / len(x))
    return judge.eval()


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return images moved by up to `SHIFT` pixels, one move for the batch."""
    side = math.isqrt(x.shape[1])
    moves = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator, device=x.device).tolist()
    padded = F.pad(x.view(-1, side, side), (SHIFT,) * 4)
    top, left = SHIFT + moves[0], SHIFT + moves[1]
    return padded[:, top : top + side, left : left + side].reshape(len(x), -1)


def judged(judge: Judge, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, 64) and class probabilities (n, n_classes) of rows x (n, n_vars)."""
    features, probabilities = [], []
    with torch.no_grad():
        for rows in x.split(1024):
            h = judge.features(rows)
            features.append(h)
            probabilities.append(judge.classes(h).softmax(1))
    return torch.cat(features).cpu().numpy(), torch.cat(probabilities).cpu().numpy()


JUDGE_FILES = {"weights": "judge.safetensors", "description": "judge.json"}


def load_judge(folder: str | Path, device: torch.device) -> tuple[Judge, dict[str, Any]]:
    """Return a trained judge on `device`, and its description: label, levels (class names in order), test_accuracy."""
    info = read_json(Path(folder) / JUDGE_FILES["description"])
    judge = Judge(info["n_vars"], len(info["levels"]), info["kind"])
    judge.load_state_dict(load_file(Path(folder) / JUDGE_FILES["weights"]))
    return judge.to(device).eval(), info

"""TrainingSettings: how a model is trained. The one place of these keys, their defaults, bounds and meanings.

The configuration's blocks `training` are made from this class, so it needs no library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Schedule = Literal["constant", "cosine", "stages"]


def about(meaning: str, unit: str = "", **bounds: float) -> dict[str, Any]:
    """Return the metadata of a field: its meaning, unit and bounds (ge, gt)."""
    return {"meaning": meaning, "unit": unit, "bounds": bounds}


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained; what each key means stands beside it."""

    max_epochs: int = field(default=100, metadata=about("Passes over the training rows at most.", "epochs", ge=1))
    batch_size: int = field(default=128, metadata=about("Rows per step.", "rows", ge=1))
    learning_rate: float = field(default=1e-3, metadata=about("Step size of AdamW.", gt=0))
    weight_decay: float = field(default=0.0, metadata=about("Decoupled L2 coefficient of AdamW.", ge=0))
    patience: int = field(
        default=10,
        metadata=about(
            "Epochs without a better validation loss before stopping, counted once warm-up is over.", "epochs", ge=1
        ),
    )
    clip_norm: float = field(
        default=10.0, metadata=about("Upper bound of the gradient's Euclidean norm; 0 means no clipping.", ge=0)
    )
    beta: float = field(
        default=1.0, metadata=about("Weight of the penalty; at 1 the loss of a VAE is its negative ELBO.", ge=0)
    )
    warmup_epochs: int = field(
        default=0, metadata=about("Epochs over which the penalty's weight rises from 0 to beta.", "epochs", ge=0)
    )
    adam_eps: float = field(default=1e-8, metadata=about("Added to the denominator of AdamW.", gt=0))
    schedule: Schedule = field(
        default="constant",
        metadata=about(
            "Learning rate: constant; a half cosine down to 0 over max_epochs; or stages of 1, 3, 9, .. 3^7 epochs, "
            "each stage's rate 10^(-1/7) of the one before (Burda et al. 2016, section 5: 3,280 epochs).",
        ),
    )
    pretrain_epochs: int = field(
        default=0, metadata=about("Greedy layer-wise pretraining, per layer; 0 means none.", "epochs", ge=0)
    )
    checkpoint_seconds: float = field(
        default=10.0, metadata=about("Least time between two resumable states. Does not change results.", "s", ge=0)
    )

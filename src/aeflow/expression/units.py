"""Is a matrix in the unit it is said to be in? The range of each sample tells linear values from the two log scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aeflow.errors import DataError

LOG2_TPM = "log2(x+0.001)"
LOG2_COUNT = "log2(x+1)"
LINEAR = "linear"
SCALES = (LOG2_TPM, LOG2_COUNT, LINEAR)
FLOOR = -9.97  # log2(0.001) = -9.9658: the value of zero under log2(x+0.001), rounded as Xena prints it or not
LOG_CEILING = 100.0  # no log2 expression reaches it, and every sample in linear units passes it
WHOLE_SHARE = 0.3  # of non-zero values; TPM matrices have few whole ones, counts (nearly) only such


def scale_of(low: float, high: float) -> str | None:
    """Return the scale that the range of a sample or matrix suggests; None if it fits none."""
    if high > LOG_CEILING:
        return LINEAR if low >= 0 else None
    if low < 0:
        return LOG2_TPM if low >= FLOOR else None
    return LOG2_COUNT


def check_scale(name: str, declared: str, samples: Sequence[str], low: np.ndarray, high: np.ndarray) -> None:
    """Raise DataError, naming both scales, if the range of any sample contradicts the `declared` scale.

    Parameters
    ----------
    name : the matrix, for the message.
    declared : one of `SCALES`.
    samples : (n_obs,) ids.
    low, high : (n_obs,) least and largest value of each sample, over all genes of the matrix.
    """
    found = [scale_of(float(lo), float(hi)) for lo, hi in zip(low, high, strict=True)]
    wrong = [i for i, scale in enumerate(found) if scale != declared]
    if not wrong:
        return
    i = wrong[0]
    looks = f"looks like {found[i]}" if found[i] else "fits no known scale"
    extent = "all samples" if len(wrong) == len(found) else f"{len(wrong)} of {len(found)} samples: units are mixed"
    raise DataError(
        f"{name}: declared as {declared}, but sample {samples[i]!r} has values from {low[i]:g} to {high[i]:g}, which "
        f"{looks} ({extent})"
    )


def check_whole(name: str, unit: str, share: float, *, fractional: bool) -> None:
    """Raise DataError if the share of whole numbers among the non-zero values contradicts `unit`.

    Parameters
    ----------
    unit : "counts" or "tpm".
    share : between 0 and 1.
    fractional : whether counts may be estimated (RSEM) rather than counted.
    """
    if unit == "counts" and share < (WHOLE_SHARE if fractional else 1.0):
        raise DataError(f"{name}: declared as counts, but only {share:.1%} of its non-zero values are whole, as in tpm")
    if unit == "tpm" and share > WHOLE_SHARE:
        raise DataError(f"{name}: declared as tpm, but {share:.1%} of its non-zero values are whole, as in counts")


class RangeCheck:
    """Collects the range of each sample while a matrix streams by."""

    def __init__(self, n_samples: int) -> None:
        self.low = np.full(n_samples, np.inf, dtype=np.float32)
        self.high = np.full(n_samples, -np.inf, dtype=np.float32)
        self.n_whole = self.n_present = 0

    def linear(self, inverse: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, slice], np.ndarray]:
        """Return a transform for `wide.collapse` that notes the range of stored values and returns them linear."""

        def transform(values: np.ndarray, places: slice) -> np.ndarray:
            self.low[places] = np.minimum(self.low[places], values.min(1))
            self.high[places] = np.maximum(self.high[places], values.max(1))
            linear = inverse(values)
            present = linear > 0
            self.n_present += int(present.sum())
            self.n_whole += int(((linear == np.rint(linear)) & present).sum())
            return linear

        return transform

    @property
    def whole_share(self) -> float:
        """Share of whole numbers among the non-zero linear values; 0 where there is none."""
        return self.n_whole / max(self.n_present, 1)

"""Is a matrix in the unit it is said to be in? The range of each sample tells linear values from the two log scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aeflow.errors import DataError

LOG2_TPM = "log2(x+0.001)"
LOG2_COUNT = "log2(x+1)"
LINEAR = "linear"
OFFSETS = {LOG2_TPM: 0.001, LOG2_COUNT: 1.0}
FLOOR = -9.97  # log2(0.001) = -9.9658: the value of zero under log2(x+0.001), rounded as Xena prints it or not
LOG_CEILING = 100.0  # no log2 expression reaches it; the largest value of every linear sample seen is above 2e5
# of non-zero values: RSEM counts have 0.68 to 0.76 whole ones, FPKM and TPM matrices at most 0.03
WHOLE_SHARE = 0.3


def scale_of(low: float, high: float) -> str | None:
    """Return the scale that the range of a sample or matrix suggests; None if it fits none."""
    if high > LOG_CEILING:
        return LINEAR if low >= 0 else None
    if low < 0:
        return LOG2_TPM if low >= FLOOR else None
    return LOG2_COUNT


@dataclass(frozen=True)
class Measure:
    """What a source declares of the values in its matrices.

    unit : "counts", "tpm" or "fpkm", of the linear values. scale : how they are stored: linear, or one of `OFFSETS`.
    estimated : whether counts are estimated (RSEM), so that not all of them are whole.
    """

    unit: str
    scale: str = LINEAR
    estimated: bool = False

    def linear(self, stored: np.ndarray) -> np.ndarray:
        """Return stored values (float32) in linear units, at least 0: 2^stored - offset, or as they are."""
        if self.scale == LINEAR:
            return stored
        offset = OFFSETS[self.scale]
        with np.errstate(
            over="ignore"
        ):  # linear values in the file become infinite here and are refused by their range
            linear = np.exp2(stored)
        linear -= np.float32(offset)
        # zero is stored as log2(offset) rounded to 4 decimals, which would come back as up to 7e-8 with offset 0.001
        linear[linear < offset * 1e-3] = 0
        return linear

    def check(self, name: str, samples: Sequence[str], seen: Seen) -> None:
        """Raise DataError, naming `name` and the two scales or the share of whole values, if `seen` contradicts this.

        Rounded logarithms keep no whole numbers, so that only linear matrices are asked for their share.
        """
        declared = self.scale if self.scale != LINEAR else f"{self.unit}, a linear unit"
        found = [scale_of(float(low), float(high)) for low, high in zip(seen.low, seen.high, strict=True)]
        wrong = [i for i, scale in enumerate(found) if scale != self.scale]
        if wrong:
            i, n = wrong[0], len(wrong)
            looks = f"looks like {found[i]}" if found[i] else "fits no known scale"
            extent = "all samples" if n == len(found) else f"{n} of {len(found)} samples: units are mixed"
            raise DataError(
                f"{name}: declared as {declared}, but sample {samples[i]!r} has values from {seen.low[i]:g} to "
                f"{seen.high[i]:g}, which {looks} ({extent})"
            )
        if self.scale != LINEAR:
            return
        share = seen.n_whole / max(seen.n_present, 1)
        if self.unit == "counts" and share < (WHOLE_SHARE if self.estimated else 1.0):
            raise DataError(
                f"{name}: declared as counts, but only {share:.1%} of its non-zero values are whole numbers"
            )
        if self.unit != "counts" and share > WHOLE_SHARE:
            raise DataError(
                f"{name}: declared as {self.unit}, but {share:.1%} of its non-zero values are whole, as in counts"
            )


class Seen:
    """The range of each sample as stored, and how many values there are, non-zero and whole when linear."""

    def __init__(self, n_samples: int) -> None:
        self.low = np.full(n_samples, np.inf, dtype=np.float32)
        self.high = np.full(n_samples, -np.inf, dtype=np.float32)
        self.n_values = self.n_present = self.n_whole = 0

    def add(self, places: slice, stored: np.ndarray, linear: np.ndarray) -> None:
        """Note values (samples at `places`, genes), as they are stored and in linear units."""
        self.low[places] = np.minimum(self.low[places], stored.min(1))
        self.high[places] = np.maximum(self.high[places], stored.max(1))
        present = linear > 0
        self.n_values += linear.size
        self.n_present += int(np.count_nonzero(present))
        self.n_whole += int(np.count_nonzero((linear == np.rint(linear)) & present))

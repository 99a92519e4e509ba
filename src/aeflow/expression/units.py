"""Is a matrix in the unit it is said to be in?

The range of each sample tells linear values from the two log scales; whole numbers tell counts, also those that come
back from a logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aeflow.errors import DataError

LOG2_TPM = "log2(x+0.001)"
LOG2_COUNT = "log2(x+1)"
LINEAR = "linear"
OFFSETS = {LOG2_TPM: 0.001, LOG2_COUNT: 1.0}
ZERO = -9.9658  # log2(0.001): the value of zero under log2(x+0.001), and of nothing else
ROUNDING = 0.005  # of ZERO, which Xena prints with 4 decimals
SMALLEST = -6.51  # log2(0.01+0.001): the smallest TPM above zero, as RSEM prints 2 decimals
# genes; every sample of a matrix with that many has zeros (1,889 and more of 20,242 genes in RNAseqDB's counts), of an
# excerpt it may have none
MANY = 10_000
EXPRESSED = 8.0  # log2; a sample of an excerpt without zeros has a gene above it, z-scores and log10 have none
LOG_CEILING = 100.0  # no log2 expression reaches it; the largest value of every linear sample seen is above 2e5
# of non-zero values: RSEM counts have 0.68 to 0.76 whole ones, FPKM and TPM matrices at most 0.03
WHOLE_SHARE = 0.3
# log2(x+1) of RSEM counts: of the values below 100 that come back, 0.75 to 0.83 are whole within 0.005; of ln(x+1) and
# log10(x+1), taken for log2, at most 0.02 (RNAseqDB's expected counts)
SMALL_COUNT = 100.0
NEARLY = 0.005
N_SMALL = 100  # of such values a sample needs to be judged by them


def scale_of(low: float, high: float) -> str | None:
    """Return the scale that the range of a sample or matrix suggests; None if it fits none."""
    if high > LOG_CEILING:
        return LINEAR if low >= 0 else None
    if low < 0:
        return LOG2_TPM if abs(low - ZERO) <= ROUNDING else None
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
        """Raise DataError, naming `name`, the two scales or the share of whole values, if `seen` contradicts this."""
        declared = self.scale if self.scale != LINEAR else f"{self.unit}, a linear unit"
        found = [scale_of(float(low), float(high)) for low, high in zip(seen.low, seen.high, strict=True)]
        if self.scale == LOG2_TPM and self.scale in found and seen.n_values < MANY * len(found):
            without_zero = (seen.low >= SMALLEST) & (seen.low < 0) & (seen.high >= EXPRESSED)
            found = [self.scale if i and scale is None else scale for i, scale in zip(without_zero, found, strict=True)]
        wrong = [i for i, scale in enumerate(found) if scale != self.scale]
        if wrong:
            i, n = wrong[0], len(wrong)
            zero = f": zero is {ZERO} in {LOG2_TPM}" if self.scale == LOG2_TPM else ""
            looks = f"looks like {found[i]}" if found[i] else f"fits no known scale{zero}"
            extent = "all samples" if n == len(found) else f"{n} of {len(found)} samples: units are mixed"
            raise DataError(
                f"{name}: declared as {declared}, but sample {samples[i]!r} has values from {seen.low[i]:g} to "
                f"{seen.high[i]:g}, which {looks} ({extent})"
            )
        if self.scale != LINEAR:
            self._check_small_counts(name, samples, seen)
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

    def _check_small_counts(self, name: str, samples: Sequence[str], seen: Seen) -> None:
        """Raise DataError if small counts that come back from a logarithm are not whole: it was another one."""
        if self.unit != "counts":
            return
        share = seen.n_small_whole / np.maximum(seen.n_small, 1)
        wrong = np.flatnonzero((seen.n_small >= N_SMALL) & (share < WHOLE_SHARE))
        if len(wrong):
            i = wrong[0]
            raise DataError(
                f"{name}: declared as {self.scale} of counts, but only {share[i]:.1%} of the counts below "
                f"{SMALL_COUNT:g} of sample {samples[i]!r} are whole numbers, as with another logarithm or unit "
                f"({len(wrong)} of {len(samples)} samples)"
            )


class Seen:
    """The range of each sample as stored, and how many values there are, non-zero and whole when linear.

    n_small, n_small_whole : of each sample of a logarithmic matrix, counts up to `SMALL_COUNT`, and the whole ones.
    """

    def __init__(self, n_samples: int) -> None:
        self.low = np.full(n_samples, np.inf, dtype=np.float32)
        self.high = np.full(n_samples, -np.inf, dtype=np.float32)
        self.n_small = np.zeros(n_samples, dtype=np.int64)
        self.n_small_whole = np.zeros(n_samples, dtype=np.int64)
        self.n_values = self.n_present = self.n_whole = 0

    def add(self, places: slice, stored: np.ndarray, linear: np.ndarray) -> None:
        """Note values (samples at `places`, genes), as they are stored and in linear units."""
        self.low[places] = np.minimum(self.low[places], stored.min(1))
        self.high[places] = np.maximum(self.high[places], stored.max(1))
        present = linear > 0
        self.n_values += linear.size
        self.n_present += int(np.count_nonzero(present))
        self.n_whole += int(np.count_nonzero((linear == np.rint(linear)) & present))
        if linear is not stored:
            small = (linear > NEARLY) & (linear < SMALL_COUNT)
            self.n_small[places] += np.count_nonzero(small, axis=1)
            with np.errstate(invalid="ignore"):  # infinite, see `Measure.linear`
                whole = np.abs(linear - np.rint(linear)) < NEARLY
            self.n_small_whole[places] += np.count_nonzero(small & whole, axis=1)

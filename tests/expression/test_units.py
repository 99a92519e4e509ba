"""Units against the values: the scale of each sample, the share of whole numbers (about 1 s)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression.units import LOG2_TPM, Measure, Seen


def check(measure: Measure, stored: np.ndarray) -> None:
    """Hold values (samples, genes), as stored, against what is declared of them."""
    seen = Seen(len(stored))
    for first in range(0, stored.shape[1], 7):  # block by block, as a matrix is read
        block = stored[:, first : first + 7]
        seen.add(slice(0, len(stored)), block, measure.linear(block))
    measure.check("m", [f"s{i}" for i in range(len(stored))], seen)


@given(st.lists(st.floats(0, 1e7, width=32), min_size=4, max_size=60))
def test_log_values_are_refused_as_linear(values):
    """Breaks if log2(x + 1) of any matrix passes as a linear unit."""
    logged = np.log2(np.array([values], dtype=np.float32) + 1)
    for unit in ("counts", "fpkm", "tpm"):
        with pytest.raises(DataError, match=rf"m: declared as {unit}, a linear unit, .*looks like log2\(x\+1\)"):
            check(Measure(unit, estimated=True), logged)


def test_one_sample_in_another_scale_is_refused():
    """Breaks if a single sample of logarithms hides among linear ones: the range of each sample counts."""
    counts = np.random.default_rng(0).poisson(100, (5, 50)).astype(np.float32)
    counts[:, 0] = 1000
    check(Measure("counts"), counts)
    counts[3] = np.log2(counts[3] + 1)
    with pytest.raises(
        DataError, match=r"sample 's3' has values .*looks like log2\(x\+1\) \(1 of 5 samples: units are"
    ):
        check(Measure("counts"), counts)
    with pytest.raises(DataError, match=r"declared as log2.x.0.001., but sample 's0' .* looks like linear"):
        check(Measure("tpm", LOG2_TPM), counts)


def test_mixed_units_are_refused():
    """Breaks if FPKM pass as counts or counts as FPKM, or estimated counts as reads."""
    counts = np.random.default_rng(0).poisson(100, (5, 50)).astype(np.float32)
    counts[:, 0] = 1000
    check(Measure("counts", estimated=True), counts)
    check(Measure("fpkm"), counts * 1.37)
    with pytest.raises(DataError, match="declared as counts, but only"):
        check(Measure("counts", estimated=True), counts * 1.37)
    with pytest.raises(DataError, match=r"declared as fpkm, but 100\.0%"):
        check(Measure("fpkm"), counts)
    counts[0, 1] += 0.5
    check(Measure("counts", estimated=True), counts)
    with pytest.raises(DataError, match=r"declared as counts, but only 99\.6%"):
        check(Measure("counts"), counts)


def test_logarithms_come_back_linear():
    """Breaks if a rounded logarithm of zero comes back as more than zero, or any value below it."""
    tpm = np.array([[0, 0.01, 3, 250]], dtype=np.float32)
    linear = Measure("tpm", LOG2_TPM).linear(np.log2(tpm + 0.001).round(4).astype(np.float32))
    assert linear[0, 0] == 0 and linear.dtype == np.float32
    np.testing.assert_allclose(linear, tpm, rtol=1e-3)

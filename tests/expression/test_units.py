"""Units against the values: the scale of each sample, the share of whole numbers (about 1 s)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression.units import LOG2_COUNT, LOG2_TPM, Measure, Seen


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


def tpm(n_samples: int, n_genes: int, seed: int = 0) -> np.ndarray:
    """Return TPM like RSEM's, 2 decimals: each sample sums to a million, and has zeros."""
    x = np.random.default_rng(seed).lognormal(1, 3, (n_samples, n_genes)) - 0.5
    return (np.maximum(x, 0) / np.maximum(x, 0).sum(1, keepdims=True) * 1e6).round(2).astype(np.float32)


def z_scores(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


OTHERS = {  # what is not log2(x+0.001), of linear values (samples, genes)
    "log2(x+0.01)": lambda x: np.log2(x + 0.01),
    "log2(x+0.1)": lambda x: np.log2(x + 0.1),
    "ln(x+0.001)": lambda x: np.log(x + 0.001),
    "log10(x+0.001)": lambda x: np.log10(x + 0.001),
    "log2(x+1)": lambda x: np.log2(x + 1),
    "z-scores by gene": lambda x: z_scores(np.log2(x + 0.001)),
    "z-scores by sample": lambda x: z_scores(np.log2(x + 0.001).T).T,
    "centred": lambda x: np.log2(x + 0.001) - np.log2(x + 0.001).mean(0),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("n_genes", [60, 12_000])
@pytest.mark.parametrize("other", OTHERS)
def test_zero_of_log2_tpm(other, n_genes):
    """Breaks if another logarithm, z-scores or linear values pass for log2(x+0.001), in all samples or in one."""
    x = tpm(6, n_genes)
    stored = np.log2(x + 0.001).round(4).astype(np.float32)
    check(Measure("tpm", LOG2_TPM), stored)
    wrong = OTHERS[other](x).round(4).astype(np.float32)
    with pytest.raises(DataError, match=r"m: declared as log2.x.0.001., but sample 's0' .*all samples"):
        check(Measure("tpm", LOG2_TPM), wrong)
    if n_genes == 60 and other == "log2(x+0.1)":
        return  # a sample of an excerpt may lack a zero
    stored[4] = wrong[4]
    with pytest.raises(DataError, match=r"but sample 's4' .*1 of 6 samples: units are mixed"):
        check(Measure("tpm", LOG2_TPM), stored)


def test_zero_is_asked_of_every_sample_of_a_whole_annotation_only():
    """Breaks if a sample of an excerpt cannot lack a zero, or one of 12,000 genes can."""
    few = np.log2(tpm(3, 60) + 0.001)
    few[1] = np.maximum(few[1], np.float32(-3))
    check(Measure("tpm", LOG2_TPM), few)
    with pytest.raises(DataError, match=r"'s0' .*fits no known scale: zero is -9\.9658 .*all samples"):
        check(Measure("tpm", LOG2_TPM), few[[1, 1]])
    many = np.log2(tpm(3, 12_000) + 0.001)
    many[1] = np.maximum(many[1], np.float32(-3))
    with pytest.raises(DataError, match=r"'s1' .*1 of 3 samples"):
        check(Measure("tpm", LOG2_TPM), many)


@pytest.mark.parametrize("log", [np.log, np.log10])
def test_other_logarithms_of_counts(log):
    """Breaks if ln(x+1) or log10(x+1) of counts passes for log2(x+1), in all samples or in one."""
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial(0.5, 0.002, (4, 3000)).astype(np.float32)
    split = rng.random(counts.shape) < 0.25  # RSEM splits reads that map to several places
    counts = np.where(split & (counts > 0), counts + rng.uniform(-0.5, 0.5, counts.shape).round(2), counts)
    stored = np.log2(counts + 1).round(4).astype(np.float32)
    check(Measure("counts", LOG2_COUNT), stored)
    other = log(counts + 1).round(4).astype(np.float32)
    with pytest.raises(DataError, match=r"m: declared as log2.x.1. of counts, .*'s0' are whole .*4 of 4 samples"):
        check(Measure("counts", LOG2_COUNT), other)
    stored[2] = other[2]
    with pytest.raises(DataError, match=r"'s2' are whole numbers, .*1 of 4 samples"):
        check(Measure("counts", LOG2_COUNT), stored)


def test_logarithms_come_back_linear():
    """Breaks if a rounded logarithm of zero comes back as more than zero, or any value below it."""
    tpm = np.array([[0, 0.01, 3, 250]], dtype=np.float32)
    linear = Measure("tpm", LOG2_TPM).linear(np.log2(tpm + 0.001).round(4).astype(np.float32))
    assert linear[0, 0] == 0 and linear.dtype == np.float32
    np.testing.assert_allclose(linear, tpm, rtol=1e-3)

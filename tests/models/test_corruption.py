"""Corruptions: levels, kinds and reproducibility."""

import pytest
import torch

from aeflow.models.parts.corruption import CORRUPTIONS, check_corruption, corrupt


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.rand(500, 200, generator=generator(9)) * 0.8 + 0.1  # no value is 0 or 1


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_gaussian_noise_has_its_standard_deviation(noise):
    """Breaks if noise is a variance, or not centred."""
    added = corrupt(X, "gaussian", noise, generator()) - X
    assert added.std().item() == pytest.approx(noise, rel=0.01)
    assert added.mean().item() == pytest.approx(0, abs=0.02 * noise)


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_masking_sets_its_share_to_zero(noise):
    """Breaks if the kept share is masked, or a kept value is rescaled as in dropout."""
    corrupted = corrupt(X, "masking", noise, generator())
    assert (corrupted == 0).float().mean().item() == pytest.approx(noise, abs=0.01)
    assert torch.equal(corrupted[corrupted != 0], X[corrupted != 0])


@pytest.mark.parametrize("noise", [0.0, 0.4, 1.0])
def test_salt_and_pepper_are_equally_likely(noise):
    """Breaks if salt is rarer than pepper, or together they are not the share asked for."""
    corrupted = corrupt(X, "salt_and_pepper", noise, generator())
    for value in (0, 1):
        assert (corrupted == value).float().mean().item() == pytest.approx(noise / 2, abs=0.01)
    kept = (corrupted != 0) & (corrupted != 1)
    assert torch.equal(corrupted[kept], X[kept])


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_draws_come_from_the_generator_alone(kind):
    """Breaks if a corruption changes its input, ignores the generator, or hits the same variables in every row."""
    before = X.clone()
    a, b, c = (corrupt(X, kind, 0.3, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(X, before) and torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(a[0] != X[0], a[1] != X[1]) or kind == "gaussian"


@pytest.mark.parametrize(
    ("kind", "noise", "message"),
    [("blur", 0.1, "'blur' does not exist"), ("masking", 1.2, "not a share"), ("gaussian", -0.1, "not a share")],
)
def test_impossible_corruptions_are_refused(kind, noise, message):
    """Breaks if a typo or a share above 1 is trained without a word."""
    with pytest.raises(ValueError, match=message):
        check_corruption("dae", kind, noise)


def test_gaussian_noise_may_exceed_one():
    """Breaks if a standard deviation in units of x is taken for a share."""
    check_corruption("dae", "gaussian", 3.0)

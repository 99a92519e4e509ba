"""Choices of a model's keywords are read from its signature, without importing it."""

from typing import get_args

import pytest

from aeflow.models.parts.layers import ACTIVATIONS, Activation
from aeflow.plan.source_code import choices


@pytest.mark.parametrize(
    ("module", "annotation", "expected"),
    [
        ("aeflow.models.vae", "Literal['elbo', 'iwae']", ("elbo", "iwae")),
        ("aeflow.models.vae", "Literal['elbo']", ("elbo",)),
        ("aeflow.models.vae", "Activation", get_args(Activation)),  # imported
        ("aeflow.models.parts.layers", "Activation", get_args(Activation)),  # its own
        ("aeflow.models.vae", "float", ()),
        ("aeflow.models.vae", "Sequence[int]", ()),
        ("aeflow.models.vae", "NoSuchName", ()),
    ],
)
def test_choices_are_read_from_the_source(module, annotation, expected):
    """Breaks if a misspelt choice is found by the job only, or a keyword of another type is taken for a choice."""
    assert choices(module, annotation) == expected


def test_every_activation_can_be_chosen():
    """Breaks if an activation is added to the table of modules but not to the choices of the configuration."""
    assert get_args(Activation) == tuple(ACTIVATIONS)

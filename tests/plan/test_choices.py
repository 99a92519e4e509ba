"""Types, bounds and choices of keywords are read from signatures, without importing what they belong to."""

import math
from typing import get_args

import pytest

from aeflow.errors import ConfigError
from aeflow.models.parts.layers import ACTIVATIONS, Activation
from aeflow.plan.corrections import known_methods
from aeflow.plan.source_code import PACKAGE, class_info, classes_with, keywords_of, type_of
from aeflow.plan.values import checked

VAE = "aeflow.models.vae"
GIVEN_BY_DATA = ("mask", "n_covariates")


def every_keyword():
    """Yield (module, keyword, annotation) of every model and correction."""
    for path in sorted((PACKAGE / "models").glob("[a-z]*.py")):
        module = f"aeflow.models.{path.stem}"
        for name in () if path.stem in ("base", "build") else classes_with(module, "encode"):
            for key, keyword in class_info(f"{path.stem}.{name}").keywords.items():
                if key not in GIVEN_BY_DATA:
                    yield module, key, keyword.annotation
    for method in known_methods()[1:]:
        file, name = method.split(".")
        for key, keyword in keywords_of(f"aeflow.correction.{file}", name, "fit").items():
            yield f"aeflow.correction.{file}", key, keyword.annotation


KEYWORDS = list(every_keyword())


def test_keywords_were_found():
    """Breaks if the tests below would run over nothing."""
    assert {("aeflow.models.pca", "n_latent", "Size"), ("aeflow.correction.zscore", "min_sd", "Positive")} < set(
        KEYWORDS
    )
    assert len(KEYWORDS) > 80


@pytest.mark.parametrize(("module", "key", "annotation"), KEYWORDS)
def test_every_keyword_says_what_it_takes(module, key, annotation):
    """Breaks if a model or correction gets a keyword without a type, or a number without bounds."""
    assert annotation, f"{module}: {key} has no annotation"
    type_of(module, annotation)
    for extreme in (-(10**30), -1e30, math.nan, math.inf):
        with pytest.raises(ConfigError, match=f"models.m.{key}"):
            checked(extreme, module, annotation, f"models.m.{key}")


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        ("Literal['elbo', 'iwae']", "iwa", "'iwa' is none of elbo, iwae .*'iwae'"),
        ("Activation", "rellu", "'rellu' is none of .*'relu'"),  # imported
        ("Size", 0, "greater than or equal to 1; found 0"),
        ("Size", True, "valid integer; found True"),
        ("Size", 2.5, "valid integer; found 2.5"),
        ("Size", "8", "valid integer; found '8'"),
        ("Sizes", 64, "found 64"),
        ("Sizes", "64", "found '64'"),
        ("Sizes | None", [16, 0], r".1: .*greater than or equal to 1; found 0"),
        ("Probability", 1, "less than 1; found 1"),
        ("Positive | None", 0, "greater than 0; found 0"),
        ("bool", 1, "valid boolean; found 1"),
        ("str", False, "found False: YAML reads yes, no, on and off"),
    ],
)
def test_a_value_that_cannot_be_is_named(annotation, value, message):
    """Breaks if a value outside a keyword's type reaches a model."""
    with pytest.raises(ConfigError, match=f"^key.*{message}"):
        checked(value, VAE, annotation, "key")


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("Weight", 1, 1.0),
        ("Positive | None", None, None),
        ("Sizes", [], []),
        ("Sizes", [64, 32], [64, 32]),
        ("Probability", 0, 0.0),
        ("", "anything", "anything"),
    ],
)
def test_a_value_that_can_be_is_written_as_its_type(annotation, value, expected):
    """Breaks if 1 and 1.0 are two settings of one weight, which would plan the run anew."""
    found = checked(value, VAE, annotation, "key")
    assert found == expected
    assert type(found) is type(expected)


def test_a_type_nobody_knows_is_named():
    """Breaks if a keyword of a model of one's own passes unchecked because its type could not be read."""
    with pytest.raises(ConfigError, match=r"aeflow.models.vae: the type 'Tensor' of a keyword is not known"):
        type_of(VAE, "Tensor")


def test_every_activation_can_be_chosen():
    """Breaks if an activation is added to the table of modules but not to the choices of the configuration."""
    assert get_args(Activation) == tuple(ACTIVATIONS)

"""What YAML makes of a configuration file without a word is refused: repeated keys, numbers of another base."""

import pytest
import yaml

from aeflow.errors import ConfigError
from aeflow.plan.yaml_traps import check_files

TWICE_AT_THE_TOP = "training: {max_epochs: 2, batch_size: 32}\nviews:\n  all: {}\ntraining: {max_epochs: 7}\n"
TWICE_INSIDE = "models:\n  ae:\n    n_latent: 8\n  pca:\n    n_latent: 4\n  ae:\n    n_latent: 2\n"
IN_A_LIST = "tasks:\n  - {name: a, name: b}\n"
JSON = '{"models": {"ae": {"n_latent": 8}, "ae": {"n_latent": 4}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWICE_AT_THE_TOP, r"own.yaml, line 4: key 'training' stands on line 1, too"),
        ("\ufeff" + TWICE_AT_THE_TOP, r"own.yaml, line 4: key 'training' stands on line 1, too"),
        (TWICE_INSIDE, r"own.yaml, line 6: key 'ae' stands on line 2, too"),
        (IN_A_LIST, r"own.yaml, line 2: key 'name' stands on line 2, too"),
        (JSON, r"own.yaml: key 'ae' stands twice"),
        ("training:\n  max_epochs: 010\n", r"own.yaml, line 2: 010 is 8 to YAML"),
        ("training: {max_epochs: 1:30}\n", r"own.yaml, line 1: 1:30 is 90 to YAML"),
        ("views:\n  a: {centre: [13, 07]}\n", r"own.yaml, line 2: 07 is 7 to YAML"),
        ("views: {01: {}}\n", r"own.yaml, line 1: 01 is 1 to YAML"),
    ],
)
def test_a_repeated_key_is_named(tmp_path, text, message):
    """Breaks if a block of the configuration is lost because another of its name follows."""
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        check_files([path])


@pytest.mark.parametrize(
    "text",
    [
        "models:\n  ae: {n_latent: 8}\n  vae: {n_latent: 8}\n",
        "base: &base {n_latent: 8}\nmodels:\n  ae: {<<: *base, n_latent: 4}\n  vae: *base\n",
        "views:\n  one: {digit: [1]}\n  two: {digit: ['1']}\n",
        "keys: {1: a, '1': b}\n",
        "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n",
        "numbers: [0, 10, 0.5, -3, 1.0e-3, 1_000, 0x1F]\ntexts: ['010', '1:30', 08, 1:99]\n",
        '{"models": {"ae": {"n_latent": 8}, "vae": {"n_latent": 8}}}',
        "",
    ],
)
def test_a_sound_file_passes(tmp_path, text):
    """Breaks if equal keys of different mappings, an overridden anchor or an alias are taken for a repetition."""
    path = tmp_path / "own.yaml"
    path.write_text(text)
    check_files([path])
    yaml.safe_load(text)

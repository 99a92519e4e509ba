"""What rules are handed depends on what a configuration says, not on how it is written."""

from pathlib import Path

import pytest
import yaml

from aeflow.plan import cells as grid
from aeflow.plan.reading import read_configuration

ROOT = Path(__file__).parents[2]


def load():
    return yaml.safe_load((ROOT / "config" / "test.yaml").read_text())


def slices(config):
    """Return the text of everything that depends on the configuration in the params of a run and of its dataset."""
    found = []
    for cell in grid.cells(config):
        found += [
            cell,
            config["views"][cell.view],
            config["datasets"][cell.dataset],
            config["cohorts"][config["datasets"][cell.dataset]["cohort"]],
            grid.hyperparameters(cell.model, config),
            grid.training_settings(cell.dataset, cell.model, config),
            grid.tasks_of(cell.dataset, cell.view, config),
            grid.evaluations(cell.dataset, config),
        ]
    return [*map(repr, found), repr(config["scores"])]


def backwards(node):
    """Return the same content with the keys of every mapping in reverse order."""
    if isinstance(node, dict):
        return {key: backwards(node[key]) for key in reversed(list(node))}
    return [backwards(child) for child in node] if isinstance(node, list) else node


def test_order_of_keys_plans_nothing_anew():
    """Breaks if keys that trade places in a file change the text of params, which Snakemake compares."""
    assert slices(read_configuration(backwards(load()))) == slices(read_configuration(load()))


@pytest.mark.parametrize(
    "written",
    [
        {"training": {"beta": 1, "clip_norm": 10.0}},
        {"scores": {"n_importance": 16}},
        {"datasets": {"mnist": {"scale": "none", "n_top_vars": None, "correct": {"method": "none"}, "training": {}}}},
        {"datasets": {"mnist": {"fit_on": None, "challenge": None, "batch_columns": ["study"]}}},
        {"models": {"vae": {"permute": False, "training": {"patience": 10}}}},
        {"tasks": {"tumour": {"choose_score": False, "normal": None}}},
    ],
)
def test_a_default_written_down_plans_nothing_anew(written):
    """Breaks if params tell a key with its default from the same key left out."""

    def merge(into, more):
        for key, value in more.items():
            if isinstance(value, dict) and isinstance(into.get(key), dict):
                merge(into[key], value)
            else:
                into[key] = value
        return into

    config = read_configuration(merge(load(), written))
    usual = read_configuration(load())
    assert slices(config) == slices(usual)


def test_roles_are_drawn_in_the_order_written():
    """Breaks if the panels of a gallery figure are sorted by name instead."""
    config = load()
    roles = {"vae": "vae", "pca": "pca"}
    config["gallery"]["mnist"]["figures"]["curves.loss_parts"] = roles
    assert list(read_configuration(config)["gallery"]["mnist"]["figures"]["curves.loss_parts"]) == ["vae", "pca"]


def test_a_checked_configuration_can_be_checked_again():
    """Breaks if what is handed to rules is itself no valid configuration, or means something else."""
    config = read_configuration(load())
    assert read_configuration(config) == config

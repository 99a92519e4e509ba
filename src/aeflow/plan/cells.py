"""What follows from a checked configuration: its cells, and each rule's slice."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aeflow.errors import ConfigError
from aeflow.plan import corrections
from aeflow.plan.configuration import Model
from aeflow.plan.grid import Cell, cells
from aeflow.plan.source_code import Keyword, class_info, constant, keywords_of
from aeflow.plan.values import checked
from aeflow.training.settings import TrainingSettings


def matrices(cohort: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the raw matrices of a cohort, name -> path, as its source lists them."""
    entry = config["cohorts"][cohort]
    source = importlib.import_module(f"aeflow.sources.{entry['source']}")
    options = dict(entry["options"])
    if simulates(entry["source"]):
        options["cohort"] = cohort
    try:
        return source.matrices(**options)
    except ConfigError as error:  # begins with the option
        raise ConfigError(f"cohorts.{cohort}.options.{error}") from None
    except (TypeError, ValueError, AttributeError) as error:  # a value that a source of one's own does not check
        raise ConfigError(f"cohorts.{cohort}.options {entry['options']}: {error}") from error


def options_of(source: str) -> dict[str, Keyword]:
    """Return the options that a source takes, by name.

    Of a source that collects them, those of its dataclass Options; {} where it has none and checks them itself.
    """
    module = importlib.import_module(f"aeflow.sources.{source}")
    parameters = inspect.signature(module.matrices).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        if not hasattr(module, "Options"):
            return {}
        parameters = inspect.signature(module.Options).parameters
    # the sources postpone the evaluation of their annotations, so that these are text
    return {
        name: Keyword("" if p.annotation is p.empty else p.annotation, p.default is p.empty)
        for name, p in parameters.items()
    }


def simulates(source: str) -> bool:
    """Return whether the raw files of a source are made by rule simulate, from gene sets."""
    return constant(f"aeflow.sources.{source}", "SIMULATES")


def hyperparameters(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a model's class; ConfigError, naming the key, for a value it does not allow."""
    entry = config["models"][model]
    kinds = class_info(entry["architecture"]).keywords
    module = f"aeflow.models.{entry['architecture'].rpartition('.')[0]}"
    given = {key: value for key, value in entry.items() if key not in Model.model_fields}
    return {key: checked(value, module, kinds[key].annotation, f"models.{model}.{key}") for key, value in given.items()}


def training_settings(dataset: str, model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training keys of a cell: the top-level ones, overridden by the dataset's, then by the model's.

    Every key is there, so that writing a default down plans nothing anew.
    """
    levels = config["training"], config["datasets"][dataset]["training"], config["models"][model].get("training", {})
    return asdict(TrainingSettings(**{key: value for level in levels for key, value in level.items()}))


def tasks_of(dataset: str, view: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tasks that apply to runs of a dataset and view."""
    return {n: t for n, t in config["tasks"].items() if dataset in t["datasets"] and view in t["views"]}


def gallery_cells(dataset: str, figure: str, config: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the run that plays each role of a figure: that of the smallest seed."""
    entry, first = config["gallery"][dataset], {}
    for cell in cells(config):
        if (cell.dataset, cell.view) == (dataset, entry["view"]):
            first.setdefault(cell.model, cell)  # cells are sorted
    return {role: first[model] for role, model in entry["figures"][figure].items()}


def draws(dataset: str, model: str, config: Mapping[str, Any]) -> bool:
    """Return whether draws are made: the model can generate, or the dataset asks for a mixture on its latents."""
    bases = class_info(config["models"][model]["architecture"]).bases
    mixture = config["datasets"][dataset]["generate"]["gmm"] > 0 and "AbstractClosedForm" not in bases
    return "AbstractGenerative" in bases or mixture


def is_linear(model: str, config: Mapping[str, Any]) -> bool:
    """Return whether a model has loadings."""
    return "AbstractLinear" in class_info(config["models"][model]["architecture"]).bases


def challenged(dataset: str, view: str, config: Mapping[str, Any]) -> bool:
    """Return whether runs of a dataset and view are challenged: the dataset asks for it, and its task applies."""
    challenge = config["datasets"][dataset].get("challenge")
    return bool(challenge) and challenge["task"] in tasks_of(dataset, view, config)


def challenge_min_genes(dataset: str, config: Mapping[str, Any]) -> int | None:
    """Return the least size of the gene sets of a dataset's challenge, None without a challenge."""
    challenge = config["datasets"][dataset].get("challenge")
    return config["gene_sets"][challenge["gene_sets"]]["min_genes"] if challenge else None


def evaluations(dataset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluations of a dataset's runs with all their options.

    Keyword arguments of an evaluation that its entry does not give are keys of the dataset, where it has them.
    """
    block = config["datasets"][dataset]
    found = {}
    for name, entry in config["evaluations"].items():
        module, cls = entry["evaluation"].rsplit(".", 1)
        keywords = keywords_of(f"aeflow.evaluation.{module}", cls, "__init__")
        found[name] = {key: block[key] for key in keywords if key in block} | dict(entry)
    return found


def correction_modules(dataset: str, config: Mapping[str, Any]) -> list[str]:
    """Return the modules of a dataset's correction and of the corrections inside it."""
    return corrections.correction_modules(config["datasets"][dataset]["correct"])


def kind(dataset: str, config: Mapping[str, Any]) -> str:
    """Return "images" or "expression": what the observations of a dataset are."""
    return constant(f"aeflow.sources.{config['cohorts'][config['datasets'][dataset]['cohort']]['source']}", "KIND")

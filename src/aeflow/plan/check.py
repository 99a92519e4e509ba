"""Checks across the blocks of a configuration, and checks against signatures in the source code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from aeflow.errors import ConfigError
from aeflow.plan.cells import cells, hyperparameters, matrices
from aeflow.plan.configuration import Model
from aeflow.plan.corrections import NONE, check_correction
from aeflow.plan.figures import check_gallery
from aeflow.plan.source_code import class_info, constant, keywords_of, path_of

PYTHON_TYPES = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


def check(config: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming key and value, for anything a job would fail on later."""
    _check_cohorts(config)
    for name, dataset in config["datasets"].items():
        _known(dataset["cohort"], config["cohorts"], f"datasets.{name}.cohort")
        if "fit_on" in dataset:
            _known(dataset["fit_on"], config["views"], f"datasets.{name}.fit_on")
            _check_filter(config["views"][dataset["fit_on"]], name, config, f"views.{dataset['fit_on']}")
        _check_split(name, dataset, config)
        if dataset["batch_columns"] != ["study"]:  # the default may name what a source lacks
            for column in dataset["batch_columns"]:
                _known(column, _columns(name, config), f"datasets.{name}.batch_columns")
        for column in dataset["labels"]:
            _known(column, _columns(name, config), f"datasets.{name}.labels")
        if "challenge" in dataset:
            _known(dataset["challenge"]["task"], config["tasks"], f"datasets.{name}.challenge.task")
            _known(dataset["challenge"]["gene_sets"], config["gene_sets"], f"datasets.{name}.challenge.gene_sets")
            if not dataset["log2p1"]:
                raise ConfigError(f"datasets.{name}.challenge: dilution needs log2 values, but log2p1 is false")
        if "judge" in dataset["generate"]:
            _known(dataset["generate"]["judge"], _columns(name, config), f"datasets.{name}.generate.judge")
        _check_correction(name, dataset, config)
    for name in config["models"]:
        _check_model(name, config)
    for part, entries in (("experiments", config["experiments"]), ("tasks", config["tasks"])):
        for name, entry in entries.items():
            for key in ("datasets", "views", "models"):
                for value in entry.get(key, ()):
                    _known(value, config[key], f"{part}.{name}.{key}")
            filters = {f"views.{view}": config["views"][view] for view in entry["views"]}
            filters |= {f"tasks.{name}.{k}": entry[k] for k in ("normal", "anomaly") if isinstance(entry.get(k), dict)}
            filters |= {f"tasks.{name}.control.{k}": v for k, v in entry.get("control", {}).items()}
            for dataset in entry["datasets"]:
                for where, columns in filters.items():
                    _check_filter(columns, dataset, config, where)
                for model in entry.get("models", ()):
                    for column in config["models"][model].get("condition_on", ()):
                        _known(
                            column, _columns(dataset, config), f"models.{model}.condition_on, on dataset {dataset!r}"
                        )
    for name, task in config["tasks"].items():
        if task["choose_score"] and len(task["views"]) < 2:
            raise ConfigError(f"tasks.{name}.choose_score: needs other views to choose by, found {task['views']}")
    _check_evaluations(config)
    _check_baseline(config)
    check_gallery(config)


def _known(value: str, names: Iterable[str], key: str) -> None:
    names = list(names)
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(f"{key}: {value!r} does not exist{hint}; there are {', '.join(names)}")


def _columns(dataset: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    source = config["cohorts"][config["datasets"][dataset]["cohort"]]["source"]
    return constant(f"aeflow.sources.{source}", "OBS_COLUMNS")


def _check_filter(where: Mapping[str, Any], dataset: str, config: Mapping[str, Any], key: str) -> None:
    for column in where:
        _known(column, _columns(dataset, config), f"{key}, on dataset {dataset!r}: column")


def _check_cohorts(config: Mapping[str, Any]) -> None:
    for name, entry in config["cohorts"].items():
        if path_of(f"aeflow.sources.{entry['source']}") is None:
            raise ConfigError(f"cohorts.{name}.source: {entry['source']!r} has no file src/aeflow/sources/")
        if "gene_sets" in entry:
            _known(entry["gene_sets"], config["gene_sets"], f"cohorts.{name}.gene_sets")
        elif constant(f"aeflow.sources.{entry['source']}", "SIMULATES"):
            raise ConfigError(f"cohorts.{name}: a simulated cohort needs the key gene_sets")
        matrices(name, config)


def _check_split(name: str, dataset: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    split, key = dataset["split"], f"datasets.{name}.split"
    for column in split["stratify"]:
        _known(column, _columns(name, config), f"{key}.stratify")
    needed = {"donor": "donor_id", "official": "official_split"}[split["by"]]
    if needed not in _columns(name, config):
        raise ConfigError(
            f"{key}.by: {split['by']!r} needs a column {needed!r}, which cohort {dataset['cohort']!r} lacks"
        )
    fractions = split["fractions"]
    wanted = {"train", "val", "test"} if split["by"] == "donor" else {"val"}
    if set(fractions) != wanted:
        raise ConfigError(f"{key}.fractions: by {split['by']} takes {sorted(wanted)}, found {sorted(fractions)}")
    if split["by"] == "donor" and abs(sum(fractions.values()) - 1) > 1e-9:
        raise ConfigError(f"{key}.fractions: {fractions} sum to {sum(fractions.values()):g}, not 1")


def _check_correction(name: str, dataset: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    entry, key = dataset["correct"], f"datasets.{name}.correct"
    check_correction(entry, key)
    if entry["method"] != NONE and "study" not in _columns(name, config):
        raise ConfigError(
            f"{key}.method: {entry['method']!r} needs a column 'study', which cohort {dataset['cohort']!r} lacks"
        )


def _check_model(name: str, config: Mapping[str, Any]) -> None:
    entry = config["models"][name]
    try:
        info = class_info(entry["architecture"])
    except ConfigError as error:
        raise ConfigError(f"models.{name}: {error}") from None
    allowed = {key: kind for key, kind in info.keywords.items() if key not in ("mask", "n_covariates")}
    for key, value in hyperparameters(name, config).items():
        _known(key, [*allowed, *Model.model_fields], f"models.{name}, keyword of {entry['architecture']}")
        _check_type(value, allowed[key], f"models.{name}.{key}")
    for key, values in entry.get("choose", {}).items():
        _known(key, allowed, f"models.{name}.choose, keyword of {entry['architecture']}")
        for value in values:
            _check_type(value, allowed[key], f"models.{name}.choose.{key}")
    conditions = entry.get("condition_on", [])
    if conditions and "n_covariates" not in info.keywords:
        raise ConfigError(f"models.{name}: {entry['architecture']} takes no key condition_on")
    if not conditions and "n_covariates" in info.required:
        raise ConfigError(f"models.{name}: {entry['architecture']} needs the key condition_on")
    if ("mask" in info.keywords) != ("gene_sets" in entry):
        verb = "needs" if "mask" in info.keywords else "takes no"
        raise ConfigError(f"models.{name}: {entry['architecture']} {verb} key gene_sets")
    if "gene_sets" in entry:
        _known(entry["gene_sets"], config["gene_sets"], f"models.{name}.gene_sets")


def _check_type(value: Any, annotation: str, key: str) -> None:
    if annotation.endswith(" | None"):
        if value is None:
            return
        annotation = annotation.removesuffix(" | None")
    items = value if annotation == "Sequence[int]" and isinstance(value, list) else [value]
    kinds = (int,) if annotation == "Sequence[int]" and isinstance(value, list) else PYTHON_TYPES.get(annotation, ())
    for item in items:
        if not isinstance(item, kinds) or (isinstance(item, bool) and bool not in kinds):
            raise ConfigError(f"{key}: {value!r} is not of type {annotation}")


def _check_baseline(config: Mapping[str, Any]) -> None:
    baseline = config["baseline"]
    _known(baseline, config["models"], "baseline")
    planned = cells(config)
    with_baseline = {(c.dataset, c.view, c.seed) for c in planned if c.model == baseline}
    for cell in planned:
        if (cell.dataset, cell.view, cell.seed) not in with_baseline:
            raise ConfigError(
                f"experiments: dataset {cell.dataset}, view {cell.view}, seed {cell.seed} has no model {baseline}; "
                "every comparison needs its baseline"
            )


def _check_evaluations(config: Mapping[str, Any]) -> None:
    for name, entry in config["evaluations"].items():
        known = _keywords(f"aeflow.evaluation.{entry['evaluation']}", f"evaluations.{name}.evaluation")
        for option in entry:
            if option != "evaluation":
                _known(option, known, f"evaluations.{name}, keyword of {entry['evaluation']}")
    for plugin in config["scores"]["families"]:
        _keywords(f"aeflow.scoring.{plugin}", "scores.families")


def _keywords(plugin: str, key: str) -> tuple[str, ...]:
    """Return the keyword arguments of a plug-in's class; ConfigError, naming the key, if there is no such class."""
    module, cls = plugin.rsplit(".", 1)
    try:
        return keywords_of(module, cls, "__init__")
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None

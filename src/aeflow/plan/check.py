"""Checks across the blocks of a configuration, and checks against signatures in the source code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from aeflow.errors import ConfigError
from aeflow.plan.cells import cells, hyperparameters, matrices, options_of, simulates, training_settings
from aeflow.plan.configuration import EVALUATIONS, Model
from aeflow.plan.corrections import NONE, check_correction
from aeflow.plan.figures import check_gallery
from aeflow.plan.source_code import PACKAGE, Keyword, class_info, classes_with, constant, keywords_of, path_of
from aeflow.plan.spelling import hint
from aeflow.plan.values import checked

TRACKING_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")


def check(config: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming key and value, for anything a job would fail on later.

    The faults of all entries are told at once, one of each entry; what depends on a faulty name is checked when that is
    right.
    """
    _all(partial(_check_cohort, name, config) for name in config["cohorts"])
    _all(
        [
            *(partial(_check_names_of_dataset, name, config) for name in config["datasets"]),
            *(partial(_check_names, "experiments", name, config) for name in config["experiments"]),
            *(partial(_check_names, "tasks", name, config) for name in config["tasks"]),
            partial(_known, config["baseline"], config["models"], "baseline"),
        ]
    )
    _all(
        [
            *(partial(_check_dataset, name, config) for name in config["datasets"]),
            *(partial(_check_model, name, config) for name in config["models"]),
            *(partial(_check_columns, "experiments", name, config) for name in config["experiments"]),
            *(partial(_check_columns, "tasks", name, config) for name in config["tasks"]),
            *(partial(_check_choice_of_score, name, config) for name in config["tasks"]),
            *(partial(_check_task_has_runs, name, config) for name in config["tasks"]),
            partial(_check_evaluations, config),
            partial(_check_baseline, config),
            partial(_check_tracking, config),
            partial(check_gallery, config),
        ]
    )
    _check_training(config)


def _all(checks: Iterable[Callable[[], None]]) -> None:
    """Run every check; raise one ConfigError with a line for each that fails."""
    faults = []
    for one in checks:
        try:
            one()
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))


def _check_names_of_dataset(name: str, config: Mapping[str, Any]) -> None:
    dataset = config["datasets"][name]
    _known(dataset["cohort"], config["cohorts"], f"datasets.{name}.cohort")
    if "fit_on" in dataset:
        _known(dataset["fit_on"], config["views"], f"datasets.{name}.fit_on")
    if "challenge" in dataset:
        _known(dataset["challenge"]["task"], config["tasks"], f"datasets.{name}.challenge.task")
        _known(dataset["challenge"]["gene_sets"], config["gene_sets"], f"datasets.{name}.challenge.gene_sets")


def _check_names(part: str, name: str, config: Mapping[str, Any]) -> None:
    for key in ("datasets", "views", "models"):
        for value in config[part][name].get(key, ()):
            _known(value, config[key], f"{part}.{name}.{key}")


def _check_dataset(name: str, config: Mapping[str, Any]) -> None:
    dataset = config["datasets"][name]
    columns = _columns(name, config)
    if "fit_on" in dataset:
        _check_filter(config["views"][dataset["fit_on"]], name, config, f"views.{dataset['fit_on']}")
    _check_split(name, dataset, config)
    if dataset["batch_columns"] != ["study"]:  # the default may name what a source lacks
        for column in dataset["batch_columns"]:
            _known(column, columns, f"datasets.{name}.batch_columns")
    for column in dataset["labels"]:
        _known(column, columns, f"datasets.{name}.labels")
    if "challenge" in dataset and name not in config["tasks"][dataset["challenge"]["task"]]["datasets"]:
        task = dataset["challenge"]["task"]
        raise ConfigError(f"datasets.{name}.challenge.task: tasks.{task}.datasets does not name {name!r}")
    if "challenge" in dataset and not dataset["log2p1"]:
        raise ConfigError(f"datasets.{name}.challenge: dilution needs log2 values, but log2p1 is false")
    if "judge" in dataset["generate"]:
        _known(dataset["generate"]["judge"], columns, f"datasets.{name}.generate.judge")
    _check_correction(name, dataset, config)


def _check_columns(part: str, name: str, config: Mapping[str, Any]) -> None:
    """Check the columns of filters and covariates on every dataset of an experiment or task."""
    entry = config[part][name]
    filters = {f"views.{view}": config["views"][view] for view in entry["views"]}
    filters |= {f"tasks.{name}.{k}": entry[k] for k in ("normal", "anomaly") if isinstance(entry.get(k), dict)}
    filters |= {f"tasks.{name}.control.{k}": v for k, v in entry.get("control", {}).items()}
    for dataset in entry["datasets"]:
        for where, columns in filters.items():
            _check_filter(columns, dataset, config, where)
        for model in entry.get("models", ()):
            for column in config["models"][model].get("condition_on", ()):
                _known(column, _columns(dataset, config), f"models.{model}.condition_on, on dataset {dataset!r}")


def _check_task_has_runs(name: str, config: Mapping[str, Any]) -> None:
    """Check that a task is asked of some run of every dataset that it names."""
    task = config["tasks"][name]
    runs = {(cell.dataset, cell.view) for cell in cells(config)}
    for dataset in task["datasets"]:
        if not any((dataset, view) in runs for view in task["views"]):
            raise ConfigError(
                f"tasks.{name}: asked of no run: no experiment runs dataset {dataset!r} with one of the views "
                f"{', '.join(task['views'])}"
            )


def _check_choice_of_score(name: str, config: Mapping[str, Any]) -> None:
    task = config["tasks"][name]
    if task["choose_score"] and len(task["views"]) < 2:
        raise ConfigError(f"tasks.{name}.choose_score: needs other views to choose by, found {task['views']}")


def _known(value: Any, names: Iterable[str], key: str) -> None:
    names = list(names)
    if value not in names:
        raise ConfigError(f"{key}: {value!r} does not exist{hint(value, names)}; there are {', '.join(names)}")


def _known_key(name: str, names: Iterable[str], where: str, of: str) -> None:
    """Raise ConfigError if `of` takes no key `name` at the block `where`."""
    names = list(names)
    if name not in names:
        takes = ", ".join(names) or "no keys"
        raise ConfigError(f"{where}.{name}: {of} has no such keyword{hint(name, names)}; it takes {takes}")


def _columns(dataset: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    source = config["cohorts"][config["datasets"][dataset]["cohort"]]["source"]
    return constant(f"aeflow.sources.{source}", "OBS_COLUMNS")


def _check_filter(where: Mapping[str, Any], dataset: str, config: Mapping[str, Any], key: str) -> None:
    for column in where:
        _known(column, _columns(dataset, config), f"{key}, on dataset {dataset!r}: column")


def _check_cohort(name: str, config: Mapping[str, Any]) -> None:
    entry = config["cohorts"][name]
    if path_of(f"aeflow.sources.{entry['source']}") is None:
        known = sorted(path.stem for path in (PACKAGE / "sources").glob("[a-z]*.py"))
        raise ConfigError(
            f"cohorts.{name}.source: {entry['source']!r} has no file src/aeflow/sources/{entry['source']}.py"
            f"{hint(entry['source'], known)}; there are {', '.join(known)}"
        )
    if "gene_sets" in entry:
        _known(entry["gene_sets"], config["gene_sets"], f"cohorts.{name}.gene_sets")
    elif simulates(entry["source"]):
        raise ConfigError(f"cohorts.{name}: a simulated cohort needs the key gene_sets")
    keywords = options_of(entry["source"])
    key = f"cohorts.{name}.options"
    for option, value in entry["options"].items() if keywords else ():
        _known_key(option, keywords, key, f"source {entry['source']}")
        checked(value, f"aeflow.sources.{entry['source']}", keywords[option].annotation, f"{key}.{option}")
    for option, keyword in keywords.items():
        if keyword.required and option not in entry["options"] and option != "cohort":
            raise ConfigError(f"{key}.{option}: source {entry['source']} needs this key")
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
    module = f"aeflow.models.{entry['architecture'].rpartition('.')[0]}"
    for key in entry.keys() - Model.model_fields.keys():
        _known_key(key, [*allowed, *Model.model_fields], f"models.{name}", entry["architecture"])
    hyperparameters(name, config)
    for key, values in entry.get("choose", {}).items():
        _known_key(key, allowed, f"models.{name}.choose", entry["architecture"])
        if key in entry:
            raise ConfigError(f"models.{name}.{key}: {entry[key]!r} is given, and {values} to choose from")
        for value in values:
            checked(value, module, allowed[key].annotation, f"models.{name}.choose.{key}")
    conditions = entry.get("condition_on", [])
    if conditions and "n_covariates" not in info.keywords:
        raise ConfigError(f"models.{name}: {entry['architecture']} takes no key condition_on")
    if not conditions and "n_covariates" in info.keywords and info.keywords["n_covariates"].required:
        raise ConfigError(f"models.{name}: {entry['architecture']} needs the key condition_on")
    if ("mask" in info.keywords) != ("gene_sets" in entry):
        verb = "needs" if "mask" in info.keywords else "takes no"
        raise ConfigError(f"models.{name}: {entry['architecture']} {verb} key gene_sets")
    if "gene_sets" in entry:
        _known(entry["gene_sets"], config["gene_sets"], f"models.{name}.gene_sets")


def _check_training(config: Mapping[str, Any]) -> None:
    """Check the training keys that meet in a run: each is right by itself, together they may say something else."""
    for dataset, model in dict.fromkeys((cell.dataset, cell.model) for cell in cells(config)):
        architecture = config["models"][model]["architecture"]
        bases = class_info(architecture).bases
        if "AbstractClosedForm" in bases:
            continue
        settings = training_settings(dataset, model, config)
        if settings["warmup_epochs"] >= settings["max_epochs"]:
            raise ConfigError(
                f"training of model {model} on dataset {dataset}: warmup_epochs {settings['warmup_epochs']} leaves no "
                f"epoch of max_epochs {settings['max_epochs']} in which the penalty has its whole weight, beta; "
                "set one of them at training, at the dataset or at the model"
            )
        if settings["pretrain_epochs"] and "AbstractLayered" not in bases:
            raise ConfigError(
                f"training of model {model} on dataset {dataset}: pretrain_epochs {settings['pretrain_epochs']}, but "
                f"{architecture} has no layers to pretrain"
            )


def _check_tracking(config: Mapping[str, Any]) -> None:
    uri = config["tracking"].get("uri", "databricks")
    scheme, separator, place = uri.partition("://")
    if (not separator and uri != "databricks") or scheme.partition("+")[0] not in TRACKING_SCHEMES:
        raise ConfigError(
            f"tracking.uri: {uri!r} is no address of MLflow, such as sqlite:///FOLDER/runs.db or http://HOST:PORT; it "
            f"begins with {', '.join(TRACKING_SCHEMES)}"
        )
    if scheme.startswith("sqlite") and not place.startswith("/"):
        raise ConfigError(
            f"tracking.uri: {uri!r}: {place.partition('/')[0]!r} is read as a host; a path has three slashes before "
            "it, an absolute one four"
        )


def _check_baseline(config: Mapping[str, Any]) -> None:
    baseline = config["baseline"]
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
        known = _keywords(f"aeflow.evaluation.{entry['evaluation']}", f"evaluations.{name}.evaluation", "evaluate")
        standard = EVALUATIONS.get(name, entry["evaluation"])
        if standard != entry["evaluation"] or (name not in EVALUATIONS and entry["evaluation"] in EVALUATIONS.values()):
            raise ConfigError(
                f"evaluations.{name}: {entry['evaluation']} under this name; there always are "
                + ", ".join(f"{key} ({value})" for key, value in EVALUATIONS.items())
            )
        for option in entry:
            if option != "evaluation":
                _known_key(option, known, f"evaluations.{name}", entry["evaluation"])
                module = f"aeflow.evaluation.{entry['evaluation'].rpartition('.')[0]}"
                checked(entry[option], module, known[option].annotation, f"evaluations.{name}.{option}")
    for plugin in config["scores"]["families"]:
        _keywords(f"aeflow.scoring.{plugin}", "scores.families", "scores")


def _keywords(plugin: str, key: str, method: str) -> dict[str, Keyword]:
    """Return the keyword arguments of a plug-in's class; ConfigError, naming the key, if it is none with `method`."""
    module, cls = plugin.rsplit(".", 1)
    try:
        known = keywords_of(module, cls, "__init__")
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    if cls not in classes_with(module, method):
        raise ConfigError(f"{key}: {module}.{cls} has no method {method}, so it is no plug-in of this kind")
    return known

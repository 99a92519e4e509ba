"""The configuration: type, default, unit and meaning of every key.

`workflow/schemas/config.schema.yaml` and docs/configuration.md are generated from these classes
(`python -m aeflow.plan.configuration_page`). What must hold across blocks stands in `aeflow.plan.check`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, create_model

from aeflow.plan.values import STRICT
from aeflow.training.settings import TrainingSettings

Name = Annotated[str, StringConstraints(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
FileName = Annotated[str, StringConstraints(pattern="^[a-z_0-9]+$")]  # of a source, without its ending
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every library takes
Plugin = Annotated[str, StringConstraints(pattern=r"^[a-z_0-9.]+\.[A-Za-z0-9_]+$")]


def _each_once(values: list) -> list:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice")
    return values


Once = AfterValidator(_each_once)
Names = Annotated[list[Name], Field(min_length=1), Once]
Columns = Annotated[list[str], Once]
Filter = dict[str, Annotated[list[str | int | bool], Field(min_length=1), Once]]


def key(default: Any, meaning: str, unit: str = "", *, ordered: bool = False, **bounds: Any) -> Any:
    """Return the field of a key. A default of `...` makes it required; `ordered`: the order of its names counts."""
    extra = ({"unit": unit} if unit else {}) | ({"ordered": True} if ordered else {})
    return Field(default, description=meaning, json_schema_extra=extra or None, **bounds)


class Block(BaseModel):
    """Keys that stand together; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, **STRICT)


class OpenBlock(BaseModel):
    """Keys that stand together; others are keyword arguments of the class that the block names."""

    model_config = ConfigDict(extra="allow", frozen=True, **STRICT)


class GeneSets(Block):
    """A gene-set file in GMT format."""

    source: FileName = key(..., "Source in src/aeflow/download/registry/sources.yaml, such as msigdb.")
    path: str = key(..., "File of that source.", "path", min_length=1)
    min_genes: int = key(5, "A set with fewer genes among the data's variables is dropped.", "genes", ge=1)


class Gate(Block):
    """What is done about values that no tissue has, such as those ComBat blew up in RNAseqDB's normalized matrices."""

    max_value: float = key(..., "Values above it are gated.", "linear unit of the cohort", gt=0)
    action: Literal["clip", "drop_var", "error"] = key(
        ...,
        "Gated values of samples that stay are set to max_value; or their variables are dropped; or any gated value "
        "stops the job.",
    )
    max_per_obs: int | None = key(
        40,
        "A sample with more gated values is dropped and logged in dropped.parquet; null drops none. Of 913 normalized "
        "samples none has more than 25; samples that ComBat blew up have 72 and more (docs/decisions.md).",
        "values",
        ge=0,
    )


class CohortOptions(OpenBlock):
    """Keyword arguments of the source, documented in its file."""

    gate: Gate | None = key(
        None,
        "Of every source of expression; null does nothing. Default: clip at 2^20 for kind normalized of rnaseqdb, "
        "else null.",
    )


class Cohort(Block):
    """One aligned table of observations from one source."""

    source: FileName = key(..., "A file of src/aeflow/sources.")
    gene_sets: Name | None = key(None, "Gene sets that the programs of a simulated source follow (key of gene_sets).")
    options: CohortOptions = key(CohortOptions(), "Keyword arguments of the source, documented in its file.")


Share = Annotated[float, Field(gt=0, lt=1)]


class Fractions(Block):
    """Share of rows per split: train, val, test, with sum 1; by official val alone, of the published training rows."""

    train: Share | None = key(None, "Share of training rows.")
    val: Share = key(..., "Share of validation rows.")
    test: Share | None = key(None, "Share of test rows.")


class Split(Block):
    """Who goes where, before anything is fitted."""

    by: Literal["donor", "official"] = key(
        ..., "donor: no donor is in two splits. official: the published test set stays."
    )
    fractions: Fractions = key(..., "Share of rows per split.")
    stratify: Columns = key([], "Columns whose combinations are spread evenly.")


class Correct(Block):
    """A correction between studies, fitted on the rows of fit_on (docs/correction.md)."""

    method: str = key("none", "none, or file.Class below src/aeflow/correction.")
    options: dict[str, Any] = key({}, "Keyword arguments of the class's fit.")


class Steps(Block):
    """Preprocessing: split first, then steps in this order; fitted ones see training rows only."""

    split: Split = key(..., "Who goes where.")
    binarise: bool = key(False, "Static binarisation: values in [0, 1] drawn once as 0 or 1, by split_seed.")
    round: bool = key(False, "Round values to whole counts, for count models; before normalise.")
    normalise: Literal["none", "cpm", "upper_quartile"] = key(
        "none", "Per sample: counts per million, or the upper quartile of non-zero values to 1000."
    )
    log2p1: bool = key(False, "log2(x + 1).")
    correct: Correct = key(Correct(), "Correction between studies.")
    n_top_vars: int | None = key(
        None, "Keep the variables of largest median absolute deviation; null keeps all.", "variables", ge=1
    )
    scale: Literal["none", "standard"] = key("none", "standard: centre and divide by the standard deviation.")


class Generate(Block):
    """Draws of models."""

    n_draws: int = key(100, "Observations that a model draws by each sampler.", "rows", ge=1)
    noise: bool = key(True, "Draw from p(x given z), or take its mean.")
    gmm: int = key(
        0, "Gaussians of a mixture on training latents, from which every model draws, too; 0 means none.",
        "components", ge=0,
    )  # fmt: skip
    judge: str | None = key(None, "Column of classes; a classifier of it, trained by the workflow, judges draws.")


class ChallengeBlock(Block):
    """Harder questions to models of expression: diluted tumours, injected outlier genes, explanations."""

    task: Name = key(..., "Task whose normal and anomalous test rows are taken (key of tasks).")
    gene_sets: Name = key(..., "Gene sets that explanations are tested for (key of gene_sets).")


def _as_yaml(value: Any) -> str:
    """Return a number or name as a configuration would write it: 1.0e-08, not 1e-08."""
    return yaml.safe_dump(value).splitlines()[0]


def _not_null(value: Any) -> Any:
    """Return a value that was written: null would be taken for the level above, and may have been meant otherwise."""
    if value is None:
        raise ValueError("null is no value here; leave the key out to take that of the level above, or its default")
    return value


def _training_block() -> type[Block]:
    """Return the block of optional keys of `TrainingSettings`; what is not given is taken from the level above."""
    hints = get_type_hints(TrainingSettings)
    found: dict[str, Any] = {}
    for setting in fields(TrainingSettings):
        about = setting.metadata
        extra = {"default_text": _as_yaml(setting.default)} | ({"unit": about["unit"]} if about["unit"] else {})
        field = Field(None, description=about["meaning"], json_schema_extra=extra, **about["bounds"])
        found[setting.name] = (Annotated[hints[setting.name] | None, AfterValidator(_not_null)], field)
    doc = "How models are trained; a dataset's keys override these, a model's keys override both."
    return create_model("Training", __base__=Block, __doc__=doc, **found)


Training = _training_block()


class Dataset(Steps):
    """A cohort split and preprocessed, and what its runs are asked."""

    cohort: Name = key(..., "Key of cohorts.")
    split_seed: Seed = key(0, "Seed of the split.")
    fit_on: Name | None = key(None, "View whose training rows the fitted steps see. Default: all training rows.")
    training: Training = key(Training(), "Overrides of the top-level training keys on this dataset.")
    generate: Generate = key(Generate(), "Draws of models.")
    challenge: ChallengeBlock | None = key(None, "Harder questions to models of expression. Default: none are asked.")
    labels: Columns = key([], "Columns whose classes are read off the latents (representation metrics).")
    heads: Annotated[list[Literal["logistic", "knn", "mlp"]], Once] = key(
        ["logistic", "knn"], "Classifiers put on frozen latents to read off the labels."
    )
    batch_columns: Columns = key(
        ["study"], "Columns that a model should not find: what is read off latents about them is lower-is-better."
    )


class Model(OpenBlock):
    """A row of the leaderboard; keys beside these are keyword arguments of the class, documented in its file."""

    architecture: Plugin = key(..., "file.Class below src/aeflow/models.")
    gene_sets: Name | None = key(None, "For models shaped by gene sets (key of gene_sets).")
    condition_on: Annotated[list[str], Field(min_length=1), Once] | None = key(
        None,
        "For conditional models: columns of the sample sheet they are given; text and whole numbers are classes, "
        "decimals are scaled.",
    )
    permute: bool | None = key(None, "A control: train on rows whose columns are shuffled, each by itself.")
    choose: dict[str, Annotated[list[Any], Field(min_length=2), Once]] | None = key(
        None,
        "One keyword of the class and the values to try; the one of least validation reconstruction is kept.",
        min_length=1,
        max_length=1,
    )
    training: Training | None = key(None, "Overrides for this model of the top-level and the dataset's training keys.")


class Experiment(Block):
    """Cells to run, dataset x view x model x seed."""

    datasets: Names = key(..., "Keys of datasets.")
    views: Names = key(..., "Keys of views.")
    models: Names = key(..., "Keys of models.")
    seeds: Annotated[list[Seed], Field(min_length=1), Once] = key(..., "Seeds of weights, order of rows and draws.")


class ControlBlock(Block):
    """Two groups of normal rows that a score should not tell apart."""

    negative: Filter = key(..., "Rows of the one group.")
    positive: Filter = key(..., "Rows of the other.")


class TaskBlock(Block):
    """Anomaly detection on test rows."""

    datasets: Names = key(..., "Keys of datasets.")
    views: Names = key(..., "Keys of views.")
    anomaly: Literal["outside_view"] | Filter = key(
        ..., "Rows that are anomalies, or outside_view for all the run's view does not allow."
    )
    normal: Filter | None = key(None, "Rows that are normal. Default: the run's view.")
    control: ControlBlock | None = key(None, "Two groups of normal rows that the score should not tell apart.")
    choose_score: bool = key(
        False,
        "Choose model and score of each view by how well they find the validation anomalies of the other views: no "
        "test label, and nothing of the view's own anomalies, decides.",
    )


class GalleryBlock(Block):
    """Figures of what models do, from the runs of the smallest seed."""

    view: Name = key(..., "View whose runs are shown.")
    task: Name | None = key(None, "Task of the figures that compare normal rows with anomalies.")
    figures: dict[str, dict[Name, Name]] = key(
        ...,
        "file.function below src/aeflow/plots/gallery -> role -> model; the file says which roles it takes. They are "
        "drawn in the order written.",
        min_length=1,
        ordered=True,
    )


class Scores(Block):
    """Anomaly scores, and what they cost."""

    families: Annotated[list[Plugin], Field(min_length=1), Once] = key(
        ["deviation.Deviation", "density.Density", "proximity.Proximity", "combined.Combined", "baselines.Baselines"],
        "file.Class below src/aeflow/scoring, in the order of their columns.",
    )
    n_importance: int = key(16, "Posterior draws of the importance-weighted likelihood.", "draws", ge=1)
    mixture_rows: int = key(
        8000,
        "Training rows that the Gaussian mixture on latents sees; more allow more Gaussians, in proportional time.",
        "rows",
        ge=10,
    )


class EvaluationBlock(OpenBlock):
    """A question to every run; keys beside these are keyword arguments of the class."""

    evaluation: Plugin = key(..., "file.Class below src/aeflow/evaluation.")


EVALUATIONS = {
    "reconstruction": "reconstruction.Reconstruction",
    "detection": "detection.anomaly.Detection",
    "representation": "representation.latents.Representation",
    "subspace": "representation.subspace.Subspace",
    "generation": "generation.judging.Generation",
    "challenge": "challenge.questions.Challenge",
    "exports": "exports.Exports",
}


class Assess(Block):
    """Resources of rule assess."""

    gpu: int = key(0, "GPUs per assessment; 1 on a node without one is an error.", "devices", ge=0, le=1)


class Tracking(Block):
    """MLflow."""

    uri: str | None = key(
        None,
        "MLflow tracking URI. Default: the environment variable MLFLOW_TRACKING_URI, else SQLite below results/mlflow.",
        min_length=1,
    )


class Configuration(Block):
    """What to run. Unknown keys are errors; names are yours to choose, and become folder names."""

    cohorts: Annotated[dict[Name, Cohort], Field(min_length=1)] = key(..., "Aligned tables of observations.")
    gene_sets: dict[Name, GeneSets] = key({}, "Gene-set files.")
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)] = key(..., "Cohorts, split and preprocessed.")
    views: Annotated[dict[Name, Filter], Field(min_length=1)] = key(
        ...,
        "Named filters on training and validation rows (test rows are never filtered): column of the sample sheet -> "
        "allowed values; every column must match, {} allows every row.",
    )
    models: Annotated[dict[Name, Model], Field(min_length=1)] = key(..., "Rows of the leaderboard.")
    baseline: Name = key("pca", "The model that every other one is compared with (key of models).")
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)] = key(..., "Which cells to run.")
    tasks: dict[Name, TaskBlock] = key({}, "Anomaly detection on test rows.")
    gallery: dict[Name, GalleryBlock] = key({}, "Dataset -> figures of what its models do.")
    training: Training = key(Training(), "How models are trained.")
    scores: Scores = key(Scores(), "Anomaly scores.")
    evaluations: dict[Name, EvaluationBlock] = key(
        {}, f"Evaluations beside those there always are: {', '.join(EVALUATIONS.values())}."
    )
    gpu: int = key(0, "GPUs per training job; 1 on a node without one is an error.", "devices", ge=0, le=1)
    assess: Assess = key(Assess(), "Resources of rule assess.")
    tracking: Tracking = key(Tracking(), "Where MLflow keeps runs.")
    mirrors: dict[str, list[str]] = key(
        {},
        "Source -> further mirrors, tried first: a folder, an https URL, npm:... or pypi:..., with {path} in it.",
    )


NULL_MEANS_SOMETHING = ("n_top_vars", "gate", "max_per_obs")


def as_dict(block: Any, *, ordered: bool = False) -> Any:
    """Return a block as dictionaries, lists and values; keys without a value are left out.

    Snakemake plans a job anew when the text of its params changes, so the same content always gives the same text:
    keys come in the order of the classes, names of one's own and keyword arguments by the alphabet. `ordered` keeps the
    order in which they were written. A null that means something stays: `gate: null` asks for something else than no
    key gate.
    """
    if isinstance(block, BaseModel):
        found = {}
        for name, field in type(block).model_fields.items():
            value = getattr(block, name)
            written = name in block.model_fields_set or name == "n_top_vars"
            if value is not None or (name in NULL_MEANS_SOMETHING and written):
                found[name] = as_dict(value, ordered=bool((field.json_schema_extra or {}).get("ordered")))
        return found | as_dict(block.model_extra or {})
    if isinstance(block, dict):
        names = block if ordered else sorted(block, key=str)
        return {name: as_dict(block[name], ordered=ordered) for name in names}
    if isinstance(block, list):
        return [as_dict(value, ordered=ordered) for value in block]
    return block

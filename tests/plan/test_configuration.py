"""A wrong configuration stops before any job, naming key and value."""

import copy
from pathlib import Path

import pytest
import yaml

from aeflow.errors import ConfigError
from aeflow.plan import cells as grid
from aeflow.plan import configuration_page
from aeflow.plan.reading import read_configuration
from aeflow.plan.source_code import class_info, code_files
from aeflow.training.settings import TrainingSettings

ROOT = Path(__file__).parents[2]


def load(name="test", **overlay):
    config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    for path, value in overlay.items():
        node = config
        *parents, last = path.split("__")
        for key in parents:
            node = node[key]
        node[last] = value
    return config


def check(config):
    return read_configuration(copy.deepcopy(config))


@pytest.mark.parametrize("name", ["config", "corrections", "gtex_tcga", "test"])
def test_shipped_configurations_are_valid(name):
    """Breaks if a configuration of the repository cannot run."""
    assert grid.cells(check(load(name)))


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"trainning": {}}, r"trainning: there is no such key \(did you mean 'training'\?\); there are cohorts, "),
        ({"training__max_epoch": 3}, r"training.max_epoch: there is no such key \(did you mean 'max_epochs'\?\)"),
        ({"training__batch_size": "many"}, r"training.batch_size: input should be a valid integer; found 'many'"),
        ({"training__batch_size": 0}, r"training.batch_size: input should be greater than or equal to 1; found 0"),
        ({"training__learning_rate": True}, r"training.learning_rate: .*number; found True"),
        ({"datasets__mnist__scale": "standart"}, r"datasets.mnist.scale: 'standart' is none of .*mean 'standard'"),
        ({"datasets__mnist__split__by": "doner"}, r"datasets.mnist.split.by: 'doner' is none of .*mean 'donor'"),
        ({"datasets__mnist__heads": ["logistc"]}, r"datasets.mnist.heads.0: 'logistc' is none of .*mean 'logistic'"),
        ({"tasks__one_digit__anomaly": "outside"}, r"tasks.one_digit.anomaly: 'outside' is none of outside_view"),
        ({"models__ae": {"n_latent": 4}}, r"models.ae.architecture: this key is needed"),
        ({"models__ae__training": {"epochs": 4}}, r"models.ae.training.epochs: there is no such key"),
        ({"cohorts__simulated__options__gate": {"max_value": 9}}, r"options.gate.action: this key is needed"),
        (
            {"cohorts__simulated__options__gate": {"max_value": 9, "action": "clip", "max_per_sample": 3}},
            r"options.gate.max_per_sample: there is no such key",
        ),
        ({"training__learning_rate": "fast"}, r"training.learning_rate: .*number; found 'fast'"),
        ({"training__learning_rate": float("inf")}, r"training.learning_rate: .*finite number; found inf"),
        ({"training__beta": float("nan")}, r"training.beta: .*finite number; found nan"),
        ({"datasets__mnist__cohort": False}, r"datasets.mnist.cohort: .*found False: YAML reads yes, no"),
        (
            {"tasks__tumour__anomaly": {"condition": "tumour"}},
            r"^tasks.tumour.anomaly.condition: input should be a valid list",
        ),
        ({"cohorts__mnist__options__n_trian": 3}, r"cohorts.mnist.options.n_trian: source mnist .*mean 'n_train'"),
        ({"models__vae__likelihood": "bernouli"}, r"models.vae.likelihood: 'bernouli' .*did you mean 'bernoulli'"),
        ({"models__ae__choose": {"network": ["mlp", "cov"]}}, r"models.ae.choose.network: 'cov' .*did you mean 'conv'"),
        ({"datasets__mnist__split_seed": -1}, r"datasets.mnist.split_seed: .*greater than or equal to 0; found -1"),
        (
            {"experiments__images__seeds": [2**32]},
            r"experiments.images.seeds.0: .*less than 4294967296; found 4294967296",
        ),
        ({"cohorts__mnist__source": ""}, r"cohorts.mnist.source: .*match pattern .*; found ''"),
        ({"gpu": 2}, r"gpu: input should be less than or equal to 1; found 2"),
        ({"assess": {"gpu": 2}}, r"assess.gpu: input should be less than or equal to 1; found 2"),
        ({"experiments__images__seeds": [0, 0]}, r"experiments.images.seeds: 0 is named twice"),
        ({"cohorts__mnist__options__n_train": "many"}, r"cohorts.mnist.options.n_train: .*valid integer.*found 'many'"),
        ({"cohorts__simulated__options__purity": "high"}, r"cohorts.simulated.options.purity: .*found 'high'"),
        ({"cohorts__simulated__options__study_effect": [1]}, r"cohorts.simulated.options.study_effect: .*found \[1\]"),
        (
            {"cohorts__mnist": {"source": "rnaseqdb", "options": {"kind": "expected_count", "donors": "no"}}},
            r"cohorts.mnist.options.donors: .*valid boolean.*found 'no'",
        ),
        (
            {"cohorts__mnist": {"source": "gdc", "options": {"kind": "counts", "manifest": "man.txt"}}},
            r"cohorts.mnist.options.metadata: source gdc needs this key",
        ),
        ({"training__patience": None}, r"training.patience: null is no value here; leave the key out"),
        ({"models__vae__training": {"clip_norm": None}}, r"models.vae.training.clip_norm: null is no value here"),
        ({"views__digit3": {"digit": [3, 3]}}, r"views.digit3.digit: 3 is named twice"),
        (
            {"evaluations": {"own": {"evaluation": "metric.Metric"}}},
            r"evaluations.own.evaluation: .* no method evaluate",
        ),
        (
            {"evaluations": {"own": {"evaluation": "exports.Exports"}}},
            r"evaluations.own: exports.Exports under this name; there always are reconstruction \(",
        ),
        ({"evaluations": {"exports": {"evaluation": "own.Own"}}}, r"evaluations.exports.evaluation: .*does not exist"),
        (
            {"evaluations": {"reconstruction": {"evaluation": "exports.Exports"}}},
            r"evaluations.reconstruction: exports.Exports under this name",
        ),
        ({"scores": {"families": ["names.score_columns"]}}, r"scores.families: .*has no class score_columns"),
        ({"scores": {"families": ["space.Standardised"]}}, r"scores.families: .*has no method scores"),
        ({"tasks__tumour__views": ["digit3"]}, r"tasks.tumour: asked of no run: no experiment runs .*'simulated'"),
        (
            {"datasets__simulated__challenge__task": "one_digit"},
            r"datasets.simulated.challenge.task: tasks.one_digit.datasets does not name 'simulated'",
        ),
        ({"tracking": {"uri": "runs.db"}}, r"tracking.uri: 'runs.db' is no address of MLflow"),
        ({"tracking": {"uri": "ftp://host/x"}}, r"tracking.uri: 'ftp://host/x' is no address of MLflow"),
        ({"tracking": {"uri": "sqlite://runs.db"}}, r"tracking.uri: .*'runs.db' is read as a host"),
        ({"tracking": {"uri": ""}}, r"tracking.uri: .*at least 1 character; found ''"),
        ({"baseline": "pcaa"}, r"baseline: 'pcaa' does not exist \(did you mean 'pca'\?\)"),
        ({"scores": {"families": ["densty.Density"]}}, r"scores.families: aeflow.scoring.densty does not exist"),
        (
            {"evaluations": {"own": {"evaluation": "own.Own"}}},
            r"evaluations.own.evaluation: .*own does not exist",
        ),
        ({"datasets__simulated__batch_columns": ["stdy"]}, r"datasets.simulated.batch_columns: 'stdy' does not exist"),
    ],
)
def test_types_keys_and_choices(overlay, message):
    """Breaks if an unknown key, a wrong type or choice is accepted, or the message does not name the key."""
    with pytest.raises(ConfigError, match=message):
        check(load(**overlay))


@pytest.mark.parametrize(
    ("overlays", "keys"),
    [
        ({"trainning": {}, "gpu": 2, "datasets__mnist__scale": "x"}, ("trainning", "gpu", "datasets.mnist.scale")),
        (
            {"models__ae__activation": "rellu", "models__gsae__n_latents": 3, "datasets__mnist__labels": ["digits"]},
            ("models.ae.activation", "models.gsae.n_latents", "datasets.mnist.labels"),
        ),
        (
            {"datasets__mnist__cohort": "minst", "baseline": "pcaa", "experiments__images__views": ["digit33"]},
            ("datasets.mnist.cohort", "baseline", "experiments.images.views"),
        ),
    ],
)
def test_all_faults_are_told_at_once(overlays, keys):
    """Breaks if a user has to start once for every fault."""
    with pytest.raises(ConfigError) as caught:
        check(load(**overlays))
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == sorted(keys)


def test_several_faults_are_named_at_once():
    """Breaks if a person has to start the workflow once for every mistake."""
    with pytest.raises(ConfigError) as caught:
        check(load(gpu=-1, trainning={}, datasets__mnist__scale="none_"))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "datasets.mnist.scale",
        "gpu",
        "trainning",
    ]


def test_numbers_are_read_as_everyone_writes_them():
    """Breaks if 1e-3, which YAML 1.1 takes for text, is refused, or a text of the sample sheet becomes a number."""
    config = load(training__learning_rate="1e-3", models__ae__dropout="1E-1", views__digit3={"official_split": ["1e3"]})
    found = check(config)
    assert found["training"]["learning_rate"] == 0.001
    assert grid.hyperparameters("ae", found)["dropout"] == 0.1
    assert found["views"]["digit3"] == {"official_split": ["1e3"]}


def test_a_closed_form_needs_no_warm_up():
    """Breaks if PCA, which is not trained by epochs, stops a configuration whose warm-up is long for other models."""
    config = load(training={"max_epochs": 2}, datasets__simulated__training={"warmup_epochs": 2})
    config["experiments"] = {"e": {"datasets": ["simulated"], "views": ["normal"], "models": ["pca"], "seeds": [0]}}
    for part in ("gallery", "tasks"):
        config.pop(part, None)
    config["datasets"]["simulated"].pop("challenge")
    assert check(config)


def test_a_whole_configuration_is_stable():
    """Breaks if defaults are filled in twice, or the order of keys follows the author: both would plan jobs anew."""
    once = check(load())
    again = check(once)
    assert again == once
    turned = load()
    turned["datasets"] = {name: dict(reversed(entry.items())) for name, entry in turned["datasets"].items()}
    assert repr(check(turned)["datasets"]) == repr(once["datasets"])


def test_a_null_that_means_something_is_kept():
    """Breaks if `gate: null`, which turns a default gate off, is taken for no key at all."""
    assert check(load(cohorts__simulated__options__gate=None))["cohorts"]["simulated"]["options"]["gate"] is None
    assert "gate" not in check(load())["cohorts"]["simulated"]["options"]
    assert check(load())["datasets"]["mnist"]["n_top_vars"] is None
    assert "fit_on" not in check(load())["datasets"]["mnist"]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"models__ae__architecture": "autoencoder.AE"}, r"models.ae: .*no file models/autoencoder.py; known: ae, "),
        ({"models__ae__architecture": "ae.AutoEncoder"}, r"models.ae: .*has no class AutoEncoder; it has \['AE'\]"),
        ({"models__ae__n_latents": 3}, r"models.ae.n_latents: ae.AE has no such keyword \(did you mean 'n_latent'\?\)"),
        ({"models__ae__n_latent": "three"}, r"models.ae.n_latent: .*valid integer.*; found 'three'"),
        ({"models__ae__n_latent": 0}, r"models.ae.n_latent: .*greater than or equal to 1; found 0"),
        ({"models__pca__n_latent": -1}, r"models.pca.n_latent: .*greater than or equal to 1; found -1"),
        ({"models__ae__n_hidden": [16, "x"]}, r"models.ae.n_hidden.1: .*valid integer.*; found 'x'"),
        ({"models__ae__dropout": True}, r"models.ae.dropout: input should be a valid number; found True"),
        (
            {"models__ae__n_latent": 4, "models__ae__choose": {"n_latent": [2, 4]}},
            r"models.ae.n_latent: 4 is given, and",
        ),
        (
            {"models__vae__training": {"max_epochs": 10, "warmup_epochs": 10}},
            r"model vae on dataset mnist: warmup_epochs 10 leaves no epoch of max_epochs 10",
        ),
        (
            {"datasets__mnist__training": {"warmup_epochs": 50}},
            r"training of model \w+ on dataset mnist: warmup_epochs 50 leaves no epoch of max_epochs",
        ),
        (
            {"datasets__simulated__correct": {"method": "transport.Transport"}},
            r"datasets.simulated.correct.options.reference: transport.Transport needs this key",
        ),
        (
            {"datasets__simulated__correct": {"method": "zscore.ZScore", "options": {"min_sd": 0}}},
            r"datasets.simulated.correct.options.min_sd: .*greater than 0; found 0",
        ),
        ({"models__gsae": {"architecture": "gsae.GSAE"}}, r"models.gsae: gsae.GSAE needs key gene_sets"),
        ({"models__ae__gene_sets": "hallmark"}, r"models.ae: ae.AE takes no key gene_sets"),
        ({"models__gsae__gene_sets": "reactome"}, r"models.gsae.gene_sets: 'reactome' does not exist"),
        ({"views__digit3": {"number": [3]}}, r"views.digit3, on dataset 'mnist': column: 'number' does not exist"),
        ({"experiments__images__views": ["digit33"]}, r"experiments.images.views: 'digit33' .*did you mean 'digit3'"),
        ({"experiments__images__models": ["vae"]}, r"dataset mnist, view digit3, seed 0 has no model pca"),
        ({"tasks__tumour__anomaly": {"state": ["x"]}}, r"tasks.tumour.anomaly, .*column: 'state' does not exist"),
        ({"cohorts__mnist__source": "fashion"}, r"cohorts.mnist.source: 'fashion' has no file"),
        ({"cohorts__simulated__options__tissues": ["kidny"]}, r"kidny"),
        (
            {"cohorts__simulated__options__n_patients": 3},
            r"cohorts.simulated.options.n_patients: source simulated has no such",
        ),
        ({"datasets__mnist__cohort": "minst"}, r"datasets.mnist.cohort: 'minst' .*did you mean 'mnist'"),
        ({"datasets__mnist__split__by": "donor"}, r"datasets.mnist.split.by: 'donor' needs a column 'donor_id'"),
        ({"datasets__simulated__split__stratify": ["sex_"]}, r"datasets.simulated.split.stratify: 'sex_' does not"),
        ({"datasets__simulated__split__fractions__test": 0.5}, r"sum to 1.2, not 1"),
        ({"datasets__simulated__fit_on": "normals"}, r"datasets.simulated.fit_on: 'normals' .*did you mean 'normal'"),
    ],
)
def test_names_and_types_the_schema_cannot_see(overlay, message):
    """Breaks if a job has to start before the mistake is found, or the message does not name it."""
    with pytest.raises(ConfigError, match=message):
        check(load(**overlay))


@pytest.mark.parametrize(
    ("path", "text"),
    [(configuration_page.SCHEMA, configuration_page.schema), (configuration_page.PAGE, configuration_page.page)],
)
def test_generated_files_are_up_to_date(path, text):
    """Breaks if the configuration's classes were changed without `make docs`."""
    assert (ROOT / path).read_text() == text(), f"{path} is stale: run `make docs`"


def test_every_key_is_documented():
    """Breaks if a key has no meaning, or the page leaves a block out."""
    page = configuration_page.page()
    for block in ("Top level", "`cohorts.*.options.gate`", "`datasets.*.split.fractions`", "`models.*`", "`assess`"):
        assert f"## {block}\n" in page
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 90
    assert all(len(row[4].strip(" |")) > 8 and row[4].strip(" |") != "None" for row in rows)


def test_shipped_configurations_follow_the_schema():
    """Breaks if an editor that reads the generated schema refuses what the workflow accepts."""
    import jsonschema

    for path in sorted((ROOT / "config").glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        if "experiments" in content and "datasets" in content:  # the others override one of these
            jsonschema.validate(content, yaml.safe_load(configuration_page.schema()))


def test_training_settings_are_declared_once():
    """Breaks if the configuration and the training loop differ in a key, or a bound lets a senseless value through."""
    from aeflow.plan.configuration import Training

    assert list(Training.model_fields) == list(vars(TrainingSettings()))
    for name, value in vars(TrainingSettings()).items():
        assert getattr(Training.model_validate({name: value}), name) == value


def test_code_of_a_rule_is_what_it_imports():
    """Breaks if editing vae.py plans another model's runs, or editing a shared module misses some."""
    files = lambda *modules: {Path(p).stem for p in code_files(*modules)}  # noqa: E731
    assert {"vae", "base", "layers", "losses"} <= files("aeflow.models.vae")
    assert not {"ae", "gsae", "pca"} & files("aeflow.models.vae", "aeflow.training.fit", "aeflow.training.describe")
    assert "scores" not in files("aeflow.training.fit")


def test_class_info_reads_without_importing():
    """Breaks if signatures are read wrongly from the source."""
    info = class_info("gsae.GSAE")
    assert info.keywords["mask"].required
    assert info.keywords["n_latent"] == ("Size", False)
    assert "AbstractGenerative" in class_info("vae.VAE").bases


def test_code_of_a_module_that_is_gone_is_an_error():
    """Breaks if a renamed module falls out of a rule's input without a word, so that its edits plan nothing."""
    with pytest.raises(ConfigError, match=r"aeflow\.plots\.no_such_file has no file"):
        code_files("aeflow.plots.no_such_file")

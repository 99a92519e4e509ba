"""A wrong configuration stops before any job, naming key and value."""

import copy
from pathlib import Path

import pytest
import yaml

from aeflow.errors import ConfigError
from aeflow.plan import cells as grid
from aeflow.plan import config as aeflow_config
from aeflow.plan.corrections import correction_modules, known_methods
from aeflow.plan.source_code import class_info, code_files

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def load(name="test", **overlay):
    config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    for path, value in overlay.items():
        node = config
        *parents, last = path.split("__")
        for key in parents:
            node = node[key]
        node[last] = value
    return config


def chain(*steps):
    """The entry `correct` of a chain."""
    return {"method": "chain.Chain", "options": {"steps": list(steps)}}


def check(config):
    from snakemake.utils import validate

    config = copy.deepcopy(config)
    validate(config, str(SCHEMA))
    aeflow_config.check(config)
    return config


@pytest.mark.parametrize("name", ["config", "corrections", "gtex_tcga", "test"])
def test_shipped_configurations_are_valid(name):
    """Breaks if a configuration of the repository cannot run."""
    assert grid.cells(check(load(name)))


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"trainning": {}}, "'trainning' was unexpected"),
        ({"training__max_epoch": 3}, "'max_epoch' was unexpected"),
        ({"training__batch_size": "many"}, "'many' is not of type 'integer'"),
        ({"datasets__mnist__scale": "minmax"}, "'minmax' is not one of"),
        ({"gpu": 2}, "2 is greater than the maximum of 1"),
        ({"experiments__images__seeds": [0, 0]}, "non-unique"),
    ],
)
def test_schema_refuses(overlay, message):
    """Breaks if an unknown key or a wrong type is accepted."""
    from snakemake.exceptions import WorkflowError

    with pytest.raises(WorkflowError, match=message):
        check(load(**overlay))


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"models__ae__architecture": "autoencoder.AE"}, r"models.ae: .*no file models/autoencoder.py; known: ae, "),
        ({"models__ae__architecture": "ae.AutoEncoder"}, r"models.ae: .*has no class AutoEncoder; it has \['AE'\]"),
        ({"models__ae__n_latents": 3}, r"models.ae, .*'n_latents' does not exist \(did you mean 'n_latent'\?\)"),
        ({"models__ae__n_latent": "three"}, r"models.ae.n_latent: 'three' is not of type int"),
        ({"models__ae__n_hidden": [16, "x"]}, r"models.ae.n_hidden: \[16, 'x'\] is not of type Sequence\[int\]"),
        ({"models__ae__dropout": True}, r"models.ae.dropout: True is not of type float"),
        ({"models__gsae": {"architecture": "gsae.GSAE"}}, r"models.gsae: gsae.GSAE needs key gene_sets"),
        ({"models__ae__gene_sets": "hallmark"}, r"models.ae: ae.AE takes no key gene_sets"),
        ({"models__gsae__gene_sets": "reactome"}, r"models.gsae.gene_sets: 'reactome' does not exist"),
        ({"views__digit3": {"number": [3]}}, r"views.digit3, on dataset 'mnist': column: 'number' does not exist"),
        ({"experiments__images__views": ["digit33"]}, r"experiments.images.views: 'digit33' .*did you mean 'digit3'"),
        ({"experiments__images__models": ["vae"]}, r"dataset mnist, view digit3, seed 0 has no model pca"),
        ({"tasks__tumour__anomaly": {"state": ["x"]}}, r"tasks.tumour.anomaly, .*column: 'state' does not exist"),
        ({"cohorts__mnist__source": "fashion"}, r"cohorts.mnist.source: 'fashion' has no file"),
        ({"cohorts__simulated__options__tissues": ["kidny"]}, r"kidny"),
        ({"cohorts__simulated__options__n_patients": 3}, r"cohorts.simulated.options .*n_patients"),
        ({"datasets__mnist__cohort": "minst"}, r"datasets.mnist.cohort: 'minst' .*did you mean 'mnist'"),
        ({"datasets__mnist__split__by": "donor"}, r"datasets.mnist.split.by: 'donor' needs a column 'donor_id'"),
        ({"datasets__simulated__split__stratify": ["sex_"]}, r"datasets.simulated.split.stratify: 'sex_' does not"),
        ({"datasets__simulated__split__fractions__test": 0.5}, r"sum to 1.2, not 1"),
        (
            {"datasets__simulated__correct": {"method": "combat.ComBat", "options": {"referense": "TCGA"}}},
            r"did you mean 'reference'",
        ),
        (
            {"datasets__mnist__correct": {"method": "combat.ComBat"}},
            r"datasets.mnist.correct.method: 'combat.ComBat' needs a column 'study'",
        ),
        (
            {"datasets__simulated__correct": {"method": "combat"}},
            r"datasets.simulated.correct.method: 'combat' does not exist .did you mean 'combat.ComBat'",
        ),
        (
            {"datasets__simulated__correct": {"method": "none.NoCorrection"}},
            r"'none.NoCorrection' does not exist .did you mean 'none'",
        ),
        (
            {"datasets__simulated__correct": chain({"method": "support.Support"}, {"method": "align"})},
            r"datasets.simulated.correct.options.steps\[1\].method: 'align' does not .*'alignment.Align'",
        ),
        (
            {"datasets__simulated__correct": chain({"method": "support.Support", "limt": 2})},
            r"correct.options.steps\[0\], of support.Support: 'limt' does not exist .did you mean 'limit'",
        ),
        ({"datasets__simulated__correct": chain({"limit": 2})}, r"steps\[0\]: needs the key method, found .*limit"),
        (
            {"datasets__simulated__correct": chain()},
            r"options.steps, of chain.Chain: needs a list of steps, found \[\]",
        ),
        (
            {
                "datasets__simulated__correct": {
                    "method": "per_tissue.PerTissue",
                    "options": {"method": "chain.Chain", "options": {"steps": [{"method": "ruv"}]}},
                }
            },
            r"datasets.simulated.correct.options.options.steps\[0\].method: 'ruv' does not .*'ruv.RUV'",
        ),
        ({"datasets__simulated__fit_on": "normals"}, r"datasets.simulated.fit_on: 'normals' .*did you mean 'normal'"),
    ],
)
def test_names_and_types_the_schema_cannot_see(overlay, message):
    """Breaks if a job has to start before the mistake is found, or the message does not name it."""
    with pytest.raises(ConfigError, match=message):
        check(load(**overlay))


def test_every_key_is_documented_with_its_default():
    """Breaks if a key with a default has no description that states it."""
    undocumented = []

    def walk(node, path):
        if not isinstance(node, dict):
            return
        for name, child in (node.get("properties") or {}).items():
            here = f"{path}.{name}"
            leaf = isinstance(child, dict) and ("type" in child or "enum" in child) and child.get("type") != "object"
            if leaf and "description" not in child and path.rsplit(".", 1)[-1] != "fractions":
                undocumented.append(here)
            walk(child, here)
        for key in ("additionalProperties", "items"):
            walk(node.get(key), path)

    walk(yaml.safe_load(SCHEMA.read_text()), "config")
    assert [p for p in undocumented if not p.endswith(("datasets", "views", "models", "seeds"))] == []


def test_training_defaults_agree_with_the_code():
    """Breaks if the schema promises another default than the training loop has."""
    from aeflow.training.fit import TrainingSettings

    properties = yaml.safe_load(SCHEMA.read_text())["$defs"]["training"]["properties"]
    for name, value in vars(TrainingSettings()).items():
        stated = properties[name]["description"].rsplit("Default ", 1)[1].rstrip(".")
        assert stated == str(value) if isinstance(value, str) else float(stated) == value, name


def test_code_of_a_rule_is_what_it_imports():
    """Breaks if editing vae.py plans another model's runs, or editing a shared module misses some."""
    files = lambda *modules: {Path(p).stem for p in code_files(*modules)}  # noqa: E731
    assert {"vae", "base", "layers", "losses"} <= files("aeflow.models.vae")
    assert not {"ae", "gsae", "pca"} & files("aeflow.models.vae", "aeflow.training.fit", "aeflow.training.describe")
    assert "scores" not in files("aeflow.training.fit")


def test_class_info_reads_without_importing():
    """Breaks if signatures are read wrongly from the source."""
    info = class_info("gsae.GSAE")
    assert info.required == {"mask"}
    assert info.keywords["n_latent"] == "int"
    assert "AbstractGenerative" in class_info("vae.VAE").bases


def test_modules_of_a_correction_are_those_of_every_step():
    """Breaks if a changed file of an inner correction does not make preprocess run again."""
    inner = chain({"method": "support.Support"}, {"method": "zscore.ZScore"}, {"method": "support.Support"})
    entry = {"method": "per_tissue.PerTissue", "options": inner}
    files = ["per_tissue", "chain", "support", "zscore"]
    found = correction_modules({"method": "per_tissue.PerTissue", "options": inner | {"single_study": "keep"}})
    assert found == correction_modules(entry) == [f"aeflow.correction.{file}" for file in files]
    assert correction_modules({"method": "none"}) == ["aeflow.correction.none"]


def test_corrections_read_from_source_are_those_that_can_be_imported():
    """Breaks if the check before the start and the job disagree on which corrections or options there are."""
    from aeflow.correction import correction_class
    from aeflow.plan.source_code import keywords_of

    methods = known_methods()
    assert methods[0] == "none" and {"combat.ComBat", "alignment.Align", "wang2018.Wang2018"} < set(methods)
    for method in methods[1:]:
        kind = correction_class(method)
        assert kind.method() == method
        assert list(keywords_of(kind.__module__, kind.__name__, "fit")) == kind.option_names()


def test_no_two_files_of_the_package_have_the_same_name():
    """Breaks if a traceback or a message that names a file by its stem could mean another one."""
    stems = [path.stem for path in (ROOT / "src" / "aeflow").rglob("*.py") if path.stem != "__init__"]
    assert sorted(stems) == sorted(set(stems))

"""The fitted steps applied to raw rows: those of the cohort come out as the dataset has them, others as they would."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from aeflow.dataset import FILES, SPLITS
from aeflow.dataset.dataset import Dataset
from aeflow.dataset.preprocess import preprocess, write_dataset
from aeflow.dataset.split import split_rows
from aeflow.dataset.transform import Transform
from aeflow.errors import ConfigError, DataError
from aeflow.table import Table

OPTIONS = {
    "split": {
        "by": "donor",
        "fractions": {"train": 0.6, "val": 0.15, "test": 0.25},
        "stratify": ["study", "tissue", "condition"],
    },
    "binarise": False,
    "round": False,
    "normalise": "none",
    "log2p1": False,
    "correct": {"method": "none", "options": {}},
    "n_top_vars": None,
    "scale": "none",
}
CONFIGS = Path(__file__).parents[2] / "config"
NORMAL = {"condition": ["normal"]}
LOGGED = {"normalise": "upper_quartile", "log2p1": True}
ALIGN = {"method": "alignment.Align", "n_components": 3}


def correct(method, /, **options):
    """Options of a dataset with this correction and every other fitted step."""
    return LOGGED | {"correct": {"method": method, "options": options}, "n_top_vars": 60, "scale": "standard"}


VARIANTS = {  # what config/*.yaml ask for, and every correction
    "plain": {},
    "standard": {"scale": "standard"},
    "cpm": {"normalise": "cpm"},
    "round": {"round": True},
    "binarise": {"binarise": True},
    "expression": LOGGED | {"n_top_vars": 60, "scale": "standard"},
    "combat": correct("combat.ComBat", reference="TCGA"),
    "combat with covariates": correct("combat.ComBat", covariates=True),
    "quantile": correct("quantile.Quantile", reference="TCGA"),
    "zscore": correct("zscore.ZScore"),
    "support": correct("support.Support"),
    "align": correct("alignment.Align", n_components=3),
    "ruv": correct("ruv.RUV", n_factors=2),
    "transport": correct("transport.Transport", reference="GTEx", n_components=3),
    "conditional_ae": correct("conditional_ae.ConditionalAE", reference="GTEx", n_components=3, n_steps=20),
    "per_tissue": correct("per_tissue.PerTissue", method="zscore.ZScore"),
    "chain": correct("chain.Chain", steps=[{"method": "support.Support"}, {"method": "zscore.ZScore"}, ALIGN]),
    "wang2018": correct("wang2018.Wang2018"),
}


def cohort(variant="expression", n_donors=80, n_vars=150, seed=0) -> Table:
    """Fractional counts, or grey values where the variant is to be binarised; studies and tissues differ."""
    rng = np.random.default_rng(seed)
    rows = []
    for d in range(n_donors):
        study = "GTEx" if d % 2 else "TCGA"
        tissue = "lung" if d % 4 < 2 else "kidney"
        rows.append((f"{study}-{d}", study, tissue, "normal"))
        if d % 3 == 0:
            rows.append((f"{study}-{d}", study, tissue, "tumour" if study == "TCGA" else "normal"))
    obs = pd.DataFrame(rows, columns=["donor_id", "study", "tissue", "condition"])
    obs.insert(0, "sample_id", [f"s{i}" for i in range(len(obs))])
    mean = rng.gamma(2.0, 100.0, n_vars) * np.where(obs["tissue"] == "lung", 1.0, 1.7)[:, None]
    X = rng.negative_binomial(3, 3 / (3 + mean)) + rng.random((len(obs), n_vars))
    X[rng.random(X.shape) < 0.05] = 0
    X[(obs["study"] == "GTEx").to_numpy(), : n_vars // 2] *= 1.4
    if variant == "binarise":
        X = X / X.max()
    unit = "intensity" if variant == "binarise" else "counts"
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(n_vars)], "gene_name": [f"N{j}" for j in range(n_vars)]})
    return Table(X.astype(np.float32), obs, var, unit)


def fitted(variant="expression", **changes):
    """Table and transform of a variant."""
    return preprocess(cohort(variant), OPTIONS | VARIANTS[variant] | changes, NORMAL, seed=0)


def new_rows(n=6, **columns) -> Table:
    """Raw rows that are not of the cohort."""
    other = cohort(seed=9).select(rows=np.arange(n))
    other.obs = other.obs.assign(sample_id=[f"new{i}" for i in range(n)], **columns)
    return other


@pytest.mark.parametrize("variant", VARIANTS)
def test_raw_rows_of_a_split_become_the_rows_on_disk(variant, tmp_path):
    """Breaks if a saved transform takes another step, order or fitted value than made the dataset: every bit counts."""
    table, transform = fitted(variant)
    write_dataset(tmp_path, "small", "simulated", table, transform)
    dataset = Dataset.open(tmp_path)
    raw = cohort(variant)
    for split in SPLITS:
        rows = (table.obs["split"] == split).to_numpy()
        expected = dataset.rows(split)
        found = dataset.transform.apply(raw.select(rows=rows))
        assert found.X.tobytes() == expected.X.tobytes() and found.unit == expected.unit == dataset.unit
        pd.testing.assert_frame_equal(found.var, expected.var)
        pd.testing.assert_frame_equal(found.obs.assign(split=split), expected.obs)
    whole = dataset.transform.apply(raw)
    assert whole.X.tobytes() == table.X.tobytes()
    assert transform.unit_before_scale == dataset.unit_before_scale


def configured():
    """The steps of every dataset in config/*.yaml, each combination once."""
    found = {}
    for path in sorted(CONFIGS.glob("*.yaml")):
        for name, entry in (yaml.safe_load(path.read_text()).get("datasets") or {}).items():
            steps = {key: entry[key] for key in OPTIONS if key in entry and key != "split"}
            found.setdefault(json.dumps(steps, sort_keys=True), (f"{path.stem}:{name}", steps))
    return list(found.values())


@pytest.mark.parametrize("steps", [steps for _, steps in configured()], ids=[name for name, _ in configured()])
def test_every_configured_combination(steps, tmp_path):
    """Breaks if a dataset that ships with a configuration cannot be applied to its own raw rows, bit for bit."""
    raw = cohort("binarise" if steps.get("binarise") else "expression")
    if "correct" in steps:
        steps = steps | {"correct": {"options": {}} | steps["correct"]}
    if steps.get("n_top_vars"):
        steps = steps | {"n_top_vars": 100}
    table, transform = preprocess(raw, OPTIONS | steps, NORMAL, 0)
    transform.save(tmp_path)
    rows = (table.obs["split"] == "test").to_numpy()
    assert Transform.load(tmp_path).apply(raw.select(rows=rows)).X.tobytes() == table.X[rows].tobytes()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_row_does_not_depend_on_its_company(variant):
    """Breaks if a row's values change, beyond the last digit, with the rows that it is given with."""
    _, transform = fitted(variant)
    raw = cohort(variant)
    whole = transform.apply(raw).X
    for i in (0, 7, raw.n_obs - 1):
        alone = transform.apply(raw.select(rows=np.array([i]))).X[0]
        np.testing.assert_allclose(alone, whole[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("variant", ["expression", "binarise", "combat", "chain"])
def test_fit_is_what_preprocess_uses(variant):
    """Breaks if the transform of the workflow is another one than `Transform.fit` returns."""
    raw = cohort(variant)
    options = OPTIONS | VARIANTS[variant]
    split = split_rows(raw.obs, options["split"], 0)
    table, transform = fitted(variant)
    again = Transform.fit(raw, options, NORMAL, 0, split)
    assert again.to_json() == transform.to_json()
    assert again.apply(raw).X.tobytes() == table.X.tobytes()


def test_files_are_equal_for_equal_fits(tmp_path):
    """Breaks if a repeated job, or a loaded and saved transform, writes other bytes."""
    _, transform = fitted("combat")
    transform.save(tmp_path / "first")
    fitted("combat")[1].save(tmp_path / "second")
    Transform.load(tmp_path / "first").save(tmp_path / "third")
    for name in (FILES["transform"], FILES["correction"]):
        first = (tmp_path / "first" / name).read_bytes()
        assert first == (tmp_path / "second" / name).read_bytes() == (tmp_path / "third" / name).read_bytes()
    content = json.loads((tmp_path / "first" / FILES["transform"]).read_text())
    assert content["variables"] == cohort().var["var_id"].tolist() and len(content["var_id"]) == 60


def test_new_rows_by_hand():
    """Breaks if a new row is normalised over the selected variables alone, or scaled by the new rows."""
    table, transform = fitted()
    new = new_rows()
    X = np.empty(new.X.shape)
    for i, row in enumerate(new.X.astype(np.float64)):
        X[i] = np.log2(row / np.percentile(row[row > 0], 75) * 1000 + 1)
    keep = new.var["var_id"].isin(table.var["var_id"]).to_numpy()
    expected = (X[:, keep] - table.var["centre"].to_numpy()) / table.var["scale"].to_numpy()
    found = transform.apply(new)
    np.testing.assert_allclose(found.X, expected, atol=1e-4)
    assert found.var["gene_name"].tolist() == table.var["gene_name"].tolist()


def test_variables_are_aligned_by_their_ids():
    """Breaks if the variables of a new table are taken by position."""
    _, transform = fitted()
    new = new_rows()
    shuffled = new.select(columns=np.random.default_rng(0).permutation(new.n_vars))
    assert transform.apply(shuffled).X.tobytes() == transform.apply(new).X.tobytes()
    assert transform.apply(shuffled).var.equals(transform.apply(new).var)


def test_missing_variables_are_named():
    """Breaks if a gene that a new table lacks becomes a zero that nobody asked for."""
    _, transform = fitted()
    short = new_rows().select(columns=np.arange(2, 150))
    with pytest.raises(DataError, match="own rows: 2 of 150 variables are missing, first 'g0'"):
        transform.apply(short, name="own rows")
    zeros = new_rows()
    zeros.X[:, :2] = 3
    assert transform.apply(short, fill_missing=3).X.tobytes() == transform.apply(zeros).X.tobytes()
    with pytest.raises(DataError, match="negative"):
        transform.apply(short, fill_missing=-1)


def test_surplus_variables_are_named():
    """Breaks if a gene that the cohort lacks enters the normalisation unseen."""
    _, transform = fitted()
    new = new_rows()
    var = pd.concat([pd.DataFrame({"var_id": ["extra"], "gene_name": ["E"]}), new.var], ignore_index=True)
    wide = Table(np.hstack([np.full((new.n_obs, 1), 1e6, np.float32), new.X]), new.obs, var, new.unit)
    with pytest.raises(DataError, match="1 variables are not of the cohort, first 'extra'"):
        transform.apply(wide)
    assert transform.apply(wide, drop_surplus=True).X.tobytes() == transform.apply(new).X.tobytes()


@pytest.mark.parametrize("ids", [["g0", "g0"], ["7", 7]])
def test_repeated_variables_are_named(ids):
    """Breaks if one of two columns of a gene is taken at random."""
    _, transform = fitted()
    new = new_rows()
    new.var = new.var.astype({"var_id": object})
    new.var.loc[[4, 5], "var_id"] = ids
    with pytest.raises(DataError, match=f"'{ids[0]}' occurs more than once"):
        transform.apply(new)


def test_another_unit_is_refused():
    """Breaks if TPM are treated as the counts that the dataset was fitted on."""
    _, transform = fitted()
    new = new_rows()
    new.unit = "tpm"
    with pytest.raises(DataError, match="unit 'tpm', but the dataset was made from 'counts'"):
        transform.apply(new)


def test_values_outside_the_grey_scale_are_refused():
    """Breaks if images of 0 to 255 are all drawn white."""
    _, transform = fitted("binarise")
    images = cohort("binarise").select(rows=np.arange(3))
    images.X *= 255
    with pytest.raises(DataError, match=r"values lie in \[0, .*binarise needs \[0, 1\]"):
        transform.apply(images)


@pytest.mark.parametrize("variant", ["combat", "quantile", "chain", "per_tissue"])
def test_an_unknown_study_is_named(variant):
    """Breaks if a row of a study that was not fitted is corrected as one that was."""
    _, transform = fitted(variant)
    with pytest.raises(DataError, match="'CPTAC' was not seen when fitting"):
        transform.apply(new_rows(study="CPTAC"))


@pytest.mark.parametrize("variant", ["per_tissue", "combat with covariates"])
def test_an_unknown_tissue_is_named(variant):
    """Breaks if a tissue that was not fitted is corrected as another one."""
    _, transform = fitted(variant)
    with pytest.raises(DataError, match="'brain' was not seen"):
        transform.apply(new_rows(tissue="brain"))
    unlabelled = new_rows()
    unlabelled.obs = unlabelled.obs.drop(columns="tissue")
    with pytest.raises(DataError, match=r"none was given|'none given' was not seen"):
        transform.apply(unlabelled)


def test_labels_are_asked_for_where_they_are_needed():
    """Breaks if a sample without study is corrected, or one cannot be used whose labels no step looks at."""
    new = new_rows()
    new.obs = new.obs[["sample_id"]]
    with pytest.raises(DataError, match="obs has no column 'study'; there are sample_id"):
        fitted("combat")[1].apply(new)
    assert fitted("expression")[1].apply(new).n_obs == new.n_obs
    assert fitted("combat")[1].apply(Table(new.X, new.obs.assign(study="GTEx"), new.var, new.unit)).n_obs == new.n_obs


def test_a_correction_needs_its_columns_to_be_fitted():
    """Breaks if a cohort without studies ends in a traceback of pandas."""
    raw = cohort()
    raw.obs = raw.obs.drop(columns="study")
    options = OPTIONS | VARIANTS["combat"]
    split = split_rows(cohort().obs, options["split"], 0)
    with pytest.raises(DataError, match=r"combat.ComBat needs column 'study' of obs; there are sample_id"):
        Transform.fit(raw, options, NORMAL, 0, split)


def test_a_missing_option_is_named():
    """Breaks if a step is left out because its option is."""
    options = {key: value for key, value in OPTIONS.items() if key != "scale"}
    with pytest.raises(ConfigError, match="option 'scale' is missing"):
        preprocess(cohort(), options, NORMAL, 0)


def test_an_incomplete_transform_is_refused(tmp_path):
    """Breaks if a folder of an older version is applied with a part of its state missing."""
    with pytest.raises(DataError, match=r"no transform, there is no transform\.json"):
        Transform.load(tmp_path)
    fitted()[1].save(tmp_path)
    path = tmp_path / FILES["transform"]
    content = json.loads(path.read_text())
    del content["variables"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="key 'variables' is missing"):
        Transform.load(tmp_path)


def test_wide_rows_keep_their_bits():
    """Breaks if a sum over more values than one buffer holds depends on the row's place in the table."""
    rng = np.random.default_rng(3)
    base = cohort()
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(20011)]})
    X = rng.gamma(0.3, 100.0, (base.n_obs, 20011)).astype(np.float32)
    raw = Table(X, base.obs, var, "tpm")
    for normalise in ("cpm", "upper_quartile"):
        options = OPTIONS | {"normalise": normalise, "log2p1": True, "n_top_vars": 50, "scale": "standard"}
        table, transform = preprocess(raw, options, NORMAL, 0)
        for rows in (np.array([5]), np.arange(3, 40)):
            assert transform.apply(raw.select(rows=rows)).X.tobytes() == table.X[rows].tobytes()

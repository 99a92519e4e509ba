"""Split and preprocessing: no donor in two splits, nothing fitted on rows it must not see."""

import json

import numpy as np
import pandas as pd
import pytest

from aeflow.dataset.preprocess import preprocess
from aeflow.errors import ConfigError, DataError
from aeflow.plan.corrections import known_methods
from aeflow.table import Table

FRACTIONS = {"train": 0.6, "val": 0.15, "test": 0.25}
OPTIONS = {
    "split": {"by": "donor", "fractions": FRACTIONS, "stratify": ["study", "condition"]},
    "binarise": False,
    "round": False,
    "normalise": "upper_quartile",
    "log2p1": True,
    "correct": {"method": "none"},
    "n_top_vars": 20,
    "scale": "standard",
}
NORMAL = {"condition": ["normal"]}


def cohort(n_donors=60, n_vars=40, seed=0) -> Table:
    """Counts of donors with one or two samples; some TCGA donors give a normal and a tumour."""
    rng = np.random.default_rng(seed)
    rows = []
    for d in range(n_donors):
        study = "GTEx" if d % 2 else "TCGA"
        rows.append((f"{study}-{d}", study, "normal"))
        if d % 3 == 0:
            rows.append((f"{study}-{d}", study, "tumour" if study == "TCGA" else "normal"))
    obs = pd.DataFrame(rows, columns=["donor_id", "study", "condition"])
    obs.insert(0, "sample_id", [f"s{i}" for i in range(len(obs))])
    X = rng.negative_binomial(3, 0.01, size=(len(obs), n_vars)).astype(np.float32)
    return Table(X, obs, pd.DataFrame({"var_id": [f"g{j}" for j in range(n_vars)]}), "counts")


def preprocessed(table: Table, options: dict, fit_on: dict, seed: int):
    """The whole table after all steps, what transform.json says, and the correction."""
    out, transform = preprocess(table, options, fit_on, seed)
    return out, transform.to_json(), transform.correction


def fitted_files(table: Table, state: dict) -> str:
    """Everything fitted, and everything a model trains on."""
    rows = table.obs["split"].to_numpy() != "test"
    return json.dumps(state) + table.X[rows].tobytes().hex() + table.var.to_csv()


def test_leak_test_rows_change_nothing_fitted():
    """Breaks if any fitted step, or the split, sees the values of a test row."""
    before = cohort()
    table, state, _ = preprocessed(before, OPTIONS, NORMAL, seed=0)
    changed = cohort()
    rows = table.obs["split"].to_numpy() == "test"
    changed.X[rows] = changed.X[rows] * 100 + 7
    again, state_again, _ = preprocessed(changed, OPTIONS, NORMAL, seed=0)
    assert fitted_files(again, state_again) == fitted_files(table, state)
    assert not np.array_equal(again.X[rows], table.X[rows])


CORRECTIONS = {
    "combat.ComBat": {},
    "quantile.Quantile": {},
    "zscore.ZScore": {},
    "support.Support": {},
    "alignment.Align": {"n_components": 3},
    "ruv.RUV": {"n_factors": 2},
    "transport.Transport": {"reference": "GTEx", "n_components": 3},
    "conditional_ae.ConditionalAE": {"reference": "GTEx", "n_components": 3, "n_steps": 20},
    "per_tissue.PerTissue": {"method": "zscore.ZScore"},
    "chain.Chain": {
        "steps": [
            {"method": "support.Support"},
            {"method": "zscore.ZScore"},
            {"method": "alignment.Align", "n_components": 3},
        ]
    },
}


def corrected(method: str, changed_rows=None):
    """Preprocess the cohort with a correction, after changing the values of some rows; what is fitted, as bytes."""
    table = cohort()
    table.obs["tissue"] = "kidney"
    if changed_rows is not None:
        table.X[changed_rows] = table.X[changed_rows] * 100 + 7
    options = OPTIONS | {"correct": {"method": method, "options": CORRECTIONS.get(method, {})}}
    out, state, correction = preprocessed(table, options, NORMAL, seed=0)
    arrays = b"".join(key.encode() + value.tobytes() for key, value in sorted(correction.state().items()))
    return out, state, arrays


def test_every_correction_is_tested_for_leaks():
    """Breaks if a method is added without the test below."""
    assert set(CORRECTIONS) == set(known_methods()) - {"none", "wang2018.Wang2018"}


@pytest.mark.parametrize("method", CORRECTIONS)
@pytest.mark.parametrize("which", ["test", "val", "tumour"])
def test_leak_through_a_correction(method, which):
    """Breaks if a correction sees a row that is not a training normal: then changed rows change what is fitted."""
    table, state, arrays = corrected(method)
    rows = (table.obs["split"] == which) if which != "tumour" else (table.obs["condition"] == "tumour")
    again, state_again, arrays_again = corrected(method, rows.to_numpy())
    assert arrays_again == arrays
    assert state_again == state
    train = ((table.obs["split"] == "train") & (table.obs["condition"] == "normal")).to_numpy()
    assert np.array_equal(again.X[train], table.X[train])


def test_the_published_correction_does_leak():
    """Breaks if wang2018 stops seeing test rows, or the leak test above cannot fail."""
    table, _, arrays = corrected("wang2018.Wang2018")
    _, _, arrays_again = corrected("wang2018.Wang2018", (table.obs["split"] == "test").to_numpy())
    assert arrays_again != arrays


@pytest.mark.parametrize("which", ["val", "tumour"])
def test_leak_rows_outside_fit_on_change_nothing_fitted(which):
    """Breaks if validation rows, or tumours under fit_on: normal, shape the selection or the scale."""
    before = cohort()
    table, state, _ = preprocessed(before, OPTIONS, NORMAL, seed=0)
    rows = (table.obs["split"] == "val" if which == "val" else table.obs["condition"] == "tumour").to_numpy()
    changed = cohort()
    changed.X[rows] = changed.X[rows] * 100 + 7
    _, state_again, _ = preprocessed(changed, OPTIONS, NORMAL, seed=0)
    assert state_again == state


def test_training_rows_do_change_what_is_fitted():
    """Breaks if the leak tests above pass because nothing is fitted at all."""
    table, state, _ = preprocessed(cohort(), OPTIONS, NORMAL, seed=0)
    changed = cohort()
    changed.X[(table.obs["split"] == "train").to_numpy()] += np.arange(40, dtype=np.float32)
    _, state_again, _ = preprocessed(changed, OPTIONS, NORMAL, seed=0)
    assert state_again["centre"] != state["centre"]


def test_training_normals_are_standardised():
    """Breaks if centre and scale come from other rows than the ones they are fitted on."""
    table, _, _ = preprocessed(cohort(), OPTIONS, NORMAL, seed=0)
    rows = ((table.obs["split"] == "train") & (table.obs["condition"] == "normal")).to_numpy()
    assert np.allclose(table.X[rows].mean(0), 0, atol=1e-5)
    assert np.allclose(table.X[rows].std(0), 1, atol=1e-5)
    assert table.unit == "standardised"


def test_official_split_keeps_the_published_test_set():
    """Breaks if a published test row is trained on, or validation is not taken from published training rows."""
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(100)], "official_split": ["train"] * 80 + ["test"] * 20})
    obs["digit"] = np.arange(100) % 10
    table = Table(np.ones((100, 2), np.float32), obs, pd.DataFrame({"var_id": ["a", "b"]}), "intensity")
    table.X[::2] = 0
    split = {"by": "official", "fractions": {"val": 0.1}, "stratify": ["digit"]}
    options = OPTIONS | {"split": split, "normalise": "none", "log2p1": False, "n_top_vars": None, "scale": "none"}
    out, _, _ = preprocessed(table, options, {}, seed=0)
    assert (out.obs["split"][80:] == "test").all()
    assert (out.obs["split"][:80] == "val").sum() == 8


def test_a_filter_that_leaves_no_rows_says_what_there_is():
    """Breaks if a misspelt value ends in an empty fit."""
    with pytest.raises(DataError, match=r"fit_on: .*nromal.* leaves no rows of .*'normal', 'tumour'"):
        preprocess(cohort(), OPTIONS, {"condition": ["nromal"]}, seed=0)


def test_log_of_a_log_is_refused():
    """Breaks if log2(x + 1) is applied to data that are logarithms already."""
    logged = cohort()
    logged.unit = "log2_tpm1"
    with pytest.raises(ConfigError, match="unit is 'log2_tpm1'"):
        preprocess(logged, OPTIONS, NORMAL, seed=0)


def test_static_binarisation_is_drawn_once():
    """Breaks if the draw changes from job to job, is not in proportion to the value, or takes expression."""
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(300)], "donor_id": [f"d{i}" for i in range(300)]})
    grey = Table(np.full((300, 50), 0.3, np.float32), obs, pd.DataFrame({"var_id": range(50)}).astype(str), "intensity")
    split = {"by": "donor", "fractions": FRACTIONS, "stratify": []}
    plain = {"split": split, "normalise": "none", "log2p1": False, "n_top_vars": None, "scale": "none"}
    options = OPTIONS | plain | {"binarise": True}
    first, again = (preprocess(grey, options, {}, 4)[0].X for _ in range(2))
    assert set(np.unique(first)) == {0.0, 1.0} and abs(first.mean() - 0.3) < 0.02
    assert np.array_equal(first, again)
    with pytest.raises(ConfigError, match="binarise: true, but values lie in"):
        preprocess(cohort(), OPTIONS | {"binarise": True}, NORMAL, 0)


def test_rounding_is_for_counts():
    """Breaks if fractions reach a count model, or TPM are rounded."""
    table = cohort()
    table.X[0, 0] = 3.4
    options = OPTIONS | {"round": True, "normalise": "none", "log2p1": False, "scale": "none", "n_top_vars": None}
    assert (preprocess(table, options, NORMAL, 0)[0].X % 1 == 0).all()
    with pytest.raises(ConfigError, match="unit is 'tpm', not counts"):
        preprocess(Table(table.X, table.obs, table.var, "tpm"), options, NORMAL, 0)

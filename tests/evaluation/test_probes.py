"""Study probes find planted study effects, and only these; donors and test rows stay apart (about 15 s)."""

import numpy as np
import pandas as pd
import pytest

from aeflow.correction import fit_correction
from aeflow.errors import ConfigError, DataError
from aeflow.evaluation.probes import classifiers
from aeflow.evaluation.probes import study_probes as module
from aeflow.evaluation.probes.classifiers import silhouette, stratified_auroc
from aeflow.evaluation.probes.probe_dataset import log_values, probe_dataset, stages
from aeflow.evaluation.probes.study_probes import COLUMNS, PROBES, donor_folds, permute, study_probes, study_target
from aeflow.plots.probe_figures import probe_figure, probe_pca
from aeflow.table import Table

N_VARS = 60
BOOSTING = classifiers.SETTINGS["gradient_boosting"]


def sheet(n_donors: int = 24, repeats: int = 2, tissues=("kidney", "lung"), tumours: int = 8) -> pd.DataFrame:
    """Donors of two studies, each with `repeats` normals per tissue; TCGA donors of each tissue with a tumour."""
    rows = []
    for study in ("GTEx", "TCGA"):
        for d in range(n_donors):
            tissue = tissues[d % len(tissues)]
            rows += [(f"{study}-{d}", study, tissue, "normal")] * repeats
            rows += [(f"{study}-{d}", study, tissue, "tumour")] * (study == "TCGA" and d < tumours)
    return pd.DataFrame(rows, columns=["donor_id", "study", "tissue", "condition"])


def expression(obs: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Log expression with zeros; tissues and tumours differ, studies do not."""
    rng = np.random.default_rng(seed)
    X = 5 + rng.normal(size=(len(obs), N_VARS))
    X[:, :10] += 3.0 * (obs["tissue"] == "lung").to_numpy()[:, None]
    X[:, 10:20] += 3.0 * (obs["condition"] == "tumour").to_numpy()[:, None]
    X[:, 50:] *= rng.random((len(obs), 10)) < 0.7
    return np.maximum(X, 0).astype(np.float32)


def table(X, obs, **options) -> pd.Series:
    """Means by (target, probe, permuted)."""
    found = study_probes(X, obs, n_components=5, **options)
    assert tuple(found.columns) == COLUMNS
    return found.set_index(["target", "probe", "permuted"])["mean"].sort_index()


OBS = sheet()
TCGA = (OBS["study"] == "TCGA").to_numpy()


@pytest.fixture(scope="module", autouse=True)
def small_ensembles():
    """Fewer trees: the effects planted here are large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "N_TREES", 60)
        patch.setitem(classifiers.SETTINGS, "gradient_boosting", {**BOOSTING, "max_iter": 15})
        yield


@pytest.fixture(scope="module")
def clean(small_ensembles) -> pd.Series:
    return table(expression(OBS), OBS)


def test_without_study_effect_nothing_names_it(clean):
    """Breaks if a probe finds a study where there is none, or tissue and tumour are not found where they are."""
    study = clean["study"].drop("silhouette")
    assert study.between(0.25, 0.75).all(), study
    assert clean["study"]["silhouette"].abs().max() < 0.15
    for target in ("tissue", "tumour"):
        assert (clean[target].xs(False, level="permuted") > 0.95).all()
        assert (clean[target].xs(True, level="permuted") < 0.75).all()


def shifted(X):
    """Means differ."""
    X = X.copy()
    X[TCGA, 20:50] += 1.5
    return X


def spread(X):
    """Variances differ, means and zeros do not."""
    X = X.copy()
    X[np.ix_(TCGA, range(20, 50))] = 5 + 3 * (X[np.ix_(TCGA, range(20, 50))] - 5)
    return np.maximum(X, 0.01 * (X != 0))


def hidden(X):
    """Zeros in other genes, in equal number."""
    X = X.copy()
    rng = np.random.default_rng(3)
    for rows, columns in ((TCGA, range(50, 55)), (~TCGA, range(55, 60))):
        X[np.ix_(rows, columns)] *= rng.random((rows.sum(), 5)) < 0.3
    return X


@pytest.mark.parametrize(
    ("plant", "found_by", "missed_by"),
    [
        (shifted, ("logistic", "logistic_components", "random_forest", "gradient_boosting", "knn_components"), "zeros"),
        (spread, ("random_forest", "gradient_boosting"), "zeros"),
        (hidden, ("zeros", "ties", "random_forest", "gradient_boosting"), None),
    ],
)
def test_planted_effect_is_found(plant, found_by, missed_by):
    """Breaks if a probe misses what it is there for, sees what it cannot see, or permuted labels are found, too."""
    study = table(plant(expression(OBS)), OBS)["study"]
    assert min(study[probe, False] for probe in found_by) > 0.85, study
    if missed_by:
        assert 0.25 < study[missed_by, False] < 0.75
    assert study.xs(True, level="permuted").drop("silhouette").between(0.2, 0.8).all()
    if plant is shifted:
        assert study["silhouette", False] > 0.15 > abs(study["silhouette", True])


def test_ties_find_zeros_that_were_moved():
    """Breaks if a correction that turns the zeros of each study into another number hides their pattern."""
    X = hidden(expression(OBS))
    moved = np.where(X == 0, np.where(TCGA, 0.31, 0.17)[:, None], X).astype(np.float32)
    found = study_probes(moved, OBS, n_components=5).query("target == 'study' and not permuted").set_index("probe")
    assert found["mean"]["zeros"] == 0.5 and found["mean"]["ties"] > 0.85
    assert "no zeros to see" in found["note"]["zeros"] and found["note"]["ties"] == ""


def test_donors_are_never_in_both_parts_of_a_fold():
    """Breaks if folds divide donors: rows of one donor are twins, and a nearest neighbour would know each by heart."""
    rng = np.random.default_rng(1)
    codes = {donor: 40 * rng.normal(size=N_VARS) for donor in OBS["donor_id"].unique()}
    X = np.abs(expression(OBS) + np.array([codes[d] for d in OBS["donor_id"]])).astype(np.float32)
    study = table(X, OBS)["study"]
    assert study["knn_components", False] < 0.75 and study["random_forest", False] < 0.75
    alone = table(X, OBS.assign(donor_id=[str(i) for i in range(len(OBS))]))["study"]
    assert alone["random_forest", False] > 0.85  # what ungrouped folds would have said

    tissue, donor = OBS["tissue"].to_numpy(str), OBS["donor_id"].to_numpy(str)
    target = study_target(OBS["study"].to_numpy(str), tissue, (OBS["condition"] == "normal").to_numpy(), donor)
    folds, note = donor_folds([target], OBS["study"].to_numpy(str), tissue, donor, 5, seed=0)
    assert len(folds) == 5 and note == "" and np.sum([test for _, test in folds], axis=0).tolist() == [1] * len(OBS)
    for train, test in folds:
        assert not set(donor[train]) & set(donor[test]) and (train ^ test).all()


class Recorder:
    """A correction that remembers what it was fitted on and shows whether test rows reach it."""

    seen: list

    def __init__(self, X, batch, labels):
        self.rows = X[:, 0]
        type(self).seen.append((X[:, 0].astype(int), batch, labels))

    def apply(self, X, batch, labels):
        X = X.copy()
        X[:, 1] = np.isin(X[:, 0], self.rows)  # the canary: 1 where the row was seen
        return X


def test_correction_is_fitted_on_training_normals_of_each_fold(monkeypatch):
    """Breaks if a test row or a tumour shapes the correction, or a probe is given uncorrected rows."""
    monkeypatch.setattr(module, "PROBES", dict.fromkeys(PROBES, ("zeros",)))
    Recorder.seen = []
    X = expression(OBS)
    X[:, 0] = np.arange(len(OBS))
    tested = []
    original = module.measure
    monkeypatch.setattr(module, "measure", lambda p, data, *a: tested.append(data) or original(p, data, *a))
    study_probes(X, OBS, correction=Recorder)
    normal = (OBS["condition"] == "normal").to_numpy()
    assert len(Recorder.seen) == 5
    for k, (rows, batch, labels) in enumerate(Recorder.seen):
        data = next(d for d in tested[6 * k : 6 * k + 6])
        assert normal[rows].all() and not set(rows) & set(np.flatnonzero(data.test))
        assert (batch == OBS["study"].iloc[rows]).all() and (labels == OBS["tissue"].iloc[rows]).all()
        assert not data.X[data.test, 1].any() and data.X[data.train, 1].all()
    Recorder.seen = []
    found = study_probes(X, OBS, correction=Recorder, sees_all_rows=True)
    assert len(Recorder.seen) == 1 and len(Recorder.seen[0][0]) == len(OBS)
    assert found["note"].str.contains("fitted on all rows, test folds and tumours included").all()


def test_test_rows_change_no_fitted_part():
    """Breaks if selection, scaler, components or the zero pattern are fitted on more than training rows."""
    from aeflow.evaluation.probes.classifiers import FoldData

    X, train = expression(OBS), np.arange(len(OBS)) % 3 > 0
    changed = X.copy()
    changed[~train] = 100 * np.random.default_rng(2).random((int((~train).sum()), N_VARS))
    a, b = (FoldData(x, train, ~train, 5, 0) for x in (X, changed))
    for part in ("selected", "standardised", "components", "zeros", "ties"):
        assert np.array_equal(getattr(a, part)[0], getattr(b, part)[0]), part
        assert not np.array_equal(getattr(a, part)[1], getattr(b, part)[1]), part


def test_tissue_in_one_study_is_stated():
    """Breaks if a tissue without counterpart is compared with another one, or left out silently."""
    obs = OBS.copy()
    obs.loc[(obs["tissue"] == "lung") & (obs["study"] == "TCGA"), "tissue"] = "liver"
    X = expression(OBS)
    X[TCGA & (obs["tissue"] == "liver").to_numpy()] += 5  # would be found, were it probed
    found = study_probes(X, obs, n_components=5)
    study, tissue = found[found["target"] == "study"], found[found["target"] == "tissue"]
    assert study["note"].str.contains(r"not probed, in one study only: liver \(TCGA\), lung \(GTEx\)").all()
    assert (study["n_obs"] == 48).all() and (tissue["n_obs"] == 96).all()
    assert study.loc[study["probe"] != "silhouette", "mean"].between(0.2, 0.8).all()


def test_what_cannot_be_probed_is_a_row_with_a_reason(caplog):
    """Breaks if a cohort of one study, one tissue and no tumour gives fewer rows, an error or a number."""
    obs = OBS.assign(tissue="kidney", study="GTEx", condition="normal")
    found = study_probes(expression(OBS), obs)
    assert len(found) == 2 * sum(map(len, PROBES.values()))
    assert found["mean"].isna().all() and (found["n_obs"] == 0).all() and (found["n_splits"] == 0).all()
    reasons = found.groupby("target")["note"].first()
    assert "no tissue is in two studies" in reasons["study"] and "of one tissue" in reasons["tissue"]
    assert "no study has tumours and normals" in reasons["tumour"]
    assert "target study cannot be probed" in caplog.text


def test_few_donors_lower_the_number_of_folds(caplog):
    """Breaks if three donors are dealt to five folds, or the table does not say that there were fewer."""
    obs = sheet(n_donors=3, repeats=4, tissues=("kidney",), tumours=2)
    found = study_probes(expression(obs), obs, n_components=2)
    assert (found.loc[(found["target"] == "study") & ~found["permuted"], "n_splits"] == 3).all()
    assert found["note"].str.contains("3 folds instead of 5: too few donors").all()
    assert "3 folds instead of 5" in caplog.text
    tumour = found[(found["target"] == "tumour") & ~found["permuted"]]
    assert (tumour["n_splits"] == 2).all() and tumour["note"].str.contains("1 of 3 folds lack a class").all()


def test_rows_without_a_label_are_neither_tumours_nor_a_tissue(clean, caplog):
    """Breaks if a blank condition counts as a tumour, or a blank tissue as a class of its own."""
    X = expression(OBS)
    more = pd.DataFrame({"donor_id": ["x", "y", "z"], "study": ["GTEx", "TCGA", "TCGA"]})
    more = more.assign(tissue=["kidney", "kidney", ""], condition=["", None, "normal"])
    X_more = np.concatenate([X, np.full((3, N_VARS), 9, dtype=np.float32)])
    found = study_probes(X_more, pd.concat([OBS, more], ignore_index=True), n_components=5)
    assert table(X, OBS).equals(clean)
    assert found.set_index(["target", "probe", "permuted"])["mean"].sort_index().equals(clean)
    assert found["note"].str.contains(f"left out, without a label: 3 of {len(OBS) + 3} rows").all()


def test_same_seed_same_numbers(clean):
    """Breaks if a probe draws from a generator that nobody seeds."""
    pd.testing.assert_series_equal(clean, table(expression(OBS), OBS))


def test_permutation_keeps_donors_and_tissues():
    """Breaks if rows of a donor get different labels, or a tissue gets more rows of a study than it had donors."""
    tissue, donor = OBS["tissue"].to_numpy(str), OBS["donor_id"].to_numpy(str)
    normal = (OBS["condition"] == "normal").to_numpy()
    target = study_target(OBS["study"].to_numpy(str), tissue, normal, donor)
    frame = pd.DataFrame({"y": permute(target, donor, np.random.default_rng(0)), "donor": donor, "tissue": tissue})
    frame = frame[normal]
    assert (frame.groupby("donor")["y"].nunique() == 1).all()
    before = pd.Series(target.y[normal]).groupby(tissue[normal]).sum()
    assert frame.groupby("tissue")["y"].sum().tolist() == before.tolist()
    assert (frame["y"].to_numpy() != target.y[normal]).any()


def test_auroc_counts_pairs_of_one_tissue():
    """Breaks if a tissue that one study has more of names the study, or ties count as right or wrong."""
    y, strata = np.array([True, True, True, False, True, False, False, False]), np.repeat(["a", "b"], 4)
    assert stratified_auroc(y, np.repeat([1.0, 0.0], 4), strata) == 0.5
    assert stratified_auroc(y, y.astype(float), strata) == 1.0
    assert stratified_auroc(y, np.array([3.0, 2, 0, 1, 5, 5, 4, 6]), strata) == (2 + 0.5 + 1) / 6
    assert np.isnan(stratified_auroc(np.array([True, False]), np.zeros(2), np.array(["a", "b"])))
    assert np.isnan(silhouette(np.zeros((2, 2)), np.array([True, False]), np.array(["a", "b"])))


def test_bad_input_is_named():
    """Breaks if a missing column, a third study or NaN gives an error that does not name it."""
    X = expression(OBS)
    with pytest.raises(DataError, match="no column 'donor_id'"):
        study_probes(X, OBS.drop(columns="donor_id"))
    with pytest.raises(DataError, match="X has 1 rows"):
        study_probes(X[:1], OBS)
    with pytest.raises(DataError, match=r"come from 3.*'TARGET'"):
        study_probes(X, OBS.assign(study=["TARGET", "GTEx", *OBS["study"][2:]]))
    X[3, 4] = np.nan
    with pytest.raises(DataError, match="row 3, variable 4: value nan"):
        study_probes(X, OBS)


def test_real_kidney_normals_still_name_their_study(shared, tmp_path):
    """Breaks if the probes miss what the published matrices are known to hold: zeros 1.00, forest above 0.95."""
    from aeflow.sources import rnaseqdb

    files = {}
    options = {"tissues": ["kidney"], "matrices": ["kidney-gtex", "kich-tcga"]}
    for name, path in rnaseqdb.matrices("normalized", **options).items():
        files[name] = tmp_path / f"{name}.parquet"
        rnaseqdb.convert(shared / "data" / "rnaseqdb" / path, files[name])
    found = rnaseqdb.unify(files, "normalized").table
    study = table(np.log2(found.X + 1), found.obs, n_top_vars=1000)["study"]
    assert study["zeros", False] > 0.99 and study["random_forest", False] > 0.9
    assert study["logistic", False] < 0.75
    assert study.xs(True, level="permuted").drop("silhouette").between(0.2, 0.8).all()


CHAIN = {
    "method": "chain.Chain",
    "options": {"steps": [{"method": "support.Support", "limit": 1.0}, {"method": "zscore.ZScore"}]},
}


def test_dataset_is_probed_before_and_after_its_correction(monkeypatch):
    """Breaks if a stage is missing or misnamed, the correction's options are lost, or its own labels not handed on."""
    monkeypatch.setattr(module, "PROBES", {"study": ("logistic",), "tissue": (), "tumour": ()})
    X = shifted(expression(OBS))
    for entry, after in (({"method": "combat.ComBat", "options": {}}, "combat"), (CHAIN, "support + zscore")):
        found = probe_dataset(X, OBS, entry, n_top_vars=50, seed=0).query("not permuted").set_index("stage")["mean"]
        assert list(found.index) == ["none", after] and found["none"] > 0.95 and found[after] < 0.75
        fitted = fit_correction(
            entry["method"], X, OBS["study"].to_numpy(), OBS["tissue"].to_numpy(), **entry["options"]
        )
        drawn = stages(X, OBS, entry, fitted)
        assert list(drawn) == ["none", after] and drawn["none"] is X and not np.array_equal(drawn[after], X)
    published = probe_dataset(X, OBS, {"method": "wang2018.Wang2018", "options": {}}, n_top_vars=50, seed=0).set_index(
        "stage"
    )
    assert published["note"]["wang2018"].str.contains("fitted on all rows").all()
    only = probe_dataset(X, OBS, {"method": "none", "options": {}}, n_top_vars=None, seed=0)
    assert set(only["stage"]) == {"none"} and list(stages(X, OBS, {"method": "none", "options": {}}, None)) == ["none"]


def test_probes_are_given_log_values():
    """Breaks if counts are probed on a linear scale, or log values are logged again."""
    obs = OBS.assign(sample_id=[str(i) for i in range(len(OBS))])
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(N_VARS)]})
    counts = Table(np.exp2(expression(OBS)) - 1, obs, var, "counts")
    X, unit = log_values(counts, {"normalise": "none", "log2p1": True})
    assert unit == "log2_counts1" and np.allclose(X, expression(OBS), atol=1e-5)
    logged = Table(X, obs, var, unit)
    assert log_values(logged, {"normalise": "none", "log2p1": False})[0] is X
    with pytest.raises(ConfigError, match=r"log2p1: False: study probes need log values.*'counts'"):
        log_values(counts, {"normalise": "none", "log2p1": False})


def frame_of_two_stages() -> pd.DataFrame:
    rows = [
        (s, t, p, q, 0.9 - 0.3 * (s == "combat"), 0.05, 5, 40, "")
        for s in ("none", "combat")
        for t, names in PROBES.items()
        for p in names
        for q in (False, True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_figures_show_every_probe_and_stage():
    """Breaks if a probe, a stage or the mark of simulated data is missing from the pictures."""
    from matplotlib.text import Text

    figure = probe_figure(frame_of_two_stages(), "Dataset d", "simulated")
    shown = " | ".join(t.get_text().replace("\n", " ") for t in figure.findobj(Text))
    for text in (
        "random forest",
        "zeros alone",
        "tissue: nearest",
        "tumour: logistic",
        "silhouette",
        "labels permuted",
    ):
        assert text in shown
    for text in ("correction: none", "correction: combat", "Dataset d (simulated)"):
        assert text in shown
    X = expression(OBS)
    pca = probe_pca({"none": X, "combat": 2 * X}, OBS, unit="log2_counts1", origin="real", title="Cohort")
    assert len(pca.axes) == 6 and "96" not in pca.get_suptitle() and f"{len(OBS)} observations" in pca.get_suptitle()
    for ax in pca.axes:
        assert sum(len(c.get_offsets()) for c in ax.collections) == len(OBS)
    assert [ax.get_title() for ax in pca.axes[:3]] == ["by study", "by tissue", "by condition"]
    assert [ax.get_legend() is None for ax in pca.axes] == [True] * 3 + [False] * 3
    with pytest.raises(DataError, match="stage 'combat' has not"):
        probe_pca({"none": X, "combat": X[1:]}, OBS, unit="tpm", origin="real")
    nothing = frame_of_two_stages().assign(mean=np.nan)
    texts = [t.get_text() for t in probe_figure(nothing, "d", "real").findobj(Text)]
    assert sum("cannot be probed" in t for t in texts) == 3


@pytest.mark.parametrize("column", ["tissue", "study", "condition"])
def test_a_sheet_without_any_label_is_named(column):
    """Breaks if a column of blanks ends in a bare IndexError."""
    with pytest.raises(DataError, match=f"study_probes: no row with a label in .*{column}.* is normal"):
        study_probes(expression(OBS), OBS.assign(**{column: ""}), n_components=5)


def test_a_fold_of_one_class_is_not_dropped():
    """Breaks if a fold whose training rows lack a class, which can tell nothing, leaves the mean to the others."""
    X = np.random.default_rng(0).normal(size=(8, 4))
    train, test = np.arange(8) < 5, np.arange(8) >= 5
    data = classifiers.FoldData(X, train, test, n_components=2, seed=0)
    strata = np.full(8, "all")
    y = np.array([True, True, True, True, True, True, False, False])
    assert classifiers.measure("knn_components", data, y, strata) == 0.5
    tissue = np.where(y, "liver", "lung")
    assert classifiers.measure("logistic_components", data, tissue, strata) == pytest.approx(1 / 3)


@pytest.mark.parametrize("probe", PROBES["study"])
def test_variables_that_do_not_vary_tell_nothing(probe):
    """Breaks if a fold without a varying variable ends in an error of a decomposition of nothing."""
    y = np.arange(12) % 2 == 0
    data = classifiers.FoldData(np.ones((12, 3)), np.arange(12) < 6, np.arange(12) >= 6, n_components=2, seed=0)
    found = classifiers.measure(probe, data, y, np.full(12, "all"))
    assert found == (0.0 if probe == "silhouette" else 0.5)


def test_a_fold_that_the_correction_refuses_is_left_out_and_noted():
    """Breaks if one fold in which a study has too few normals takes the whole table with it."""
    calls = []

    def refuses_once(X, batch, labels):
        calls.append(len(X))
        if len(calls) == 1:
            raise DataError("batch 'rare' has one row")
        return fit_correction("zscore.ZScore", X, batch, labels)

    found = study_probes(expression(OBS), OBS, n_components=5, correction=refuses_once, n_splits=3)
    study = found[(found["target"] == "study") & ~found["permuted"]]
    assert (study["n_splits"] == 2).all() and len(calls) == 3
    assert study["note"].str.contains("a fold is left out: batch 'rare' has one row").all()

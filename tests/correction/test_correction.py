"""Corrections: equality with R's sva, frozen state, no leak, refusals. About 15 s."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.correction import correction_class, fit_correction, load_correction
from aeflow.correction.combat import ComBat
from aeflow.correction.conditional_ae import mmd
from aeflow.correction.quantile import Quantile
from aeflow.correction.transport import self_sinkhorn, sinkhorn
from aeflow.errors import ConfigError, DataError
from aeflow.plan.corrections import known_methods

STEPS = [
    {"method": "support.Support"},
    {"method": "zscore.ZScore", "reference": "TCGA"},
    {"method": "alignment.Align", "reference": "TCGA", "n_components": 4},
]
OPTIONS = {  # of every method, as a configuration would give them
    "none": {},
    "combat.ComBat": {"reference": "TCGA", "covariates": True},
    "quantile.Quantile": {"reference": "TCGA"},
    "zscore.ZScore": {"reference": "TCGA"},
    "support.Support": {},
    "alignment.Align": {"n_components": 4},
    "ruv.RUV": {"n_factors": 2, "controls": 0.8},
    "transport.Transport": {"reference": "TCGA", "n_components": 4},
    "conditional_ae.ConditionalAE": {
        "reference": "TCGA",
        "n_components": 8,
        "n_latent": 4,
        "n_hidden": 8,
        "n_steps": 60,
    },
    "chain.Chain": {"steps": STEPS},
    "per_tissue.PerTissue": {"method": "chain.Chain", "options": {"steps": STEPS}},
    "wang2018.Wang2018": {},
}
METHODS = known_methods()
FITTED = sorted(set(METHODS) - {"none", "wang2018.Wang2018"})


def rows(n=60, n_vars=40, seed=0):
    """Log expression of two studies and two tissues: shifts, other spread, zeros in GTEx; and their labels."""
    rng = np.random.default_rng(seed)
    batch = np.where(np.arange(n) % 3 == 0, "GTEx", "TCGA")
    tissue = np.where(np.arange(n) % 2 == 0, "kidney", "lung")
    X = rng.normal(8, 1, (n, n_vars)) + 2 * (tissue == "lung")[:, None] * (np.arange(n_vars) < 5)
    g = batch == "GTEx"
    X[g] = X[g] * rng.uniform(0.5, 1.5, n_vars) + rng.normal(0, 1, n_vars)
    X[np.ix_(np.flatnonzero(g), np.arange(36, 40))] *= rng.random((g.sum(), 4)) > 0.6
    return np.maximum(X, 0), batch, tissue


def reference(shared, name):
    """Return input (n, genes), batch, condition and R's output of one variant."""
    folder = shared / "reference" / "combat"
    expected = pd.read_csv(folder / f"{name}.tsv", sep="\t", index_col=0)
    data = pd.read_csv(folder / "input.tsv", sep="\t", index_col=0).loc[expected.index]
    samples = pd.read_csv(folder / "samples.tsv", sep="\t").set_index("sample").loc[data.columns]
    return data.to_numpy().T, samples["batch"].to_numpy(), samples["condition"].to_numpy(), expected.to_numpy().T


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("parametric", {}),
        ("parametric_covariate", {"covariates": True}),
        ("parametric_covariate_ref_b", {"covariates": True, "reference": "b"}),
        ("mean_only", {"mean_only": True}),
        ("nonparametric", {"nonparametric": True}),
        ("parametric_with_constant_genes", {}),
    ],
)
def test_combat_equals_r_sva(shared, name, options):
    """Breaks with any other prior, variance denominator, stopping rule or treatment of constant genes than sva's."""
    X, batch, condition, expected = reference(shared, name)
    fitted = ComBat.fit(X, batch, condition, **options)
    found = fitted._apply(X.copy(), batch.astype(str), condition.astype(str))  # before rounding to float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fitted.apply(X, batch, condition), expected, rtol=1e-6, atol=1e-6)


def test_combat_is_vectorised_over_genes():
    """Breaks if the parametric fit loops over genes: then ten times the genes are ten times the calls."""
    import sys

    def n_calls(n_vars: int) -> int:
        X, batch, _ = rows(60, n_vars)
        events: list[str] = []
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, argument: events.append(event))
        try:
            ComBat.fit(X, batch)
        finally:
            sys.setprofile(before)
        return len(events)

    n_calls(40)  # what is imported at the first call is not counted
    assert n_calls(4000) < 2 * n_calls(400)


def test_combat_leaves_the_reference_study_untouched():
    """Breaks if rows of the reference change by a bit."""
    X, batch, tissue = rows()
    X = X.astype(np.float32)
    for covariates in (False, True):
        out = ComBat.fit(X, batch, tissue, reference="TCGA", covariates=covariates).apply(X, batch, tissue)
        np.testing.assert_array_equal(out[batch == "TCGA"], X[batch == "TCGA"])
        assert np.abs(out[batch == "GTEx"] - X[batch == "GTEx"]).max() > 0.1


def test_combat_with_covariates_takes_rows_of_one_study():
    """Breaks if new samples, which mostly come from one study, cannot be corrected by themselves."""
    X, batch, tissue = rows()
    fitted = ComBat.fit(X, batch, tissue, covariates=True)
    whole = fitted.apply(X, batch, tissue)
    for name in ("GTEx", "TCGA"):
        some = batch == name
        np.testing.assert_array_equal(fitted.apply(X[some], batch[some], tissue[some]), whole[some])


def test_combat_with_a_batch_of_one_row_is_mean_only_and_says_so(caplog):
    """Breaks if a variance is estimated from one row, or if the switch is silent."""
    X, batch, _ = rows()
    batch = np.where(np.arange(len(batch)) == 0, "alone", batch)
    with caplog.at_level(logging.WARNING):
        fitted = ComBat.fit(X, batch)
    assert "batch 'alone' has one row" in caplog.text and "mean-only" in caplog.text
    assert (fitted.state()["delta"] == 1).all()
    with pytest.raises(DataError, match="batch 'alone' has one row"):
        ComBat.fit(X, batch, reference="alone")


def test_confounded_tissue_is_refused_by_combat():
    """Breaks if a singular design is solved: tissue and study are one and the same here."""
    X, batch, _ = rows()
    with pytest.raises(DataError, match=r"\['kidney', 'lung'\] are confounded with the batches \['GTEx', 'TCGA'\]"):
        ComBat.fit(X, batch, np.where(batch == "GTEx", "kidney", "lung"), covariates=True)


def test_global_methods_warn_of_a_tissue_in_one_study(caplog):
    """Breaks if a correction over all tissues hides that a tissue has no overlap between studies."""
    X, batch, tissue = rows()
    keep = ~((tissue == "lung") & (batch == "GTEx"))
    with caplog.at_level(logging.WARNING):
        fit_correction("combat.ComBat", X[keep], batch[keep], tissue[keep])
    assert "tissue 'lung' is in study 'TCGA' only" in caplog.text


def test_per_tissue_refuses_a_tissue_of_one_study_or_keeps_it(caplog):
    """Breaks if such a tissue is corrected by other tissues' rows, or changed at all."""
    X, batch, tissue = rows()
    keep = ~((tissue == "lung") & (batch == "GTEx"))
    X, batch, tissue = X[keep].astype(np.float32), batch[keep], tissue[keep]
    options = {"method": "zscore.ZScore", "options": {"reference": "TCGA"}}
    with pytest.raises(DataError, match="tissue 'lung' is in study 'TCGA' only"):
        fit_correction("per_tissue.PerTissue", X, batch, tissue, **options)
    with caplog.at_level(logging.WARNING):
        fitted = fit_correction("per_tissue.PerTissue", X, batch, tissue, single_study="keep", **options)
    assert "tissue 'lung' is in study 'TCGA' only and is kept" in caplog.text
    np.testing.assert_array_equal(fitted.apply(X, batch, tissue)[tissue == "lung"], X[tissue == "lung"])
    with pytest.raises(DataError, match="tissue 'lung' of study 'GTEx' was not seen"):
        fitted.apply(X[:1], np.array(["GTEx"]), np.array(["lung"]))
    with pytest.raises(DataError, match="tissue 'liver' was not seen"):
        fitted.apply(X[:1], batch[:1], np.array(["liver"]))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_apply_is_pure_float32_and_row_by_row(method):
    """Breaks if a row's correction depends on the rows beside it, or if apply changes its input or its state."""
    X, batch, tissue = rows()
    fitted = fit_correction(method, X, batch, tissue, **OPTIONS[method])
    before, state = X.copy(), {k: v.tobytes() for k, v in fitted.state().items()}
    out = fitted.apply(X, batch, tissue)
    assert out.dtype == np.float32 and out.shape == X.shape and np.isfinite(out).all()
    np.testing.assert_array_equal(X, before)
    some = np.array([5, 0, 31])
    np.testing.assert_allclose(fitted.apply(X[some], batch[some], tissue[some]), out[some], rtol=0, atol=1e-5)
    assert {k: v.tobytes() for k, v in fitted.state().items()} == state


@pytest.mark.parametrize("method", sorted(METHODS))
def test_state_survives_saving_and_equal_fits_give_equal_bytes(method, tmp_path):
    """Breaks if a fit is not deterministic, or if something fitted is missing from the state."""
    X, batch, tissue = rows()
    files = []
    for i in range(2):
        fitted = fit_correction(method, X, batch, tissue, **OPTIONS[method])
        fitted.save(tmp_path / f"{i}.safetensors")
        files.append((tmp_path / f"{i}.safetensors").read_bytes())
    assert files[0] == files[1]
    loaded = load_correction(tmp_path / "0.safetensors")
    assert type(loaded) is correction_class(method)
    np.testing.assert_array_equal(loaded.apply(X, batch, tissue), fitted.apply(X, batch, tissue))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_bad_values_and_unknown_studies_are_refused(method):
    """Breaks if NaN passes, if a study that was never seen is treated like another, or labels are misaligned."""
    X, batch, tissue = rows()
    holed = X.copy()
    holed[3, 7] = np.nan
    with pytest.raises(DataError, match="row 3, variable 7: value nan is not finite"):
        fit_correction(method, holed, batch, tissue, **OPTIONS[method])
    with pytest.raises(DataError, match="batch has 59 labels, X has 60 rows"):
        fit_correction(method, X, batch[1:], tissue, **OPTIONS[method])
    fitted = fit_correction(method, X, batch, tissue, **OPTIONS[method])
    with pytest.raises(DataError, match="batch 'TARGET' was not seen when fitting; known: GTEx, TCGA"):
        fitted.apply(X[:1], np.array(["TARGET"]), tissue[:1])
    with pytest.raises(DataError, match="not finite"):
        fitted.apply(holed, batch, tissue)
    with pytest.raises(DataError, match="fitted on 40 variables, given 39"):
        fitted.apply(X[:, 1:], batch, tissue)


@pytest.mark.parametrize("method", FITTED)
def test_one_study_alone_is_refused(method):
    """Breaks if a correction between studies is fitted on one."""
    X, batch, tissue = rows()
    g = batch == "GTEx"
    with pytest.raises(DataError, match="at least two batches"):
        fit_correction(method, X[g], batch[g], tissue[g], **OPTIONS[method])


@pytest.mark.parametrize("method", FITTED)
def test_margins_of_the_studies_meet(method):
    """Breaks if a method does nothing: the mean difference between the studies falls, gene by gene."""
    X, batch, tissue = rows()
    g = batch == "GTEx"
    out = fit_correction(method, X, batch, tissue, **OPTIONS[method]).apply(X, batch, tissue)
    before = np.abs(X[g].mean(0) - X[~g].mean(0)).mean()
    after = np.abs(out[g].mean(0) - out[~g].mean(0)).mean()
    assert (
        after
        < {
            "support.Support": 0.95,
            "alignment.Align": 0.6,
            "ruv.RUV": 0.6,
            "transport.Transport": 0.75,
            "conditional_ae.ConditionalAE": 0.75,
        }.get(method, 0.3)
        * before
    )


def test_genes_constant_inside_a_batch():
    """Breaks if a zero variance becomes NaN or infinity in any method."""
    X, batch, tissue = rows()
    X[batch == "GTEx", 0] = 0.0
    X[:, 1] = 3.0
    for method, options in OPTIONS.items():
        out = fit_correction(method, X, batch, tissue, **options).apply(X, batch, tissue)
        assert np.isfinite(out).all(), method
        np.testing.assert_allclose(out[:, 1], 3.0, atol=1e-5, err_msg=method)


def test_wang2018_warns_and_test_rows_shape_it(caplog):
    """Breaks if the published protocol passes for a leak-free one: here a test row and a label must change the fit."""
    X, batch, _ = rows()
    condition = np.where(np.arange(60) % 5 == 4, "tumour", "normal")
    with caplog.at_level(logging.WARNING):
        fitted = fit_correction("wang2018.Wang2018", X, batch, condition)
    assert "test rows and tumours included" in caplog.text
    assert fitted.sees_all_rows and fitted.labels == "condition"
    changed = X.copy()
    changed[-1] += 3
    assert not np.array_equal(
        fit_correction("wang2018.Wang2018", changed, batch, condition).state()["gamma"], fitted.state()["gamma"]
    )
    relabelled = condition.copy()
    relabelled[0] = "tumour"
    assert not np.array_equal(
        fit_correction("wang2018.Wang2018", X, batch, relabelled).state()["gamma"], fitted.state()["gamma"]
    )
    out = fitted.apply(X, batch, condition)
    assert (out[X == 0] == 0).all() and out.min() >= 0
    rounded = fit_correction("wang2018.Wang2018", X, batch, condition, round_log2=True).apply(X, batch, condition)
    np.testing.assert_allclose(rounded, np.round(out, 2), atol=0.0101)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_changing_test_rows_or_tumour_labels_changes_no_fitted_state(method):
    """Breaks if a method is fitted on more than training normals; wang2018 is, and must be told apart by its flag."""
    X, batch, tissue = rows(90)
    train = np.arange(90) < 70
    condition = np.where((np.arange(90) % 7 == 3) & (batch == "TCGA"), "tumour", "normal")
    kind = correction_class(method)

    def state(X, condition):
        seen = np.ones(90, dtype=bool) if kind.sees_all_rows else train & (condition == "normal")
        labels = {"tissue": tissue, "condition": condition}[kind.labels]
        fitted = fit_correction(method, X[seen], batch[seen], labels[seen], **OPTIONS[method])
        return {key: value.tobytes() for key, value in fitted.state().items()}

    before = state(X, condition)
    changed = X.copy()
    changed[~train] += 3
    changed[condition == "tumour"] *= 1.5
    relabelled = np.where(train, condition, np.where(condition == "tumour", "normal", "tumour"))
    assert (state(changed, condition) == before) is not kind.sees_all_rows
    assert (state(X, relabelled) == before) is not kind.sees_all_rows
    assert kind.sees_all_rows == (method == "wang2018.Wang2018") == (kind.labels == "condition")


finite = st.floats(-5, 25, allow_nan=False, width=32)


@settings(max_examples=60)
@given(
    st.lists(finite, min_size=2, max_size=12),
    st.lists(finite, min_size=2, max_size=12),
    st.lists(finite, min_size=2, max_size=20),
)
def test_quantile_mapping_is_monotone(source, target, new):
    """Breaks if a larger value is mapped below a smaller one, with ties and outside the fitted range, too."""
    X = np.array(source + target)[:, None]
    batch = np.array(["a"] * len(source) + ["b"] * len(target))
    fitted = Quantile.fit(X, batch, reference="b")
    new = np.sort(np.array(new))
    out = fitted.apply(new[:, None], np.full(len(new), "a"))[:, 0]
    assert (np.diff(out) >= -1e-4).all()


def test_quantile_outside_the_fitted_range_keeps_its_distance():
    """Breaks if values beyond the training range are clipped (a tumour's extreme value would vanish)."""
    X = np.r_[np.arange(10.0), np.arange(10.0) + 5][:, None]
    fitted = Quantile.fit(X, np.repeat(["a", "b"], 10), reference="b")
    out = fitted.apply(np.array([[20.0], [-3.0], [4.5]]), np.full(3, "a"))[:, 0]
    np.testing.assert_allclose(out, [25.0, 2.0, 9.5], atol=1e-5)


def test_quantile_equalises_the_distributions():
    """Breaks if the mapping is not that of the quantiles: shape, not only mean and spread, must agree."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.exponential(1, (200, 3)), rng.normal(5, 2, (200, 3))]
    batch = np.repeat(["a", "b"], 200)
    out = Quantile.fit(X, batch).apply(X, batch)
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(np.quantile(out[:200], q, 0), np.quantile(out[200:], q, 0), atol=0.05)


def test_support_makes_a_gene_that_one_study_lacks_constant():
    """Breaks if the zeros of GTEx in the last four genes still say where a row comes from."""
    X, batch, _ = rows()
    out = fit_correction("support.Support", X, batch).apply(X, batch)
    assert (np.ptp(out[:, 36:], axis=0) == 0).all() and (np.ptp(out[:, :36], axis=0) > 0).all()
    with pytest.raises(DataError, match="no variable is above limit 50"):
        fit_correction("support.Support", X, batch, limit=50.0)


def test_align_matches_covariances_and_wants_enough_rows(caplog):
    """Breaks if the joint structure is not touched, where margins are equal already."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, 30))
    common, own = rng.normal(size=(80, 2)) @ W, rng.normal(size=(80, 2)) @ rng.permutation(W.T).T
    X = np.r_[common, own] + 0.3 * rng.normal(size=(160, 30)) + 8
    batch = np.repeat(["GTEx", "TCGA"], 80)
    fitted = fit_correction("alignment.Align", X, batch, reference="TCGA", n_components=6, shrink=0.0, n_quantiles=0)
    out = fitted.apply(X, batch)
    gap = [np.linalg.norm(np.cov(Y[:80].T) - np.cov(Y[80:].T)) for Y in (X, out)]
    assert gap[1] < 0.2 * gap[0]
    with caplog.at_level(logging.WARNING):
        few = fit_correction("alignment.Align", X[70:], batch[70:], n_components=12)
    assert "5 components instead of 12: batch 'GTEx' has 10 rows" in caplog.text
    assert few.state()["V"].shape == (30, 5)
    with pytest.raises(DataError, match="4 rows of every batch, found 3 of 'GTEx'"):
        fit_correction("alignment.Align", X[77:], batch[77:])
    with pytest.raises(ConfigError, match=r"keep 1\.5 must be between 0 and 1"):
        fit_correction("alignment.Align", X, batch, keep=1.5)


def planted(n=120, n_vars=200, seed=0):
    """Two studies and two tissues, a factor on every gene that GTEx has more of, tissue on the first 20 genes alone."""
    rng = np.random.default_rng(seed)
    batch = np.where(np.arange(n) % 3 == 0, "GTEx", "TCGA")
    tissue = np.where(np.arange(n) % 2 == 0, "kidney", "lung")
    factor = rng.normal(0, 1, n) + 2 * (batch == "GTEx")
    loading = rng.choice([-1.0, 1.0], n_vars)
    effect = 3 * (np.arange(n_vars) < 20)
    X = 8 + factor[:, None] * loading + (tissue == "lung")[:, None] * effect + rng.normal(0, 0.3, (n, n_vars))
    return X, batch, tissue, factor


def test_ruv_removes_a_planted_factor_and_keeps_the_tissue():
    """Breaks if the factor stays in new rows, or if the tissues' genes serve as controls and lose their difference."""
    X, batch, tissue, factor = planted()
    fit = np.arange(len(X)) < 80
    fitted = fit_correction("ruv.RUV", X[fit], batch[fit], tissue[fit], n_factors=1)
    project = fitted.state()["project"]
    assert (project[:20] == 0).all() and (project != 0).sum() == 100
    X, batch, tissue, factor = X[~fit], batch[~fit], tissue[~fit], factor[~fit]
    out = fitted.apply(X, batch)
    for Y, least, most in ((X, 0.8, 1.0), (out, 0.0, 0.2)):
        r = [abs(np.corrcoef(factor, Y[:, j])[0, 1]) for j in range(20, 200)]
        assert least <= np.median(r) <= most
    g, lung = batch == "GTEx", tissue == "lung"
    assert np.abs(out[g].mean(0) - out[~g].mean(0)).mean() < 0.1 * np.abs(X[g].mean(0) - X[~g].mean(0)).mean()
    difference = out[lung].mean(0) - out[~lung].mean(0)
    np.testing.assert_allclose(difference[:20], 3, atol=0.4)
    np.testing.assert_allclose(difference[20:], 0, atol=0.4)


def test_ruv_says_where_nothing_names_controls_and_refuses_bad_options(caplog):
    """Breaks if one tissue, or more factors than the rows span, is silent, or if an option out of range passes."""
    X, batch, tissue, _ = planted(12)
    with caplog.at_level(logging.WARNING):
        fitted = fit_correction("ruv.RUV", X, batch, None, n_factors=40)
    assert "no study has two tissues" in caplog.text and "11 factors instead of 40" in caplog.text
    np.testing.assert_allclose(fitted.apply(X, batch), np.tile(fitted.state()["centre"], (12, 1)), atol=1e-3)
    for options, said in (
        ({"n_factors": 0}, "n_factors 0 must be at least 1"),
        ({"controls": 0.0}, r"controls 0\.0 must be above 0"),
        ({"controls": 1.5}, r"controls 1\.5 must be above 0 and at most 1"),
    ):
        with pytest.raises(ConfigError, match=f"ruv {said}"):
            fit_correction("ruv.RUV", X, batch, tissue, **options)


def test_transport_moves_a_cloud_onto_the_reference_and_leaves_the_reference_alone():
    """Breaks if new rows are not moved, if a mode goes to the wrong mode, or if reference rows change by a bit."""
    rng = np.random.default_rng(0)
    mode = np.arange(200) % 2
    batch = np.where(np.arange(200) % 4 < 2, "GTEx", "TCGA")
    direction = rng.normal(size=(2, 30))
    X = 8 + 3 * mode[:, None] * direction[0] + (batch == "GTEx")[:, None] * 0.8 * (2 * mode[:, None] - 1) * direction[1]
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)
    fit = np.arange(200) < 120
    fitted = fit_correction("transport.Transport", X[fit], batch[fit], reference="TCGA", n_components=3, blur=0.3)
    X, batch, mode = X[~fit], batch[~fit], mode[~fit]
    out, g = fitted.apply(X, batch), batch == "GTEx"
    np.testing.assert_array_equal(out[~g], X[~g])
    for m in (0, 1):  # each mode differs from that of the reference in the other direction, so no mean tells
        gap = [np.abs(Y[g & (mode == m)].mean(0) - Y[~g & (mode == m)].mean(0)).mean() for Y in (X, out)]
        assert gap[1] < 0.25 * gap[0]
    still = fit_correction("transport.Transport", X, batch, reference="TCGA", amount=0.0).apply(X, batch)
    np.testing.assert_array_equal(still, X)


def test_sinkhorn_gives_a_plan_with_the_asked_margins():
    """Breaks with any other potential than the optimal one: rows of the plan sum to 1 / n, columns to 1 / m."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(15, 3)), rng.normal(1, 2, (25, 3))
    cost = ((A[:, None] - B) ** 2).sum(2) / 2
    g = sinkhorn(A, B, 0.5)
    plan = np.exp((g - cost) / 0.5) / 25
    plan /= 15 * plan.sum(1, keepdims=True)
    np.testing.assert_allclose(plan.sum(0), 1 / 25, rtol=1e-4)
    g = self_sinkhorn(A, 0.5)
    plan = np.exp((g[:, None] + g - ((A[:, None] - A) ** 2).sum(2) / 2) / 0.5) / 15
    np.testing.assert_allclose(plan.sum(0), 1, rtol=1e-4)


def test_transport_refuses_bad_options():
    """Breaks if a missing reference, a wrong option or a reference without spread is not named."""
    X, batch, _ = rows()
    for options, said in (
        ({"reference": None}, "reference None: name the study"),
        ({"n_components": 0}, "n_components 0 must be at least 1"),
        ({"blur": 0}, "blur 0 must be above 0"),
        ({"amount": 1.5}, r"amount 1\.5 must be between 0 and 1"),
    ):
        with pytest.raises(ConfigError, match=f"transport {said}"):
            fit_correction("transport.Transport", X, batch, **{"reference": "TCGA"} | options)
    keep = (batch == "GTEx") | (np.arange(60) == 1)
    with pytest.raises(DataError, match="1 rows of reference 'TCGA' have no spread"):
        fit_correction("transport.Transport", X[keep], batch[keep], reference="TCGA")


def test_conditional_ae_decodes_new_rows_into_the_reference_and_keeps_the_tissue():
    """Breaks if the decoder is given the row's own study, or if the code loses what both studies share."""
    X, batch, tissue, _ = planted(240)
    X[batch == "GTEx"] += 2 * np.sin(np.arange(200))  # a shift that no factor shares
    fit = np.arange(240) < 160
    options = {"reference": "TCGA", "n_components": 5, "n_latent": 3, "n_hidden": 16}
    fitted = fit_correction("conditional_ae.ConditionalAE", X[fit], batch[fit], **options)
    X, batch, tissue = X[~fit], batch[~fit], tissue[~fit]
    out, g, lung = fitted.apply(X, batch), batch == "GTEx", tissue == "lung"
    gap = [np.abs(Y[g].mean(0) - Y[~g].mean(0)).mean() for Y in (X, out)]
    assert gap[1] < 0.4 * gap[0]
    difference = out[lung][:, :20].mean() - out[~lung][:, :20].mean()
    assert 1.5 < difference < 4


def test_conditional_ae_damps_the_residual_alike_in_every_study():
    """Breaks if `keep` is ignored, or if rows of the reference keep more than the others."""
    X, batch, _, _ = planted(240)
    size = {}
    for keep in (0.0, 1.0):
        fitted = fit_correction(
            "conditional_ae.ConditionalAE", X, batch, reference="TCGA", n_components=5, keep=keep, n_steps=100
        )
        size[keep] = fitted.apply(X, batch).astype(float)
    rest = np.sqrt(((size[1.0] - size[0.0]) ** 2).sum(1))
    assert rest.min() > 0
    assert 0.8 < np.median(rest[batch == "GTEx"]) / np.median(rest[batch == "TCGA"]) < 1.25


def test_mmd_is_zero_for_equal_codes_and_grows_with_their_distance():
    """Breaks if the penalty does not tell two clouds apart, or has another sign."""
    import torch

    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one_hot = torch.eye(2, dtype=torch.float64)[torch.arange(40) // 20]
    found = [float(mmd(torch.vstack([z, z + shift]), one_hot)) for shift in (0.0, 0.5, 2.0)]
    assert abs(found[0]) < 1e-12 and 0 < found[1] < found[2] < 2


def test_conditional_ae_refuses_bad_options():
    """Breaks if an option out of range, a missing reference or too few rows is not named."""
    X, batch, _ = rows()
    for options, said in (
        ({"reference": None}, "reference None: name the study"),
        ({"n_latent": 0}, "n_latent 0 must be at least 1"),
        ({"match": -1}, "match -1 must not be negative"),
        ({"keep": 2}, "keep 2 must be between 0 and 1"),
    ):
        with pytest.raises(ConfigError, match=f"conditional_ae {said}"):
            fit_correction("conditional_ae.ConditionalAE", X, batch, **{"reference": "TCGA"} | options)
    keep = (batch == "TCGA") | (np.arange(60) < 9)
    with pytest.raises(DataError, match="4 rows of every batch, found 3 of 'GTEx'"):
        fit_correction("conditional_ae.ConditionalAE", X[keep], batch[keep], reference="TCGA")


@pytest.mark.parametrize(("method", "n"), [("transport.Transport", 11), ("conditional_ae.ConditionalAE", 8)])
def test_fewer_components_than_asked_for_are_logged(method, n, caplog):
    """Breaks if a setting that the rows do not allow is lowered without a word."""
    X, batch, _, _ = planted(12)
    options = {"reference": "TCGA", "n_components": 30} | (
        {"n_steps": 5} if method == "conditional_ae.ConditionalAE" else {}
    )
    with caplog.at_level(logging.WARNING):
        fitted = fit_correction(method, X, batch, **options)
    assert f"{correction_class(method).name}: {n} components instead of 30" in caplog.text
    assert fitted.state()["V"].shape == (200, n)


def test_unknown_names_are_refused_by_name():
    """Breaks if a misspelt method, option, reference or step is ignored."""
    X, batch, tissue = rows()
    with pytest.raises(ConfigError, match=r"'kombat.ComBat': there is no file .*did you mean 'combat.ComBat'.*zscore"):
        fit_correction("kombat.ComBat", X, batch, tissue)
    with pytest.raises(ConfigError, match=r"combat.ComBat has no option 'ref'; known: reference"):
        fit_correction("combat.ComBat", X, batch, tissue, ref="TCGA")
    with pytest.raises(DataError, match="reference 'TARGET' is no batch; there are GTEx, TCGA"):
        fit_correction("combat.ComBat", X, batch, tissue, reference="TARGET")
    with pytest.raises(ConfigError, match=r"support.Support has no option 'treshold'"):
        fit_correction("chain.Chain", X, batch, tissue, steps=[{"method": "support.Support", "treshold": 1}])
    with pytest.raises(ConfigError, match="fitted on all rows and cannot be a step"):
        fit_correction("chain.Chain", X, batch, tissue, steps=[{"method": "wang2018.Wang2018"}])
    with pytest.raises(DataError, match="per_tissue: needs the tissue"):
        fit_correction("per_tissue.PerTissue", X, batch, method="zscore.ZScore")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("combat", "'combat' does not exist .did you mean 'combat.ComBat'"),
        ("align", "'align': there is no file correction/align.py .did you mean 'alignment.Align'"),
        ("combat.Combat", "'combat.Combat' does not exist .did you mean 'combat.ComBat'"),
        ("wang2018.ComBat", "'wang2018.ComBat' does not exist .did you mean 'wang2018.Wang2018'"),
        ("correction.Correction", "'correction.Correction' does not exist; .* has none"),
        ("shrinkage.posterior", "'shrinkage.posterior' does not exist; .* has none"),
        ("", "method '': there is no file"),
    ],
)
def test_a_method_that_is_no_correction_is_refused(method, message):
    """Breaks if a bare, imported, abstract or misspelt name is taken, or the message does not name the right one."""
    with pytest.raises(ConfigError, match=message):
        correction_class(method)


PLUG_IN = """
import numpy as np
from aeflow.correction.correction import Correction, check_fit, encode_labels

class Halve(Correction):
    @classmethod
    def fit(cls, X, batch, tissue=None, *, factor=0.5):
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = encode_labels(sorted(set(batch)))
        return cls({"factor": np.array(factor), "batches": batches, "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        return X * self.arrays["factor"]
"""


def test_a_file_is_all_that_a_correction_needs(tmp_path, monkeypatch):
    """Breaks if a new correction has to be listed anywhere, or cannot be saved, chained or named by its file."""
    import aeflow.correction

    (tmp_path / "halving.py").write_text(PLUG_IN)
    monkeypatch.setattr(aeflow.correction, "__path__", [*aeflow.correction.__path__, str(tmp_path)])
    X, batch, tissue = rows()
    step = {"method": "halving.Halve", "factor": 0.25}
    for method, options, factor in (("halving.Halve", {}, 0.5), ("chain.Chain", {"steps": [step, step]}, 0.0625)):
        fit_correction(method, X, batch, tissue, **options).save(tmp_path / "c.safetensors")
        loaded = load_correction(tmp_path / "c.safetensors")
        assert loaded.method() == method
        np.testing.assert_allclose(loaded.apply(X, batch, tissue), factor * X, rtol=1e-6)
    with pytest.raises(DataError, match="correction halving: batch 'TARGET'"):
        fit_correction("halving.Halve", X, batch, tissue).apply(X[:1], np.array(["TARGET"]), tissue[:1])

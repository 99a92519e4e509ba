"""Leaderboards: pairing by seed, verdicts from the declared direction, intervals over donors, ranks, text."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import NORMAL, one, specification

from aeflow.comparison.leaderboard import COLUMNS, Leaderboard, Verdicts, read_board
from aeflow.comparison.paired import donor_intervals
from aeflow.comparison.shown import headline_rows, pictured_rows
from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import DataError
from aeflow.evaluation.metric import Interval, metric_frame
from aeflow.files import write_frame

AUROC = "anomaly/tumour/deviation/squared_error/auroc"
MSE = "reconstruction/test/mse"
BETTER, NOT_BETTER, NO_VERDICT = "better than PCA", "not better than PCA", "no verdict (one seed)"


def runs_of(by_model, metric=AUROC, *, origin="simulated", batch=False, covariates=None):
    """Return a run per model and seed, its metrics the one named, of {model: values by seed}."""

    def codes_of(model):
        return CovariateCodes.from_json((covariates or {}).get(model, {}))

    return [
        (
            specification(model=model, seed=seed, origin=origin, covariates=codes_of(model)),
            [one(metric, value, batch=batch)],
        )
        for model, values in by_model.items()
        for seed, value in enumerate(values)
    ]


def board(ae, pca, metric=AUROC, origin="simulated", **keywords) -> Leaderboard:
    return Leaderboard.of_runs(runs_of({"ae": ae, "pca": pca}, metric, origin=origin, **keywords), "pca")


def row(found: Leaderboard, model="ae") -> pd.Series:
    return found.frame.set_index("model").loc[model]


def donors(low: float, high: float, metric=AUROC) -> pd.DataFrame:
    about = one(metric, 0.0)
    words = {"part": about.part, "subject": about.subject, "score": about.score, "name": about.name}
    return pd.DataFrame([{"view": "normal", "model": "ae", **words, "donor_low": low, "donor_high": high}])


def test_leaderboard_pairs_by_seed():
    """Breaks if the interval is of unpaired means: here every seed improves by the same amount."""
    found = row(board([0.71, 0.81, 0.91], [0.70, 0.80, 0.90]))
    assert found["difference"] == pytest.approx(0.01)
    assert found["ci_low"] == pytest.approx(0.01, abs=1e-6)
    assert found["verdict"] == BETTER


def test_seeds_that_one_of_the_two_lacks_are_no_pairs():
    """Breaks if a seed of the model is compared with another seed of the baseline."""
    found = row(board([0.9, 0.5, 0.7], [0.8, 0.6]))
    assert found["n_seeds"] == 3 and found["mean"] == pytest.approx(0.7)
    assert found["difference"] == pytest.approx(0) and found["baseline_mean"] == pytest.approx(0.7)


def test_not_better_than_pca_is_printed():
    """Breaks if a difference within its interval is called an improvement, or simulated data are not named."""
    text = board([0.71, 0.90, 0.80], [0.70, 0.80, 0.90]).text()
    assert NOT_BETTER in text
    assert "SIMULATED" in text
    assert "SIMULATED" not in board([1, 1], [1, 1], origin="real").text()


def test_control_and_alarms_stand_beside_their_score():
    """Breaks if a tumour-detection number stands alone, or a control far from 0.5 is not marked."""
    stem = AUROC.removesuffix("auroc")
    values = {"auroc": 0.9, "control_auroc": 0.2, "control_negative_alarms": 0.25, "control_positive_alarms": 0.06}
    metrics = [one(stem + name, value) for name, value in values.items()]
    text = Leaderboard.of_runs([(specification(model="pca"), metrics)], "pca").text()
    assert "control 0.200!  alarms  25% /   6%" in text
    assert "the score detects the study" in text


def test_what_knows_no_model_is_printed_once():
    """Breaks if a score of the raw input is printed for every model, or under the name of one."""
    metric = "anomaly/tumour/baseline/squared_distance_to_mean/auroc"
    runs = [(specification(model=m), [one(metric, 0.6, baseline=True)]) for m in ("pca", "ae")]
    found = Leaderboard.of_runs(runs, "pca")
    assert found.text().count("(no model)") == 1
    assert (found.frame["verdict"] == "").all()


@pytest.mark.parametrize(
    ("metric", "ae", "pca", "verdict"),
    [
        (MSE, [1.0, 1.1, 1.2], [2.0, 2.1, 2.2], BETTER),
        (MSE, [2.0, 2.1, 2.2], [1.0, 1.1, 1.2], NOT_BETTER),
        (AUROC, [0.9, 0.91, 0.92], [0.8, 0.81, 0.82], BETTER),
        (AUROC, [0.8, 0.81, 0.82], [0.9, 0.91, 0.92], NOT_BETTER),
        ("representation/sparsity/hoyer", [0.9, 0.91, 0.92], [0.1, 0.11, 0.12], ""),
        ("representation/sparsity/hoyer", [0.1, 0.11, 0.12], [0.9, 0.91, 0.92], ""),
        (AUROC.replace("auroc", "control_auroc"), [0.9, 0.91, 0.92], [0.1, 0.11, 0.12], ""),
    ],
)
def test_the_declared_direction_decides(metric, ae, pca, verdict):
    """Breaks if an error is ranked as if large were good, or a number without a direction gets a verdict."""
    assert row(board(ae, pca, metric))["verdict"] == verdict
    assert row(board(ae, pca, metric), "pca")["verdict"] == ""


def test_text_ranks_by_the_declared_direction():
    """Breaks if the printed order of an error puts the largest first."""
    for metric, first in ((MSE, "pca"), (AUROC, "ae")):
        text = board([3.0, 3.1], [1.0, 1.1], metric).text()
        assert (text.index("  ae ") < text.index("  pca ")) == (first == "ae")


BATCH_METRICS = [f"representation/study/{n}" for n in ("nmi", "ari", "silhouette")] + [
    f"representation/study/{head}/{name}" for head in ("logistic", "mlp") for name in ("accuracy", "balanced_accuracy")
]
unit = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize("metric", BATCH_METRICS)
@given(values=st.lists(st.tuples(unit, unit), min_size=1, max_size=5))
@settings(max_examples=6)
def test_a_leak_of_the_study_is_never_better_than_pca(metric, values):
    """Breaks if a model whose latents give the study away at least as well as PCA's is praised for it."""
    pairs = [(max(pair), min(pair)) for pair in values]
    found = row(board([high for high, _ in pairs], [low for _, low in pairs], metric, batch=True))
    assert found["direction"] == "lower"
    assert found["verdict"] == (NOT_BETTER if len(pairs) > 1 else NO_VERDICT)


def test_hiding_the_study_is_better():
    """Breaks if nothing a model does about the study can count in its favour."""
    metric = "representation/study/logistic/accuracy"
    assert row(board([0.5, 0.51, 0.52], [0.9, 0.91, 0.92], metric, batch=True))["verdict"] == BETTER


def test_one_seed_has_no_interval_and_claims_nothing():
    """Breaks if a single run is enough to be called better, or to be called worse."""
    for ae, pca in ((0.9, 0.1), (0.1, 0.9)):
        found = row(board([ae], [pca]))
        assert np.isnan(found["ci_low"]) and np.isnan(found["sd"])
        assert found["verdict"] == NO_VERDICT
    runs = runs_of({"ae": [0.9], "pca": [0.1]})
    assert row(Leaderboard.of_runs(runs, "pca", donors=donors(0.5, 0.9)))["verdict"] == NO_VERDICT


number = st.floats(-1, 1, allow_nan=False)


@given(number, number, st.sampled_from(["higher", "lower", "none"]))
def test_verdicts_of_intervals(one_end, other_end, direction):
    """Breaks for any interval that holds 0, or lies on the worse side of it, and is called better."""
    verdicts = Verdicts("PCA")
    low, high = min(one_end, other_end), max(one_end, other_end)
    found = verdicts.of(direction, low, high)
    if direction == "none":
        assert found == ""
    elif low <= 0 <= high:
        assert found == verdicts.not_better
    else:
        assert (found == verdicts.better) == ((low > 0) == (direction == "higher"))
    mirrored = {"higher": "lower", "lower": "higher", "none": "none"}[direction]
    assert verdicts.of(mirrored, -high, -low) == found
    for bound in (math.nan, math.inf):
        assert verdicts.of(direction, low, bound) == ("" if direction == "none" else verdicts.none)


@pytest.mark.parametrize("metric", [AUROC, MSE])
@given(ends=st.tuples(number, number), gain=st.sampled_from([-0.3, 0.3]))
@settings(max_examples=12)
def test_a_verdict_needs_both_intervals(metric, ends, gain):
    """Breaks if lucky seeds on few donors, or a sure gain over donors on seeds that lose, give "better than PCA"."""
    low, high = min(ends), max(ends)
    better = 1 if metric == AUROC else -1
    runs = runs_of({"ae": [1 + better * gain + i / 1000 for i in range(3)], "pca": [1.0, 1.001, 1.0021]}, metric)
    found = row(Leaderboard.of_runs(runs, "pca", donors=donors(low, high, metric)))
    gained = low > 0 if metric == AUROC else high < 0
    assert found["verdict"] == (BETTER if gain > 0 and gained else NOT_BETTER)
    assert (found["donor_low"], found["donor_high"]) == (low, high)


def test_what_a_model_was_given_is_not_its_merit():
    """Breaks if a model conditioned on the tissue is called better than PCA for having the tissue in its latents."""
    codes = {"cvae": {"tissue": {"levels": ["a", "b"]}}}
    values = {"pca": [0.9, 0.901, 0.902], "cvae": [1.0, 1.001, 1.002]}
    verdict = {}
    for column in ("tissue", "condition"):
        runs = runs_of(values, f"representation/{column}/logistic/accuracy", covariates=codes)
        found = Leaderboard.of_runs(runs, "pca")
        verdict |= {(column, model): row(found, model)["verdict"] for model in values}
    assert verdict["tissue", "cvae"] == "was given tissue" and verdict["tissue", "pca"] == ""
    assert verdict["condition", "cvae"] == BETTER
    given_one_seed = runs_of({"pca": [0.9], "cvae": [1.0]}, "representation/tissue/nmi", covariates=codes)
    assert row(Leaderboard.of_runs(given_one_seed, "pca"), "cvae")["verdict"] == "was given tissue"
    # of another part the word may be the same, the meaning is not: a task may be called as the column
    detection = runs_of(values, AUROC.replace("tumour", "tissue"), covariates=codes)
    assert row(Leaderboard.of_runs(detection, "pca"), "cvae")["verdict"] == BETTER


def test_a_view_needs_its_baseline():
    """Breaks if models of a view without the baseline are ranked as if nothing were missing."""
    runs = [*runs_of({"pca": [0.8], "ae": [0.9]}), (specification(view="other"), [one(AUROC, 0.9)])]
    with pytest.raises(DataError, match="x, view other: there is no run of 'pca' to compare with"):
        Leaderboard.of_runs(runs, "pca")


def test_runs_of_two_declarations_are_not_compared():
    """Breaks if runs assessed before and after a change of direction share a row."""
    metric = "representation/study/nmi"
    runs = runs_of({"pca": [0.8]}, metric, batch=True) + runs_of({"ae": [0.9]}, metric)
    with pytest.raises(DataError, match=r"metric representation/study//nmi: runs disagree on its direction"):
        Leaderboard.of_runs(runs, "pca")


def test_the_baseline_is_what_the_configuration_names():
    """Breaks if the model called pca is compared with whatever the configuration says."""
    found = Leaderboard.of_runs(runs_of({"pca": [0.9, 0.91, 0.92], "ae": [0.5, 0.51, 0.52]}), "ae")
    assert row(found, "pca")["verdict"] == "better than AE" and row(found, "ae")["verdict"] == ""


def test_a_board_survives_its_file(tmp_path):
    """Breaks if columns, bounds of intervals or text are lost, or another table passes for a leaderboard."""
    runs = [(spec, [one(AUROC, Interval(m[0].value, 0.5, 0.99))]) for spec, m in runs_of({"pca": [0.9], "ae": [0.8]})]
    found = Leaderboard.of_runs(runs, "pca").frame
    write_frame(found, tmp_path / "leaderboard.parquet")
    again = read_board(tmp_path / "leaderboard.parquet")
    assert tuple(again.columns) == COLUMNS
    pd.testing.assert_frame_equal(again, found, check_dtype=False)
    assert (again["low"] == 0.5).all() and (again["high"] == 0.99).all()
    write_frame(found.drop(columns="verdict"), tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"other\.parquet: columns must be"):
        read_board(tmp_path / "other.parquet")


def test_stability_stands_beside_without_a_verdict():
    """Breaks if a number of a model, not of its runs, is lost from the board or gets a verdict."""
    stability = pd.DataFrame(
        [
            {
                "dataset": "x",
                "origin": "real",
                "view": "normal",
                "model": "ae",
                "part": "representation",
                "subject": "stability",
                "score": "",
                "name": "cka",
                "metric": "representation/stability/cka",
                "direction": "higher",
                "baseline": False,
                "n_seeds": 2,
                "mean": 0.9,
                "verdict": "",
            }
        ]
    )
    runs = runs_of({"ae": [0.9, 0.91], "pca": [0.1, 0.11]}, origin="real")
    found = Leaderboard.of_runs(runs, "pca", stability=stability, donors=donors(0.1, 0.2))
    of_cka = found.frame.set_index("metric").loc["representation/stability/cka"]
    assert of_cka["mean"] == 0.9 and of_cka["verdict"] == "" and np.isnan(of_cka["ci_low"])
    assert found.frame["baseline"].dtype == bool
    assert "representation/stability/cka" in found.text()


def test_ranks_over_views():
    """Breaks if a model that is always best is not first, or one that misses a view is ranked."""
    metric = "anomaly/one/deviation/squared_error/auroc"
    runs = [
        (specification(view=f"v{v}", model=model), [one(metric, value + 0.001 * v)])
        for v in range(4)
        for model, value in (("pca", 0.8), ("best", 0.9), ("worst", 0.6))
    ]
    runs.append((specification(view="v0", model="once"), [one(metric, 0.99)]))
    table = Leaderboard.of_runs(runs, "pca").ranks()
    assert table["model"].tolist() == ["best", "pca", "worst"] and table["n_blocks"].iloc[0] == 4
    assert Leaderboard.of_runs(runs[:2], "pca").ranks().empty


def test_ranks_are_of_detection_by_models():
    """Breaks if scores without a model, controls or validation rows have a say in the ranks."""
    values = {"pca": 0.8, "best": 0.9}
    runs = []
    for view in ("v0", "v1"):
        for model, value in values.items():
            metrics = [one("anomaly/one/deviation/squared_error/auroc", value)]
            metrics += [one("anomaly/one/deviation/squared_error/control_auroc", 1 - value)]
            metrics += [one("anomaly/one/baseline/knn/auroc", 1 - value, baseline=True)]
            metrics += [one("validation/one/deviation/squared_error/auroc", 1 - value)]
            metrics += [one("dilution/20/deviation/squared_error/auroc", 1 - value)]
            runs.append((specification(view=view, model=model), metrics))
    table = Leaderboard.of_runs(runs, "pca").ranks()
    assert table["model"].tolist() == ["best", "pca"]
    assert table["n_blocks"].iloc[0] == 2 and table["mean_rank"].tolist() == [1, 2]


def test_headlines_are_few():
    """Breaks if calibration, validation or two-sample AUROCs crowd the printed leaderboard."""
    texts = [
        "anomaly/t/deviation/x/auroc",
        "anomaly/t/deviation/x/auprc",
        "validation/t/deviation/x/auroc",
        "conformal/t/deviation/x/power",
        "generation/gmm/two_sample_auroc",
        "generation/gmm/frechet",
        "generation/posterior/frechet",
        "generation/baseline/real_train/frechet",
        "reconstruction/test/explained_variance",
    ]
    frame = metric_frame([one(text, 0.5, baseline="/baseline/" in text) for text in texts])
    shown = [text for text, here in zip(texts, headline_rows(frame), strict=True) if here]
    assert shown == [
        "anomaly/t/deviation/x/auroc",
        "generation/gmm/frechet",
        "generation/baseline/real_train/frechet",
        "reconstruction/test/explained_variance",
    ]
    pictured = [text for text, here in zip(texts, pictured_rows(frame), strict=True) if here]
    assert pictured == ["reconstruction/test/explained_variance"]


def donor_sheet(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "donor_id": [f"d{i // 2}" for i in range(n)]})
    obs["split"] = np.repeat(rng.choice(["train", "val", "test"], n // 2, p=[0.5, 0.2, 0.3]), 2)
    obs["condition"] = np.where(rng.random(n) < 0.3, "tumour", "normal")
    return obs


TASKS = {"tumour": {"datasets": ["x"], "views": ["normal"], "normal": NORMAL, "anomaly": {"condition": ["tumour"]}}}


def scored(obs: pd.DataFrame, strengths: dict[str, float], seeds=(0, 1)) -> list:
    """Return specification and scores of every model and seed: tumours are raised by its strength."""
    found = []
    for seed in seeds:
        for i, (model, strength) in enumerate(strengths.items()):
            rng = np.random.default_rng(7 * seed + i)
            frame = obs[["sample_id", "split"]].copy()
            for name in ("deviation/squared_error", "proximity/knn", "baseline/squared_distance_to_mean"):
                frame[name] = 10 + strength * (obs["condition"] == "tumour") + rng.normal(0, 1, len(obs))
            held_out = frame[obs["split"] != "train"].reset_index(drop=True)
            found.append((specification(model=model, seed=seed), held_out))
    return found


def test_difference_to_pca_over_donors():
    """Breaks if a model as good as PCA is called better, or a far better one is not."""
    obs = donor_sheet(1000)
    rows = donor_intervals(scored(obs, {"pca": 1.0, "same": 1.0, "good": 4.0}), obs, TASKS, "pca")
    assert set(rows["score"]) == {"deviation/squared_error", "proximity/knn"}
    assert set(rows["part"] + "/" + rows["subject"] + "/" + rows["name"]) == {"anomaly/tumour/auroc"}
    rows = rows[rows["score"] == "deviation/squared_error"].set_index("model")
    assert rows.loc["good", "donor_low"] > 0.05
    assert rows.loc["same", "donor_low"] < 0 < rows.loc["same", "donor_high"]
    assert "pca" not in rows.index


def test_difference_over_donors_is_paired():
    """Breaks if model and baseline are resampled apart: a score that ranks as PCA's differs by exactly nothing."""
    obs = donor_sheet(400)
    pca = scored(obs, {"pca": 1.0})
    alike = [(specification(model="ae", seed=spec.seed), frame.copy()) for spec, frame in pca]
    for _, frame in alike:
        frame["deviation/squared_error"] = np.exp(frame["deviation/squared_error"])
    rows = donor_intervals(pca + alike, obs, TASKS, "pca").set_index("score")
    assert rows.loc["deviation/squared_error", ["donor_low", "donor_high"]].tolist() == [0, 0]
    assert donor_intervals(pca, obs, TASKS, "pca").empty
    elsewhere = {"tumour": TASKS["tumour"] | {"views": ["other"]}}
    assert donor_intervals(pca + alike, obs, elsewhere, "pca").empty


def test_foot_says_what_was_left_out():
    """Breaks if the samples that a gate left out are not in the last line of the table."""
    note = "Gate: 2 of 145 samples left out for more than 40 values above 1.04858e+06."
    board = Leaderboard.of_runs(runs_of({"pca": [0.7, 0.8], "ae": [0.71, 0.9]}), "pca")
    assert board.text(note).splitlines()[-1] == note
    assert board.text(note).removesuffix(note + "\n") == board.text()

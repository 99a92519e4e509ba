"""The dilution ladder: linear mixing by hand, and who may be whose partner."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from aeflow.errors import DataError
from aeflow.evaluation.challenge.dilution import dilute, has_partner, mix


def obs(tissue, donors):
    return pd.DataFrame({"tissue": tissue, "donor_id": donors})


TUMOUR = obs(["liver", "liver", "lung"], ["d1", "d2", "d3"])
NORMAL = obs(["liver", "liver", "lung", "lung", "skin"], ["d1", "d9", "d3", "d8", "d7"])


def test_mixing_by_hand():
    """Breaks if logarithms are mixed, or the dataset's scale is not undone: 20 % of 101 and 80 % of 1 TPM are 21."""
    centre, scale = np.array([2.0]), np.array([0.5])
    tumour, normal = ((np.log2([[x + 1]]) - centre) / scale for x in (101, 1))
    found = mix(tumour, normal, 0.2, centre, scale) * scale + centre
    assert np.exp2(found) - 1 == pytest.approx(np.array([[21.0]]))


@given(st.integers(0, 10**6), st.floats(0.01, 1))
@settings(max_examples=50)
def test_mixture_lies_between_and_ends_are_the_rows_themselves(seed, share):
    """Breaks if corrected values below 0 are cut off, or a share is that of the normal."""
    rng = np.random.default_rng(seed)
    t, n = rng.normal(3, 3, size=(2, 4, 5))
    centre, scale = rng.normal(size=5), rng.uniform(0.5, 2, 5)
    found = mix(t, n, share, centre, scale)
    assert (found >= np.minimum(t, n) - 1e-9).all()
    assert (found <= np.maximum(t, n) + 1e-9).all()
    assert mix(t, n, 0, centre, scale) == pytest.approx(n)
    assert mix(t, n, 1, centre, scale) == pytest.approx(t)


def test_partners_are_of_the_tissue_and_of_another_donor():
    """Breaks if a tumour meets its own donor, another tissue, or another partner at each share."""
    rng = np.random.default_rng(0)
    x_tumour, x_normal = rng.normal(5, 1, size=(3, 4)), rng.normal(2, 1, size=(5, 4))
    unscaled = {"centre": np.zeros(4), "scale": np.ones(4)}
    seen = set()
    for seed in range(30):
        found = dilute(x_tumour, x_normal, TUMOUR, NORMAL, shares=(0.1, 0.5), seed=seed, **unscaled)
        assert found.share.tolist() == [0.1] * 3 + [0.5] * 3
        assert found.tumour.tolist() == [0, 1, 2] * 2
        assert (found.partner[:3] == found.partner[3:]).all()
        seen |= set(zip(found.tumour.tolist(), found.partner.tolist(), strict=True))
    assert seen == {(0, 1), (1, 0), (1, 1), (2, 3)}
    for i in range(6):
        expected = mix(x_tumour[found.tumour[i]], x_normal[found.partner[i]], found.share[i], 0, 1)
        assert found.X[i] == pytest.approx(expected, rel=1e-5)
    assert found.negatives.tolist() == found.partner[:3].tolist()
    again = dilute(x_tumour, x_normal, TUMOUR, NORMAL, shares=(0.1, 0.5), seed=29, **unscaled)
    assert (again.X == found.X).all()


def test_what_cannot_be_diluted_is_named():
    """Breaks if a tumour without partner is skipped in silence, or linear data are mixed as logarithms."""
    lonely = obs(["lung", "brain"], ["d3", "d5"])
    assert has_partner(lonely, NORMAL).tolist() == [True, False]
    assert has_partner(obs(["lung"], ["d3"]), NORMAL[:3]).tolist() == [False]
    x, unscaled = np.ones((5, 2)), {"centre": np.zeros(2), "scale": np.ones(2)}
    with pytest.raises(DataError, match=r"1 of 2 rows have no normal of their tissue .* first row 1: brain"):
        dilute(x[:2], x, lonely, NORMAL, **unscaled)
    with pytest.raises(DataError, match="reach 500: the dataset is not on a log2 scale"):
        dilute(x[:3] * 500, x, TUMOUR, NORMAL, **unscaled)
    with pytest.raises(DataError, match=r"shares: .* found \[0\.1, 0\.1\]"):
        dilute(x[:3], x, TUMOUR, NORMAL, shares=[0.1, 0.1], **unscaled)
    with pytest.raises(DataError, match="normal: column 'donor_id' does not exist; there are tissue"):
        has_partner(TUMOUR, NORMAL[["tissue"]])


def test_partners_of_the_same_study():
    """Breaks if a TCGA tumour is mixed into a GTEx normal although the study shall match."""
    tumour = obs(["liver"] * 3, ["d1", "d2", "d3"]).assign(study="TCGA")
    normal = obs(["liver"] * 4, ["d4", "d5", "d6", "d7"]).assign(study=["GTEx", "GTEx", "TCGA", "GTEx"])
    x, unscaled = np.ones((4, 2)), {"centre": np.zeros(2), "scale": np.ones(2)}
    found = dilute(x[:3], x, tumour, normal, match=("tissue", "study"), **unscaled)
    assert set(found.partner) == {2}
    assert len(set(dilute(x[:3], x, tumour, normal, seed=1, **unscaled).partner)) > 1
    with pytest.raises(DataError, match=r"3 of 3 rows have no normal of their tissue and study .* row 0: liver/TCGA"):
        dilute(x[:3], x[:2], tumour, normal[:2], match=("tissue", "study"), **unscaled)


def test_the_ladder_stands_on_a_half():
    """Breaks if tissues weigh otherwise among mixtures than among negatives: the score here knows only tissue."""
    tumour = obs(["liver"] * 30 + ["lung"] * 5, [f"t{i}" for i in range(35)])
    normal = obs(["liver"] * 5 + ["lung"] * 20, [f"n{i}" for i in range(25)])
    x_normal = np.where(normal["tissue"] == "liver", 9.0, 1)[:, None]
    found = dilute(np.ones((35, 1)), x_normal, tumour, normal, centre=[0], scale=[1], shares=(0, 0.5))
    negative, undiluted = x_normal[found.negatives, 0], found.X[found.share == 0, 0]
    assert roc_auc_score(np.repeat([0, 1], 35), np.r_[negative, undiluted]) == 0.5
    once = x_normal[np.unique(found.partner), 0]
    assert roc_auc_score(np.repeat([0, 1], [len(once), 35]), np.r_[once, undiluted]) > 0.6


@pytest.mark.parametrize("missing", ["", "NA", None, np.nan])
def test_rows_without_a_tissue_are_no_partners(missing):
    """Breaks if a tumour of unknown tissue is mixed into a normal of unknown tissue, as if that were one."""
    tumour = obs([missing, "liver"], ["d1", "d2"])
    normal = obs([missing, missing, "liver"], ["d3", "d4", "d5"])
    assert has_partner(tumour, normal).tolist() == [False, True]
    assert has_partner(tumour[:1], normal[:2]).tolist() == [False]

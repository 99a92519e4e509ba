"""Scorer: families by their names, fitted once, asked in order; a family of one's own is one file."""

import numpy as np
import pandas as pd
import pytest
import torch

import aeflow.scoring
from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.scoring.baselines import RawInput
from aeflow.scoring.density import LatentMixture
from aeflow.scoring.deviation import Deviation
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.names import is_baseline, score_columns
from aeflow.scoring.scores import Scorer, ScoreSettings, family_class


def rows(n, seed=0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, 3)) @ np.random.default_rng(1).normal(size=(3, 8))).float()


@pytest.fixture
def reference() -> Reference:
    """PCA of 120 rows."""
    model = build("pca.PCA", 8, {"n_latent": 2})
    model.solve(rows(120))
    return Reference(model, Batch(rows(120)), seed=0, n_importance=2, mixture_rows=100, calibration=Batch(rows(30, 5)))


def test_families_come_from_their_names(reference):
    """Breaks if families that nobody asked for are computed, or come in another order than asked."""
    assert family_class("deviation.Deviation") is Deviation
    names = ("baselines.Baselines", "deviation.Deviation")
    found = Scorer(names, reference).scores(Batch(rows(10, 2)))
    families = [score.split("/")[0] for score in found]
    assert families == sorted(families) and set(families) == {"baseline", "deviation"}
    turned = Scorer(names[::-1], reference).scores(Batch(rows(10, 2)))
    assert set(turned) == set(found) and next(iter(turned)) == "deviation/squared_error"
    for name, values in found.items():
        assert np.array_equal(values, turned[name]), name


def test_every_default_family_alone_gives_the_same_scores(reference):
    """Breaks if a family needs another one to be named before it, or is changed by its company."""
    x = Batch(rows(10, 2))
    families = ScoreSettings().families
    together = Scorer(families, reference).scores(x)
    alone = {}
    for family in families:
        found = Scorer([family], reference).scores(x)
        assert found, family
        alone |= found
    assert list(alone) == list(together)
    for name, values in together.items():
        assert np.array_equal(values, alone[name]), name


def test_what_families_share_is_fitted_once(reference, monkeypatch):
    """Breaks if the mixture on latents, which density and the combination need, or a family, is fitted twice."""
    fits = []
    for kind in (LatentMixture, RawInput, Deviation):
        original = kind.__init__

        def counted(self, given, original=original, kind=kind):
            fits.append(kind)
            original(self, given)

        monkeypatch.setattr(kind, "__init__", counted)
    scorer = Scorer(ScoreSettings().families, reference)
    first = scorer.scores(Batch(rows(10, 2)))
    again = scorer.scores(Batch(rows(10, 2)))
    assert sorted(kind.__name__ for kind in fits) == ["Deviation", "LatentMixture", "RawInput"]
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_latents_of_training_rows_are_made_once(reference, monkeypatch):
    """Breaks if each family encodes all training rows for itself."""
    seen = []
    encode = reference.model.encode
    monkeypatch.setattr(reference.model, "encode", lambda batch: (seen.append(len(batch.x)), encode(batch))[1])
    Scorer(("proximity.Proximity", "density.Density"), reference)
    assert reference.z.shape == (120, 2) and seen.count(120) == 1


def test_a_score_that_is_not_finite_is_named(reference):
    """Breaks if NaN, which every comparison calls false, is ranked among the scores."""
    x = rows(10, 2)
    x[3:5, 0] = torch.inf
    with pytest.raises(FloatingPointError, match=r"score deviation/squared_error is not finite for 2 of 10 .* row 3"):
        Scorer(("deviation.Deviation",), reference).scores(Batch(x))
    with pytest.raises(FloatingPointError, match="first for sample 's3'"):
        Scorer(("deviation.Deviation",), reference).scores(Batch(x), [f"s{i}" for i in range(10)])


@pytest.mark.parametrize("family", ScoreSettings().families)
def test_latents_that_are_not_finite_are_named(reference, family, monkeypatch):
    """Breaks if a family that searches latents ends in scikit-learn's words, without score and sample."""
    scorer = Scorer((family,), reference)
    encode = reference.model.encode
    monkeypatch.setattr(reference.model, "encode", lambda b: encode(b).where(b.x[:, :1] < 1e6, torch.nan))
    x = rows(10, 2)
    x[3] = 1e7
    names = [f"s{i}" for i in range(10)]
    if family == "baselines.Baselines":  # the one that knows no latents
        return
    with pytest.raises(FloatingPointError, match="is not finite for 1 of 10 rows, first for sample 's3'"):
        scorer.scores(Batch(x), names)


@pytest.mark.parametrize("family", ["proximity.Proximity", "density.Density", "combined.Combined"])
def test_training_latents_that_are_not_finite_are_named(reference, family, monkeypatch):
    """Breaks if scores are fitted to them, or the fit ends in scikit-learn's words."""
    encode = reference.model.encode
    monkeypatch.setattr(reference.model, "encode", lambda b: torch.full_like(encode(b), torch.inf))
    with pytest.raises(FloatingPointError, match="training latents is not finite for 120 of 120 rows, first for row 0"):
        Scorer((family,), reference).scores(Batch(rows(10, 2)))


OWN = '''
"""Size: how long an observation is."""

import numpy as np

from aeflow.scoring.family import ScoreFamily


class Size(ScoreFamily):
    def __init__(self, reference):
        super().__init__(reference)
        self.typical = reference.rows.x.norm(dim=1).mean().item()

    def scores(self, rows, z, found):
        length = rows.x.norm(dim=1).double().numpy() - self.typical
        return {"size/length": length, "size/both": length + found["deviation/squared_error"]}
'''


@pytest.fixture
def own_family(tmp_path, monkeypatch):
    """A family of one's own: one file below aeflow/scoring."""
    (tmp_path / "size_of_rows.py").write_text(OWN)
    monkeypatch.setattr(aeflow.scoring, "__path__", [*aeflow.scoring.__path__, str(tmp_path)])
    return "size_of_rows.Size"


def test_a_family_of_ones_own_is_one_file(reference, own_family):
    """Breaks if a family has to be named anywhere but in the configuration, or cannot see those before it."""
    x = rows(10, 2)
    found = Scorer(("deviation.Deviation", own_family), reference).scores(Batch(x))
    assert issubclass(family_class(own_family), ScoreFamily)
    expected = x.norm(dim=1).numpy() - rows(120).norm(dim=1).mean().item()
    assert found["size/length"] == pytest.approx(expected)
    assert found["size/both"] == pytest.approx(expected + found["deviation/squared_error"])


def test_names_of_scores():
    """Breaks if a column that is no score is evaluated, or a family whose name only begins like the floor's is one."""
    frame = pd.DataFrame(columns=["sample_id", "split", "deviation/sap", "baseline/knn"])
    assert score_columns(frame) == ["deviation/sap", "baseline/knn"]
    assert [is_baseline(name) for name in ("baseline/knn", "deviation/baseline", "baselines/x")] == [True, False, False]

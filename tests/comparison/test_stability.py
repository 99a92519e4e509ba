"""Do two seeds of a model find the same latents?"""

import numpy as np
import pandas as pd
import pytest
from tiny import specification

from aeflow.comparison.stability import stability_rows


def latents(z, split="test") -> pd.DataFrame:
    frame = pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])])
    frame.insert(0, "split", split)
    frame.insert(0, "sample_id", [f"{split}{i}" for i in range(len(z))])
    return frame


def test_stability_over_seeds():
    """Breaks if training rows, or other views, are mixed into the comparison of seeds."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(100, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    runs = []
    for model, second in (("turned", z @ turn), ("other", np.random.default_rng(2).normal(size=z.shape))):
        for seed, values in enumerate((z, second)):
            noise = latents(rng.normal(size=(100, 3)), "train")
            frame = pd.concat([noise, latents(values)], ignore_index=True)
            runs.append((specification(model=model, seed=seed), frame))
    runs.append((specification(model="once"), runs[0][1]))
    runs.append((specification(model="once", view="other", seed=1), runs[0][1]))
    rows = stability_rows(runs).set_index("model")
    assert rows.loc["turned", "mean"] == pytest.approx(1) and rows.loc["other", "mean"] < 0.2
    assert "once" not in rows.index
    assert rows.loc["turned", ["metric", "direction", "n_seeds", "verdict"]].tolist() == [
        "representation/stability/cka",
        "higher",
        2,
        "",
    ]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
@pytest.mark.parametrize("n_collapsed", [1, 2])
def test_latents_that_do_not_vary_have_no_stability(value, n_collapsed, caplog):
    """Breaks if a model whose latents collapsed stops the comparison, counts as stable, or is left out in silence."""
    z = np.random.default_rng(0).normal(size=(10, 2))
    runs = [
        (specification(seed=seed), latents(np.full((10, 2), value) if seed < n_collapsed else z)) for seed in (0, 1)
    ]
    assert stability_rows(runs).empty
    assert "view normal, ae, cka: left out: a: all 10 rows are equal" in caplog.text

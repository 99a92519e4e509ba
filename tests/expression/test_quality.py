"""The gate on absurd values (below 1 s)."""

import numpy as np
import pandas as pd
import pytest

from aeflow.errors import ConfigError, DataError
from aeflow.expression.quality import apply_gate, check_gate, gate_text


def gated(action, **more):
    X = np.asfortranarray(np.array([[1, 50, 3], [2, 5, 9000], [4, 70, 8000]], dtype=np.float32))
    obs = pd.DataFrame({"sample_id": ["a", "b", "c"], "source_file": ["f1", "f1", "f2"]})
    symbols = np.array(["A", "B", "KRT13"], dtype=object)
    return apply_gate(X, obs, symbols, action and {"max_value": 40, "action": action} | more)


def test_gate_clip():
    """Breaks if values above the gate stay, values below it change, or the offenders are not recorded."""
    found = gated("clip")
    report = found.report
    assert found.X.tolist() == [[1, 40, 3], [2, 5, 40], [4, 40, 40]]
    assert found.keep_var.all() and not found.dropped and found.obs["sample_id"].tolist() == ["a", "b", "c"]
    assert (report["max_per_obs"], report["n_obs_dropped"], report["n_obs_read"]) == (40, 0, 3)
    assert (report["n_values"], report["n_vars"], report["n_obs"]) == (4, 2, 3)
    assert (report["max_before"], report["max_after"], report["n_values_after"]) == (9000, 40, 0)
    worst = {"symbol": "KRT13", "max": 9000, "n_values": 2, "sample_id": "b", "source_file": "f1"}
    assert report["worst"][0] == worst


def test_gate_drop_var():
    """Breaks if a gene with an absurd value stays, or goes without a line in the drop log."""
    found = gated("drop_var")
    assert found.X.tolist() == [[1], [2], [4]] and found.keep_var.tolist() == [True, False, False]
    assert [(row[0], row[1], row[3], row[4]) for row in found.dropped] == [
        ("var", "KRT13", 9000, "f1"),
        ("var", "B", 70, "f2"),
    ]


def test_gate_error_and_none():
    """Breaks if action error lets values pass or does not name gene, sample and file, or if no gate changes values."""
    with pytest.raises(
        DataError, match="f1: gene 'KRT13', sample 'b': value 9000 is above the gate 40, as are 3 others"
    ):
        gated("error")
    found = gated(None)
    assert found.X.max() == 9000 and found.report is None


def test_sample_of_many_gated_values():
    """Breaks if a sample at the limit is dropped, one above it stays, or a dropped one still costs genes."""
    reason = "more than 1 values above the gate 40"
    clipped = gated("clip", max_per_obs=1)
    assert clipped.X.tolist() == [[1, 40, 3], [2, 5, 40]] and clipped.obs["sample_id"].tolist() == ["a", "b"]
    assert clipped.dropped == [("obs", "c", reason, 2.0, "f2")]
    report = clipped.report
    assert (report["n_values"], report["n_obs"], report["n_obs_dropped"], report["n_obs_read"]) == (4, 3, 1, 3)
    X = np.array([[1, 5, 3], [2, 50, 9], [4, 70, 8000]], dtype=np.float32)
    obs = pd.DataFrame({"sample_id": ["a", "b", "c"], "source_file": ["f1", "f1", "f2"]})
    gate = {"max_value": 40, "action": "drop_var", "max_per_obs": 1}
    without = apply_gate(X, obs, np.array(["A", "B", "KRT13"]), gate)
    assert without.keep_var.tolist() == [True, False, True] and without.X.tolist() == [[1, 3], [2, 9]]
    assert without.dropped == [
        ("obs", "c", reason, 2.0, "f2"),
        ("var", "B", "a value above the gate 40", 50.0, "f1"),
    ]
    assert gated("clip", max_per_obs=None).X.shape == (3, 3)
    with pytest.raises(DataError, match=r"f1: gene 'KRT13', sample 'b'.*as are 3 others"):
        gated("error", max_per_obs=1)
    with pytest.raises(DataError, match="no sample is left of 3; each has more than 0 values"):
        gated("clip", max_per_obs=0)


def test_gate_text():
    """Breaks if the sentence for the leaderboard counts other samples than the gate left out, or invents a gate."""
    assert gate_text({"gate": gated("clip", max_per_obs=1).report}) == (
        "Gate: 1 of 3 samples left out for more than 1 values above 40."
    )
    assert gate_text({"gate": gated("clip").report}).startswith("Gate: none of 3 samples left out for more than 40")
    for silent in ({}, {"gate": None}, {"gate": gated("clip", max_per_obs=None).report}):
        assert gate_text(silent) == ""


@pytest.mark.parametrize(
    "gate",
    [
        {"max_value": 1},
        {"max_value": 0, "action": "clip"},
        {"max_value": 1, "action": "x"},
        {"max_value": 1, "action": "clip", "max_per_sample": 1},
        {"max_value": 1, "action": "clip", "max_per_obs": -1},
        {"max_value": 1, "action": "clip", "max_per_obs": 0.1},
        {"max_value": 1, "action": "clip", "max_per_obs": True},
        5,
    ],
)
def test_gate_options(gate):
    """Breaks if a misspelt gate is accepted."""
    with pytest.raises(ConfigError, match="gate"):
        check_gate(gate)

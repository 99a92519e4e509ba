"""Calibrated anomaly scores: split-conformal p-values, their q-values, and how well calibrated both are.

    p(s) = (1 + #{calibration scores >= s}) / (n_calibration + 1)

Under exchangeability with the calibration rows P(p <= t) <= t for every t, whatever the score (Vovk, Gammerman &
Shafer 2005; Laxhammar 2014). Calibration rows are normals that were not trained on. Benjamini-Hochberg applied to such
p-values keeps the false discovery rate although they share a calibration set (Bates et al. 2023, Ann. Stat. 51:149).
"""

from __future__ import annotations

import numpy as np

from aeflow.errors import DataError
from aeflow.evaluation.checks import binary, vector
from aeflow.evaluation.metric import declare

LEVEL = 0.1  # q-values up to it are discoveries
ALARM = 0.05

_NORMALS = "conformal p-values of held-out normals"
declare("conformal", "ks", "none", f"Kolmogorov-Smirnov distance of {_NORMALS} from uniform, either way.")
declare(
    "conformal",
    "ks_excess",
    "none",
    f"Largest excess of the share of {_NORMALS} up to t over t: the part that breaks the promise.",
)
declare("conformal", "alarms", "none", f"Share of {_NORMALS} up to 0.05: 0.05 or less is right.")
declare("conformal", "power", "higher", "Share of the anomalies that are discovered, Benjamini-Hochberg at q <= 0.1.")
declare("conformal", "false_discovery_proportion", "lower", "Share of the discoveries that are normal rows.")
declare("conformal", "n_discoveries", "none", "Test rows that are discovered.")


def conformal_p_values(calibration: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return p-values (n_obs,) of scores (n_obs,) beside calibration scores (n_calibration,); small = anomalous.

    The least possible value is 1 / (n_calibration + 1). DataError if a score is not finite.
    """
    ranked = np.sort(vector(calibration, "calibration"))
    at_least = len(ranked) - np.searchsorted(ranked, vector(score, "score"), side="left")
    return (1 + at_least) / (len(ranked) + 1)


def q_values(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg q-values (n_obs,): the least false discovery rate at which a row is a discovery."""
    from scipy.stats import false_discovery_control

    p = vector(p, "p")
    if p.min() < 0 or p.max() > 1:
        raise DataError(f"p: p-values lie between 0 and 1, found {p.min():g} to {p.max():g}")
    return false_discovery_control(p, method="bh")


def uniformity(p: np.ndarray) -> dict[str, float]:
    """Return how far p-values (n_obs,) of held-out normals are from uniform.

    ks : Kolmogorov-Smirnov distance, either way. ks_excess : the part that violates P(p <= t) <= t, largest excess of
    the share with p <= t over t (0 = conservative everywhere). alarms : share with p <= 0.05, wanted: 0.05 or less.
    """
    from scipy.stats import kstest

    p = vector(p, "p")
    return {
        "ks": float(kstest(p, "uniform").statistic),
        "ks_excess": float(max(kstest(p, "uniform", alternative="greater").statistic, 0)),
        "alarms": float((p <= ALARM).mean()),
    }


def conformal_metrics(p: np.ndarray, label: np.ndarray, level: float = LEVEL) -> dict[str, float]:
    """Return what is discovered at q <= `level` among test rows, and the uniformity of their normals' p-values.

    p (n_obs,); label (n_obs,) 1 = anomaly.

    Returns
    -------
    false_discovery_proportion (0 if nothing is discovered; its mean over test sets is promised to be <= level times
    the share of normals), power (share of anomalies discovered), n_discoveries, and ks, ks_excess, alarms of normals.
    """
    if not 0 < level < 1:
        raise DataError(f"level: must be between 0 and 1, found {level}")
    p = vector(p, "p")
    label = binary(label, "label", len(p))
    found = q_values(p) <= level
    n = int(found.sum())
    return {
        "false_discovery_proportion": float((found & ~label).sum() / max(n, 1)),
        "power": float(found[label].mean()),
        "n_discoveries": n,
    } | uniformity(p[~label])

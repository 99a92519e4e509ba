"""Dilution ladder: tumours mixed into normals, a harder test where whole tumours are easy to detect.

    y = log2(share (2^t - 1) + (1 - share) (2^n - 1) + 1)      t, n: a tumour's and a normal's log2(x + 1) values

Mixing happens in linear units, as RNA of two tissues would in one tube; the dataset's centre and scale are undone first
and put on again after. A corrected value may be below 0, that is a linear one between -1 and 0: the mixture stays above
-1, so nothing is cut off, and a share of 0 gives the normal back.

Rule: the partner is drawn, for each tumour, from the normals handed in (held-out ones for a test, never trained on)
that are of the same tissue and of another donor; it is the same one at every share. With match = ("tissue", "study") it
is of the same study too, so that no study is mixed into the other. Negatives are the partners themselves, undiluted, as
often as they serve (`Dilution.negatives`). Were each taken once, tissues with many tumours would weigh more among the
mixtures than among the negatives, and a share of 0 would have an AUROC far from 0.5; so it has 0.5 by construction. For
intervals, the group of a mixture and of its negative is the donor of their partner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import labels, matrix, vector
from aeflow.evaluation.probes.study_probes import join
from aeflow.labels import has_label

SHARES = (0.05, 0.1, 0.2, 0.5)
MATCH = ("tissue",)


@dataclass(frozen=True)
class Dilution:
    """Mixed rows, share by share, in the order of the tumours."""

    X: np.ndarray  # (n_shares * n_tumour, n_vars) float32, in the dataset's space
    share: np.ndarray  # (n_shares * n_tumour,) of the tumour
    tumour: np.ndarray  # (n_shares * n_tumour,) row of x_tumour
    partner: np.ndarray  # (n_shares * n_tumour,) row of x_normal

    @property
    def negatives(self) -> np.ndarray:
        """Rows of x_normal to hold against every share (n_tumour,): the partner of each tumour, repeats included."""
        return self.partner[: len(self.tumour) // len(np.unique(self.share))]


def has_partner(tumour: pd.DataFrame, normal: pd.DataFrame, match: Sequence[str] = MATCH) -> np.ndarray:
    """Return whether each row of `tumour` has a row of `normal` that agrees in `match`, of another donor (n_tumour,).

    Both have the columns `match` and donor_id. What has none cannot be diluted: leave it out, and say how many there
    were.
    """
    return np.array([len(rows) > 0 for rows in _candidates(tumour, normal, match)], dtype=bool)


def _candidates(tumour: pd.DataFrame, normal: pd.DataFrame, match: Sequence[str]) -> list[np.ndarray]:
    """Return, for each row of `tumour`, the rows of `normal` that may be its partner.

    A row without a label in a column of `match` agrees with no other.
    """
    kinds, donors = [], []
    for name, obs in (("tumour", tumour), ("normal", normal)):
        for column in (*match, "donor_id"):
            if column not in obs:
                raise DataError(f"{name}: column {column!r} does not exist; there are {', '.join(map(str, obs))}")
        labels(obs["donor_id"].to_numpy(dtype=object), f"{name}, donor_id", len(obs))
        known = np.all([has_label(obs[column]) for column in match], axis=0)
        kind = np.full(len(obs), "", dtype=object)
        kind[known] = join(obs[known], match)
        kinds.append(kind)
        donors.append(obs["donor_id"].astype(str).to_numpy())
    of_kind = {kind: np.flatnonzero(kinds[1] == kind) for kind in np.unique(kinds[0])}
    of_kind[""] = np.zeros(0, dtype=int)
    return [of_kind[k][donors[1][of_kind[k]] != donor] for k, donor in zip(kinds[0], donors[0], strict=True)]


def mix(x_tumour: np.ndarray, x_normal: np.ndarray, share: float, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return mixtures (n, n_vars) of rows standardised by centre and scale (n_vars,), mixed in linear units."""
    tumour, normal = (np.exp2(x * scale + centre) - 1 for x in (x_tumour, x_normal))
    return (np.log2(share * tumour + (1 - share) * normal + 1) - centre) / scale


def dilute(
    x_tumour: np.ndarray,
    x_normal: np.ndarray,
    tumour: pd.DataFrame,
    normal: pd.DataFrame,
    *,
    centre: np.ndarray,
    scale: np.ndarray,
    shares: Sequence[float] = SHARES,
    match: Sequence[str] = MATCH,
    seed: int = 0,
) -> Dilution:
    """Return every tumour diluted at every share into one normal that agrees in `match`.

    Parameters
    ----------
    x_tumour : (n_tumour, n_vars), x_normal : (n_normal, n_vars): log2(x + 1) values less `centre`, by `scale`.
    tumour, normal : their rows of obs, with columns `match` and donor_id.
    centre, scale : (n_vars,) of the dataset's var; zeros and ones where it was not scaled.
    shares : of the tumour's RNA, 0 to 1; 0 is the ladder's own control.
    match : columns in which a partner agrees with its tumour.

    Raises
    ------
    DataError : values that are no log2 expression. UndefinedError : a tumour without a partner (see `has_partner`).
    """
    x_tumour = matrix(x_tumour, "x_tumour", n_obs=len(tumour))
    x_normal = matrix(x_normal, "x_normal", n_obs=len(normal), n_vars=x_tumour.shape[1])
    centre, scale = (vector(v, name, x_tumour.shape[1]) for v, name in ((centre, "centre"), (scale, "scale")))
    if (scale <= 0).any():
        raise DataError(f"scale: must be above 0, found {scale.min()} for variable {int(scale.argmin())}")
    if not len(shares) or not all(0 <= share <= 1 for share in shares) or len(set(shares)) < len(shares):
        raise DataError(f"shares: must lie in 0..1, each once, found {list(shares)}")
    largest = max(float((x * scale + centre).max()) for x in (x_tumour, x_normal))
    if largest > 64:
        raise DataError(f"log2(x + 1) values reach {largest:.0f}: the dataset is not on a log2 scale")
    candidates = _candidates(tumour, normal, match)
    alone = [i for i, rows in enumerate(candidates) if not len(rows)]
    if alone:
        kind = join(tumour.iloc[alone[:1]].fillna("").astype(str), match)[0]
        raise UndefinedError(
            f"tumour: {len(alone)} of {len(tumour)} rows have no normal of their {' and '.join(match)} from another "
            f"donor, first row {alone[0]}: {kind}"
        )
    rng = np.random.default_rng(seed)
    partner = np.array([rng.choice(rows) for rows in candidates])
    X = [mix(x_tumour, x_normal[partner], share, centre, scale).astype(np.float32) for share in shares]
    n = len(x_tumour)
    return Dilution(
        np.concatenate(X), np.repeat(shares, n), np.tile(np.arange(n), len(shares)), np.tile(partner, len(shares))
    )

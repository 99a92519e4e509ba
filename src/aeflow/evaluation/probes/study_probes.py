"""Study probes: how well classifiers predict study, tissue and tumour, before and after a correction.

A batch correction is judged by classifiers that never saw the row's donor. Every probe runs over the same
donor-grouped folds. Correction, variable selection, scaler, components and classifier see training rows only, the
correction training normals only. AUROC counts pairs of the same tissue only, because a tissue that one study has more
of would reveal the study. A row with permuted labels stands beside each: the result without any signal.

    study     normals, one study against the other        wanted: 0.5 (silhouette: 0)
    tissue    normals, accuracy                           wanted: as before the correction
    tumour    tumours against normals inside one study    wanted: as before the correction
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from aeflow.dataset.steps import fit_selection
from aeflow.errors import DataError
from aeflow.evaluation.probes.classifiers import FoldData, measure
from aeflow.labels import has_label

log = logging.getLogger(__name__)
COLUMNS = ("stage", "target", "probe", "permuted", "mean", "sd", "n_splits", "n_obs", "note")
PROBES = {
    "study": (
        "logistic",
        "logistic_components",
        "random_forest",
        "gradient_boosting",
        "knn_components",
        "zeros",
        "ties",
        "silhouette",
    ),
    "tissue": ("logistic_components", "knn_components"),
    "tumour": ("logistic_components", "knn_components"),
}
NORMAL = "normal"


class Fitted(Protocol):
    """A fitted correction (`aeflow.correction.correction.Correction` is one)."""

    def apply(self, X: np.ndarray, batch: np.ndarray, tissue: np.ndarray) -> np.ndarray: ...


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Fitted]  # (X, batch, labels) of rows fitting may see


@dataclass(frozen=True)
class Target:
    """What probes are to tell: labels of `rows`, compared within `strata`; all arrays (n_obs,)."""

    name: str
    y: np.ndarray  # bool (AUROC) or str (accuracy)
    strata: np.ndarray
    rows: np.ndarray
    note: str = ""
    impossible: bool = False


def study_probes(
    X: np.ndarray,
    obs: pd.DataFrame,
    *,
    batch: str = "study",
    group: str = "donor_id",
    strata: Sequence[str] = ("tissue",),
    n_splits: int = 5,
    seed: int = 0,
    n_components: int = 10,
    n_top_vars: int | None = None,
    correction: Fit | None = None,
    sees_all_rows: bool = False,
    labels: str = "tissue",
    stage: str = "none",
) -> pd.DataFrame:
    """Return how well the study, the tissue and the tumour can be told from X; one row per target, probe, permutation.

    Parameters
    ----------
    X : (n_obs, n_vars) before correction, not negative, log2(x + 1); zero means that nothing was measured.
    obs : columns `batch`, `group`, `strata`, "condition" and `labels`; `group` (donors) is never divided by a fold. A
        row that lacks one of them is left out, and the note says how many do.
    strata : columns within which studies are compared; joined, they are the classes of target "tissue". Empty: all
        normals are compared with each other, as tissues that differ by study (salivary gland, head and neck) need.
    n_splits : of StratifiedGroupKFold; lowered, with a warning and a note, where a class has fewer donors.
    n_components : of the PCA of standardised variables.
    n_top_vars : variables of largest median absolute deviation over the training normals of a fold, before correction;
        None: all.
    correction : fit(X, batch, labels) -> object with apply(X, batch, labels); None leaves X as it is.
    sees_all_rows : fit the correction once on every row, test rows and tumours included, as some published protocols
        do; the note says so.
    labels : column handed to the correction beside `batch`.
    stage : name of the correction, for the table.

    Returns
    -------
    Columns `COLUMNS`. mean and sd are over the n_splits folds whose test rows had both classes. AUROC below 0.5 means
    that training rows mislead: group means were made equal with the left-out rows. What cannot be probed has mean NaN,
    and the note says why; notes also name the tissues that only one study has, and folds whose training normals the
    correction cannot be fitted on.

    Raises
    ------
    DataError : a missing column, X and obs of different length, values that are not finite, more than two studies.
    """
    needed = (batch, group, *strata, "condition", labels)
    _check(X, obs, needed)
    known = np.all([has_label(obs[column]) for column in needed], axis=0)
    unlabelled = ""
    if not known.all():
        unlabelled = f"left out, without a label: {(~known).sum()} of {len(known)} rows"
        log.warning("study probes: %s in one of %s", unlabelled, ", ".join(dict.fromkeys(needed)))
        X = X[known]
        obs = obs[known].reset_index(drop=True)
    tissue = join(obs, strata)
    study = join(obs, [batch])
    donor = join(obs, [group])
    normal = (obs["condition"] == NORMAL).to_numpy()
    if not normal.any():
        raise DataError(f"study_probes: no row with a label in {', '.join(dict.fromkeys(needed))} is {NORMAL}")
    targets = [
        study_target(study, tissue, normal, donor),
        tissue_target(study, tissue, normal, donor),
        tumour_target(study, tissue, normal, donor),
    ]
    cells = np.char.add(np.char.add(study, "|"), np.where(normal, "normal|", "tumour|"))
    folds, note = donor_folds(targets, cells, tissue, donor, n_splits, seed)
    notes = [
        unlabelled,
        note,
        "correction fitted on all rows, test folds and tumours included" if sees_all_rows else "",
    ]
    permuted = [replace(t, y=permute(t, donor, np.random.default_rng(seed))) for t in targets]
    values: dict[tuple[str, str, bool], list[float]] = {}
    blind: set[tuple[str, str]] = set()
    whole = correction(X, study, obs[labels].to_numpy()).apply(X, study, obs[labels].to_numpy()) if sees_all_rows else X
    for train, test in folds:
        fit_rows, label = train & normal, obs[labels].to_numpy()
        keep = fit_selection(X[fit_rows], n_top_vars)  # before the correction, as in preprocess
        corrected = whole[:, keep]
        if correction is not None and not sees_all_rows:
            try:
                fitted = correction(X[np.ix_(fit_rows, keep)], study[fit_rows], label[fit_rows])
            except DataError as error:  # a group that all training normals together have may be too rare in a fold
                log.warning("study probes: a fold is left out: %s", error)
                notes.append(f"a fold is left out: {error}")
                continue
            corrected = fitted.apply(X[:, keep], study, label)
        for target, shuffled in zip(targets, permuted, strict=True):
            if target.impossible:
                continue
            data = FoldData(corrected, train & target.rows, test & target.rows, n_components, seed)
            for probe in PROBES[target.name]:
                for which in (target, shuffled):
                    key = (target.name, probe, which is shuffled)
                    values.setdefault(key, []).append(measure(probe, data, which.y, target.strata))
                if not data.inputs(probe)[0].shape[1]:
                    blind.add((target.name, probe))
    return pd.DataFrame(_rows(stage, targets, values, blind, len(folds), notes), columns=list(COLUMNS))


def _rows(
    stage: str, targets: list[Target], values: dict, blind: set, n_folds: int, notes: list[str]
) -> Iterator[dict[str, Any]]:
    for target in targets:
        for probe in PROBES[target.name]:
            for permuted in (False, True):
                found = np.array(values.get((target.name, probe, permuted), []), dtype=float)
                found = found[~np.isnan(found)]
                n, said = len(found), [target.note, *notes]
                if not target.impossible and n < n_folds:
                    said.append(f"{n_folds - n} of {n_folds} folds lack a class in some part")
                if (target.name, probe) in blind:
                    said.append(f"no {probe} to see in a training part: 0.5 there")
                row = {"stage": stage, "target": target.name, "probe": probe, "permuted": permuted}
                row |= {"mean": found.mean() if n else np.nan, "sd": found.std(ddof=1) if n > 1 else np.nan}
                yield row | {"n_splits": n, "n_obs": int(target.rows.sum()), "note": "; ".join(filter(None, said))}


def _check(X: np.ndarray, obs: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in obs.columns]
    if missing:
        raise DataError(f"study_probes: obs has no column {missing[0]!r}; it has {list(obs.columns)}")
    if len(X) != len(obs):
        raise DataError(f"study_probes: X has {len(X)} rows, obs has {len(obs)}")
    if not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0]
        raise DataError(f"study_probes: row {i}, variable {j}: value {X[i, j]} is not finite")


def join(obs: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return the labels (n_obs,) str of `columns`, joined by "/"; "all" for no column."""
    if not len(columns) or obs.empty:
        return np.full(len(obs), "all")
    return obs[list(columns)].astype(str).agg("/".join, axis=1).to_numpy().astype(str)


def study_target(study: np.ndarray, tissue: np.ndarray, normal: np.ndarray, donor: np.ndarray) -> Target:
    """Return the target "study": normals of tissues that both studies have; True = the second study by name."""
    names = sorted(set(study[normal]))
    if len(names) > 2:
        raise DataError(f"study_probes: two studies can be told apart, the normals come from {len(names)}: {names}")
    owners = {t: sorted(set(study[normal & (tissue == t)])) for t in sorted(set(tissue[normal]))}
    alone = [f"{t} ({found[0]})" for t, found in owners.items() if len(found) == 1]
    rows = normal & np.isin(tissue, [t for t, found in owners.items() if len(found) == 2])
    note = f"not probed, in one study only: {', '.join(alone)}" if alone else ""
    return _or_impossible(Target("study", study == names[-1], tissue, rows, note), donor, "no tissue is in two studies")


def tissue_target(study: np.ndarray, tissue: np.ndarray, normal: np.ndarray, donor: np.ndarray) -> Target:
    """Return the target "tissue": all normals of tissues with two donors or more; permuted within a study."""
    few = [t for t in sorted(set(tissue[normal])) if len(set(donor[normal & (tissue == t)])) < 2]
    note = f"left out, from one donor only: {', '.join(few)}" if few else ""
    target = Target("tissue", tissue, study, normal & ~np.isin(tissue, few), note)
    return _or_impossible(target, donor, "the normals are of one tissue")


def tumour_target(study: np.ndarray, tissue: np.ndarray, normal: np.ndarray, donor: np.ndarray) -> Target:
    """Return the target "tumour": rows of the studies and tissues that have tumours and normals; True = tumour."""
    cell = np.char.add(np.char.add(study, "|"), tissue)
    both = sorted(set(cell[normal]) & set(cell[~normal]))
    alone = sorted(set(cell[~normal]) - set(both))
    note = f"not probed, no normals: {', '.join(alone)}" if alone else ""
    target = Target("tumour", ~normal, cell, np.isin(cell, both), note)
    return _or_impossible(target, donor, "no study has tumours and normals of a tissue")


def _or_impossible(target: Target, donor: np.ndarray, reason: str) -> Target:
    """Return the target, marked where it has fewer than two classes of two donors each."""
    classes = np.unique(target.y[target.rows])
    few = [str(c) for c in classes if len(set(donor[target.rows & (target.y == c)])) < 2]
    if len(classes) >= 2 and not few:
        return target
    if few:
        reason = "a class comes from one donor only"
    log.warning("study probes: target %s cannot be probed: %s", target.name, reason)
    note = "; ".join(filter(None, [f"cannot be probed: {reason}", target.note]))
    return replace(target, note=note, rows=np.zeros_like(target.rows), impossible=True)


def donor_folds(
    targets: Sequence[Target], cells: np.ndarray, tissue: np.ndarray, donor: np.ndarray, n_splits: int, seed: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Return (train, test) masks (n_obs,) that never divide a donor, and a note if there are fewer than `n_splits`.

    cells : study and condition, which folds keep in proportion; with the tissue, where a cell has enough rows.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    possible = [t for t in targets if not t.impossible]
    if not possible:
        return [], ""
    first = next((t for t in possible if t.y.dtype == bool), possible[0])  # of tissues, a rare one may miss a fold
    of_class = [len(set(donor[first.rows & (first.y == c)])) for c in np.unique(first.y[first.rows])]
    n = min(n_splits, min(of_class) if first.y.dtype == bool else len(set(donor[first.rows])))
    note = ""
    if n < n_splits:
        note = f"{n} folds instead of {n_splits}: too few donors for target {first.name}"
        log.warning("study probes: %s", note)
    y = _merge_rare(_merge_rare(np.char.add(cells, tissue), cells, n), np.full(len(cells), "rare"), n)
    splitter = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    index = np.arange(len(y))
    with warnings.catch_warnings():  # of labels still too rare for every fold; the table says where one lacked a class
        warnings.filterwarnings("ignore", "The least populated class")
        folds = list(splitter.split(index, y, donor))
    return [(np.isin(index, train), np.isin(index, test)) for train, test in folds], note


def _merge_rare(fine: np.ndarray, coarse: np.ndarray, n: int) -> np.ndarray:
    """Return `fine` labels, replaced by the coarse one where fewer than n rows have them."""
    _, inverse, sizes = np.unique(fine, return_inverse=True, return_counts=True)
    return np.where(sizes[inverse] >= n, fine, coarse)


def permute(target: Target, donor: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the labels permuted within strata; rows of one donor, stratum and label stay together."""
    y = target.y.copy()
    for stratum in np.unique(target.strata[target.rows]):
        rows = np.flatnonzero(target.rows & (target.strata == stratum))
        keys = pd.factorize(pd.MultiIndex.from_arrays([donor[rows], target.y[rows]]))[0]
        first = np.unique(keys, return_index=True)[1]
        y[rows] = rng.permutation(target.y[rows][first])[keys]
    return y

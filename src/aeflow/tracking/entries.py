"""Run folders read for tracking: what each MLflow run is to hold, without MLflow."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.comparison.leaderboard import read_board
from aeflow.comparison.shown import headline_rows
from aeflow.errors import DataError
from aeflow.evaluation.metric import Metric, metric_frame, read_metrics
from aeflow.files import read_json

log = logging.getLogger(__name__)

LAYOUT = 2  # part of every content hash: raise it when what is logged changes, and old runs are superseded
FILES = ("model.json", "metrics.parquet", "history.parquet", "model.safetensors")
LOGGED_FILES = ("model.json", "metrics.parquet", "model.safetensors")  # history is logged as metrics
IDENTITY = ("dataset", "view", "model", "seed", "origin")
TAGS = ("dataset", "view", "model", "seed", "origin", "architecture", "unit", "data_hash")
SIMULATED_NOTE = "**SIMULATED data, not measurements.**"
# what MLflow takes
LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 8000  # characters
FOREIGN = re.compile(r"[^\w.\- :/]")  # no part of a name of a metric or parameter


@dataclass
class Entry:
    """One MLflow run to be: a cell (view, model, seed), a summary (view, model) or a comparison (dataset)."""

    experiment: str
    kind: str
    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]  # name, value, step (epoch)
    content_hash: str
    start: int  # ms since 1970
    end: int
    artifacts: dict[Path, str | None] = field(default_factory=dict)  # file -> folder inside the run


@dataclass
class _Cell:
    info: dict[str, Any]
    metrics: list[Metric]
    final: dict[str, float]  # by the metric's text, intervals as _low and _high
    entry: Entry


def read_entries(run_folders: Iterable[Path], comparisons: Iterable[Path], baseline: str) -> list[Entry]:
    """Return the cells of `run_folders` and their summaries; DataError if a file is missing or contradicts another.

    baseline : name of the model that summaries give the difference to.
    """
    cells: dict[tuple[str, str], _Cell] = {}
    for run_folder in run_folders:
        cell = _read_cell(Path(run_folder))
        key = (cell.entry.experiment, cell.entry.name)
        if key in cells:
            raise DataError(f"{run_folder}: run {cell.entry.name!r} of {cell.entry.experiment!r} is given twice")
        cells[key] = cell
    comparisons = list(comparisons)
    boards = [read_board(path) for path in comparisons]
    board = pd.concat(boards, ignore_index=True) if boards else None
    groups: dict[tuple[str, str, str], list[_Cell]] = {}
    for cell in cells.values():
        groups.setdefault(tuple(cell.info[key] for key in ("dataset", "view", "model")), []).append(cell)
    for dataset in {group[0] for group in groups}:
        origins = {cell.info["origin"] for cell in cells.values() if cell.info["dataset"] == dataset}
        if len(origins) > 1:
            raise DataError(f"dataset {dataset!r}: its runs disagree on origin: {sorted(origins)}")
    entries = [cell.entry for cell in cells.values()] + [_summary(group, board, baseline) for group in groups.values()]
    entries += [_comparison(Path(path).parent, frame) for path, frame in zip(comparisons, boards, strict=True)]
    return [_acceptable(entry) for entry in entries]


def _acceptable(entry: Entry) -> Entry:
    """Return the entry with names and lengths that MLflow takes; its tags and the log say what was changed."""
    changed = {
        name: accepted_name(name)
        for name in (*dict.fromkeys(name for name, _, _ in entry.metrics), *entry.params)
        if accepted_name(name) != name
    }
    params = {accepted_name(name): _shortened(value, LONGEST_PARAM) for name, value in entry.params.items()}
    tags = dict(entry.tags)
    if changed:
        tags["renamed"] = ", ".join(f"{new} is {old!r}" for old, new in changed.items())
        log.warning("%s: run %s: MLflow takes no such names: %s", entry.experiment, entry.name, tags["renamed"])
    if "not_finite" in tags:
        log.warning("%s: run %s: not finite, and not logged: %s", entry.experiment, entry.name, tags["not_finite"])
    return replace(
        entry,
        metrics=[(accepted_name(name), value, step) for name, value, step in entry.metrics],
        params=params,
        tags={name: _shortened(value, LONGEST_TAG) for name, value in tags.items()},
    )


def accepted_name(name: str) -> str:
    """Return `name` if MLflow takes it, else its readable characters and a hash, so that two names stay two."""
    parts = [part if part.strip(".") else "_" for part in FOREIGN.sub("_", name).split("/") if part]
    cleaned = re.sub(r"^\.\.+", "_", "/".join(parts))  # a leading .. would be a folder above
    if cleaned == name and 0 < len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{cleaned[: LONGEST_NAME - 9].rstrip('/')}-{digest}"


def _shortened(value: str, longest: int) -> str:
    """Return `value`, or its beginning and how long it is; the whole is in the run's files."""
    if len(value) <= longest:
        return value
    end = f" ... ({len(value)} characters)"
    return value[: longest - len(end)] + end


def _read_cell(run_folder: Path) -> _Cell:
    missing = [name for name in FILES if not (run_folder / name).is_file()]
    if missing:
        raise DataError(f"{run_folder}: {missing[0]} does not exist")
    info = _read_json(run_folder / "model.json")
    found = read_metrics(run_folder / "metrics.parquet")
    absent = [key for key in IDENTITY if key not in info]
    if absent:
        raise DataError(f"{run_folder / 'model.json'}: no key {absent[0]!r}")
    figures = sorted((run_folder / "figures").glob("*.png"))
    paths = [run_folder / name for name in FILES] + figures
    final = _by_text(found)
    per_epoch = _history(run_folder / "history.parquet")
    metrics, not_finite = _finite([(name, value, 0) for name, value in final.items()] + per_epoch)
    tags = {key: str(info[key]) for key in TAGS if key in info}
    if not_finite:
        tags["not_finite"] = ", ".join(not_finite)
    if info["origin"] == "simulated":
        tags["mlflow.note.content"] = SIMULATED_NOTE
    times = [int(path.stat().st_mtime * 1000) for path in paths]
    entry = Entry(
        experiment=info["dataset"],
        kind="cell",
        name=f"{info['view']}/{info['model']}/seed{info['seed']}",
        tags=tags,
        params=_flat(info),
        metrics=metrics,
        content_hash=_hash_files(run_folder, paths),
        start=min(times),
        end=max(times),
        artifacts={run_folder / name: None for name in LOGGED_FILES} | dict.fromkeys(figures, "figures"),
    )
    return _Cell(info, found, final, entry)


def _summary(cells: list[_Cell], board: pd.DataFrame | None, baseline: str) -> Entry:
    """Return the summary run of the cells of one dataset, view and model."""
    cells = sorted(cells, key=lambda cell: cell.info["seed"])
    first = cells[0].info
    rows = _board_rows(board, first)
    over_seeds, incomplete = _over_seeds(cells)
    metrics, not_finite = _finite(over_seeds + _against_baseline(rows, baseline))
    seeds = [cell.info["seed"] for cell in cells]
    tags = {key: str(first[key]) for key in TAGS if key in first and key != "seed"}
    tags |= {"seeds": ", ".join(map(str, seeds)), "n_seeds": str(len(seeds))}
    if not_finite:
        tags["not_finite"] = ", ".join(not_finite)
    if incomplete:
        tags["incomplete"] = "; ".join(incomplete)
    verdicts = rows["verdict"][rows["verdict"] != ""]
    if len(verdicts):
        counts = verdicts.value_counts().sort_index()
        tags["verdict"] = "; ".join(f"{verdict}: {n} of {len(verdicts)} metrics" for verdict, n in counts.items())
    frame = metric_frame(cells[0].metrics)
    names = [metric.text for metric, shown in zip(cells[0].metrics, headline_rows(frame), strict=True) if shown]
    tags["mlflow.note.content"] = _note(first["origin"], sorted(names or cells[0].final), metrics, rows, baseline)
    content = [cell.entry.content_hash for cell in cells] + [rows.to_json(orient="records", double_precision=15)]
    return Entry(
        experiment=first["dataset"],
        kind="summary",
        name=f"{first['view']}/{first['model']}",
        tags=tags,
        params=_flat({key: value for key, value in first.items() if key not in ("seed", "best_epoch", "n_epochs")}),
        metrics=metrics,
        content_hash=hashlib.sha256(json.dumps([LAYOUT, *content]).encode()).hexdigest(),
        start=min(cell.entry.start for cell in cells),
        end=max(cell.entry.end for cell in cells),
    )


def _comparison(folder: Path, board: pd.DataFrame) -> Entry:
    """Return the run that holds a dataset's tables and figures, and its study probes as metrics."""
    dataset, origin = board["dataset"].iloc[0], board["origin"].iloc[0]
    files = sorted(path for path in folder.iterdir() if path.suffix in (".csv", ".txt", ".png"))
    gallery = sorted(path for path in (folder / "gallery").glob("*") if path.suffix in (".txt", ".png"))
    metrics, not_finite = _finite(_probe_metrics(folder / "probes.parquet"))
    tags = {"dataset": dataset, "origin": origin, "view": "", "model": ""}
    if not_finite:
        tags["not_finite"] = ", ".join(not_finite)
    times = [int(path.stat().st_mtime * 1000) for path in files + gallery] or [0]
    return Entry(
        experiment=dataset,
        kind="comparison",
        name="comparison",
        tags=tags,
        params={"dataset": dataset},
        metrics=metrics,
        content_hash=_hash_files(folder, files + gallery),
        start=min(times),
        end=max(times),
        artifacts=dict.fromkeys(files) | dict.fromkeys(gallery, "gallery"),
    )


def _probe_metrics(path: Path) -> list[tuple[str, float, int]]:
    if not path.is_file():  # images have no study
        return []
    probes = pd.read_parquet(path)
    columns = zip(probes["stage"], probes["target"], probes["probe"], probes["permuted"], probes["mean"], strict=True)
    return [
        (f"probe/{stage.replace(' + ', '-')}/{target}/{probe}{'/permuted' if permuted else ''}", float(mean), 0)
        for stage, target, probe, permuted, mean in columns
    ]


def _over_seeds(cells: list[_Cell]) -> tuple[list[tuple[str, float, int]], list[str]]:
    """Return mean and, of two seeds or more, sample standard deviation of every final metric, and which lack seeds.

    A metric may be undefined (absent, or NaN) for some seeds: as in the leaderboard, the others count.
    """
    metrics, incomplete = [], []
    for metric in sorted(set().union(*(cell.final for cell in cells))):
        found = {cell.info["seed"]: cell.final.get(metric, math.nan) for cell in cells}
        lacking = [str(seed) for seed, value in found.items() if math.isnan(value)]
        if lacking and len(lacking) < len(cells):
            incomplete.append(f"{metric} without seed {', '.join(lacking)}")
        values = np.array([value for value in found.values() if not math.isnan(value)])
        metrics.append((metric, float(values.mean()) if len(values) else math.nan, 0))
        if len(values) > 1:
            with np.errstate(invalid="ignore"):  # a seed may be infinite: the result is NaN, and reported as such
                metrics.append((f"{metric}_sd", float(values.std(ddof=1)), 0))
    return metrics, incomplete


def _against_baseline(rows: pd.DataFrame, baseline: str) -> list[tuple[str, float, int]]:
    minus = f"_minus_{baseline}"
    columns = {"difference": minus, "ci_low": f"{minus}_low", "ci_high": f"{minus}_high"}
    return [
        (row["metric"] + suffix, float(row[column]), 0)
        for row in rows.to_dict("records")
        for column, suffix in columns.items()
        if pd.notna(row[column])  # undefined for the baseline itself, and an interval for a single seed
    ]


def _board_rows(board: pd.DataFrame | None, info: dict[str, Any]) -> pd.DataFrame:
    columns = ["metric", "difference", "ci_low", "ci_high", "verdict"]
    if board is None:
        return pd.DataFrame(columns=columns)
    mine = np.logical_and.reduce([board[key] == info[key] for key in ("dataset", "view", "model")])
    return board.loc[mine, columns].sort_values("metric").reset_index(drop=True)


def _note(
    origin: str, names: list[str], metrics: list[tuple[str, float, int]], rows: pd.DataFrame, baseline: str
) -> str:
    """Return the description of a summary run: a Markdown table of what was compared."""
    value = {name: number for name, number, _ in metrics}
    verdicts = dict(zip(rows["metric"], rows["verdict"], strict=True))
    lines = [SIMULATED_NOTE, ""] if origin == "simulated" else []
    lines += [f"| metric | mean | sd | difference to {baseline} (95 % interval) | verdict |", "|---|---|---|---|---|"]
    minus = f"_minus_{baseline}"
    for name in names:
        mean = f"{value[name]:.4g}" if name in value else "not finite"
        sd = f"{value[f'{name}_sd']:.2g}" if f"{name}_sd" in value else ""
        difference = f"{value[f'{name}{minus}']:+.4g}" if f"{name}{minus}" in value else ""
        if f"{name}{minus}_low" in value:
            difference += f" ({value[f'{name}{minus}_low']:+.4g} to {value[f'{name}{minus}_high']:+.4g})"
        lines.append(f"| {name} | {mean} | {sd} | {difference} | {verdicts.get(name, '')} |")
    return "\n".join(lines)


def _history(path: Path) -> list[tuple[str, float, int]]:
    history = pd.read_parquet(path)
    if "epoch" not in history.columns:
        raise DataError(f"{path}: no column 'epoch'; it has {list(history.columns)}")
    epochs = history.pop("epoch").astype(int)
    return [
        (f"history/{column}", float(value), epoch)
        for column in history.columns
        for epoch, value in zip(epochs, history[column], strict=True)
    ]


def _finite(metrics: list[tuple[str, float, int]]) -> tuple[list[tuple[str, float, int]], list[str]]:
    """Return finite values, and the names of the others: MLflow would show infinity as 1.8e308."""
    bad = sorted({name for name, value, _ in metrics if not math.isfinite(value)})
    return [metric for metric in metrics if math.isfinite(metric[1])], bad


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: must hold an object, found {type(content).__name__}")
    return content


def _by_text(metrics: list[Metric]) -> dict[str, float]:
    """Return values by the metrics' text, bounds of their intervals as _low and _high."""
    values: dict[str, float] = {}
    for metric in metrics:
        values[metric.text] = metric.value
        if not (math.isnan(metric.low) and math.isnan(metric.high)):
            values[f"{metric.text}_low"] = metric.low
            values[f"{metric.text}_high"] = metric.high
    return values


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested keys joined by slashes, values as text."""
    flat: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _hash_files(folder: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256(f"layout {LAYOUT}\n".encode())
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder)} {content}\n".encode())
    return digest.hexdigest()

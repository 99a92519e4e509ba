"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROW_GROUP = 4096  # rows; small enough to stream a wide table, large enough to compress well


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = temporary_path(path)
    try:
        yield tmp
        os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return the hidden sibling under which this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_orphans(path: str | Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it, files and folders.

    Call it where nobody else can be writing `path`: at the start of the job that makes it, or under a lock. Whether
    the number in a name is a living process cannot be asked: it may be one of another node.
    """
    path = Path(path)
    orphan = re.compile(rf"\.{re.escape(path.name)}\.\d+\.tmp(-journal)?")  # SQLite writes a journal beside its file
    for found in path.parent.iterdir() if path.parent.is_dir() else ():
        if not orphan.fullmatch(found.name):
            continue
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()


def write_frame(frame: pd.DataFrame, path: str | Path) -> None:
    """Write an annotation or result frame as zstd Parquet without its index."""
    import pyarrow as pa  # imported here: downloads do not need it
    import pyarrow.parquet as pq

    with atomic_path(path) as tmp:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, tmp, compression="zstd", row_group_size=ROW_GROUP)


def write_json(content: dict[str, Any], path: str | Path) -> None:
    """Write `content` with sorted keys; NaN and infinity are refused (ValueError)."""
    with atomic_path(path) as tmp:
        tmp.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
    return json.loads(Path(path).read_text())


def run_files(folder: str) -> dict[str, str]:
    """Return the files of a trained run, name -> path."""
    names = {"weights": "model.safetensors", "model": "model.json", "history": "history.parquet"}
    return {key: f"{folder}/{name}" for key, name in names.items()}

"""MNIST handwritten digits: the four IDX files of LeCun, Cortes and Burges (http://yann.lecun.com/exdb/mnist).

Options
-------
n_train, n_test : keep the first n images of the training and of the test file, for small runs. Default all.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aeflow.errors import ConfigError, DataError

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort

# The Snakefile imports this module at every start of every job, so pandas and pyarrow are imported where they are used.

KIND = "images"
ORIGIN = "real"
SIMULATES = False
OBS_COLUMNS = ("sample_id", "official_split", "digit")
IMAGES, LABELS = 0x00000803, 0x00000801  # magic: two zero bytes, type 8 = unsigned byte, number of axes
FILES = {"train": "train", "test": "t10k"}
GZIP_MAGIC = b"\x1f\x8b"


def matrices(n_train: int | None = None, n_test: int | None = None) -> dict[str, str]:
    """Return {file stem: path} of the four files, which no option changes; ConfigError for a limit below 1."""
    for key, value in (("n_train", n_train), ("n_test", n_test)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f"{key}: must be a whole number above 0, found {value!r}")
    stems = (f"{part}-{content}" for part in FILES.values() for content in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    return {stem: f"{stem}.gz" for stem in stems}


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an IDX file, gzipped or not: images (n, rows, columns) or labels (n,), uint8.

    Raises
    ------
    DataError : naming the file, for a wrong magic number, sizes that contradict the file's length, or a label above 9.
    """
    data = _read_bytes(path)
    magic = int.from_bytes(data[:4], "big")
    if len(data) < 4 or magic not in (IMAGES, LABELS):
        raise DataError(
            f"{path}: not an IDX file of images (magic 0x{IMAGES:08x}) or labels (0x{LABELS:08x}); "
            f"it begins with {data[:40]!r}"
        )
    n_axes = magic & 0xFF
    start = 4 + 4 * n_axes
    if len(data) < start:
        raise DataError(f"{path}: truncated: {len(data)} bytes, the header alone has {start}")
    shape = struct.unpack(f">{n_axes}I", data[4:start])
    expected = start + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        what = "truncated" if len(data) < expected else "trailing bytes"
        raise DataError(f"{path}: {what}: sizes {shape} in the header need {expected} bytes, found {len(data)}")
    if 0 in shape:
        raise DataError(f"{path}: empty: sizes {shape} in the header")
    values = np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
    if magic == LABELS and values.max() > 9:
        i = int(np.argmax(values > 9))
        raise DataError(f"{path}: item {i} (byte {start + i}): label {values[i]} is not a digit")
    return values


def _read_bytes(path: Path) -> bytes:
    with open(path, "rb") as handle:
        compressed = handle.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path, "rb") if compressed else open(path, "rb") as handle:
            return handle.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or corrupt gzip: {error}") from error


def convert(path: Path, out: Path) -> None:
    """Write one IDX file as Parquet, one row per image: uint8 columns r{row}c{column}, or one column digit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from aeflow.files import ROW_GROUP, atomic_path

    values = read_idx(path)
    if values.ndim == 1:
        columns = {"digit": pa.array(values)}
    else:
        _, n_rows, n_columns = values.shape
        pixels = np.ascontiguousarray(values.reshape(len(values), -1).T)
        names = (f"r{row}c{column}" for row in range(n_rows) for column in range(n_columns))
        columns = {name: pa.array(pixel) for name, pixel in zip(names, pixels, strict=True)}
    with atomic_path(out) as tmp:
        pq.write_table(pa.table(columns), tmp, compression="zstd", row_group_size=ROW_GROUP)


def unify(files: Mapping[str, Path], n_train: int | None = None, n_test: int | None = None) -> Cohort:
    """Return the cohort of the four converted files: training images first, intensities in [0, 1].

    Raises
    ------
    DataError : naming the files, if one is missing, images and labels differ in number, or the two image files in size.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    from aeflow.dataset.cohort import Cohort, dropped_frame
    from aeflow.table import Table

    missing = set(matrices()) - set(files)
    if missing:
        raise DataError(f"unify: {', '.join(sorted(missing))} is missing; given are {', '.join(sorted(files))}")
    images, sheets = [], []
    for split, limit in (("train", n_train), ("test", n_test)):
        image_path, label_path = (files[f"{FILES[split]}-{c}"] for c in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        pixels = pq.read_table(image_path)
        digits = pq.read_table(label_path)
        if digits.column_names != ["digit"]:
            raise DataError(f"{label_path}: labels expected, found columns {digits.column_names[:3]} ...")
        if pixels.num_rows != digits.num_rows:
            raise DataError(f"{image_path} has {pixels.num_rows} images, {label_path} has {digits.num_rows} labels")
        if images and pixels.column_names != images[0].column_names:
            raise DataError(f"{image_path}: its images differ in size from those of the training file")
        images.append(pixels.slice(0, limit))
        n = images[-1].num_rows
        ids = [f"{split}-{i:05d}" for i in range(n)]
        digit = digits.column("digit").to_numpy()[:n].astype(np.int64)
        sheets.append(pd.DataFrame({"sample_id": ids, "official_split": split, "digit": digit}))
    obs = pd.concat(sheets, ignore_index=True)
    names = images[0].column_names
    if names[0] != "r0c0":
        raise DataError(f"{files['train-images-idx3-ubyte']}: images expected, found columns {names[:3]} ...")
    X = np.empty((len(obs), len(names)), dtype=np.float32, order="F")  # by variable, as its Parquet file is laid out
    levels = np.zeros(256, dtype=np.int64)
    for j, name in enumerate(names):
        column = np.concatenate([table.column(name).to_numpy() for table in images])
        levels += np.bincount(column, minlength=256)
        np.divide(column, np.float32(255), out=X[:, j])
    places = [name[1:].split("c") for name in names]
    var = pd.DataFrame({"var_id": names})
    var["pixel_row"], var["pixel_column"] = ([int(place[axis]) for place in places] for axis in (0, 1))
    groups = obs.groupby(["official_split", "digit"]).size()
    intensity = np.arange(256) / 255
    mean = np.average(intensity, weights=levels)
    figures = {
        "origin": ORIGIN,
        "unit": "intensity",
        "n_obs": len(obs),
        "n_vars": len(names),
        "groups": [{"official_split": s, "digit": int(d), "n_obs": int(n)} for (s, d), n in groups.items()],
        "zero_fraction": float(levels[0] / levels.sum()),
        "mean": float(mean),
        "sd": float(np.sqrt(np.average((intensity - mean) ** 2, weights=levels))),
    }
    return Cohort(Table(X, obs, var, "intensity"), dropped_frame([]), figures)

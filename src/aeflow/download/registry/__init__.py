"""What can be downloaded: the sources and files of ``sources.yaml`` and the tables beside it.

It is apart from `aeflow.download.fetch`, because sources list their files from it: an edit of the downloader must not
plan new conversions.
"""

from __future__ import annotations

import csv
import difflib
import functools
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from aeflow.errors import ConfigError


@dataclass(frozen=True)
class FileRecord:
    """What is known of a file before it is downloaded; None where nothing is published.

    Parameters
    ----------
    sha256 : of the file as it is stored.
    sha256_raw : of the decompressed bytes; the same for every way of compressing them.
    md5 : of the file as it is stored; no registry file has one, GDC's manifests do.
    git_blob_sha1 : sha1 of ``b"blob <size>\\0"`` and the file, as git names it.
    gz_bytes : size of the file in bytes.
    n_samples : sample columns of the matrix in it.
    """

    sha256: str | None = None
    sha256_raw: str | None = None
    md5: str | None = None
    git_blob_sha1: str | None = None
    gz_bytes: int | None = None
    n_samples: int | None = None

    @property
    def has_checksum(self) -> bool:
        return bool(self.sha256 or self.sha256_raw or self.md5 or self.git_blob_sha1)


@dataclass(frozen=True)
class Source:
    """One entry of the registry; `files` is None for a source that takes any path."""

    name: str
    mirrors: tuple[str, ...] = ()
    files: dict[str, FileRecord] | None = None
    terms: str = ""

    def record(self, path: str) -> FileRecord:
        """Return what is known of `path`; ConfigError for a path that the source does not have."""
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or str(parts) != path:
            raise ConfigError(f"source {self.name!r}: {path!r} is no relative path below the source")
        if self.files is None:
            return FileRecord()
        if path not in self.files:
            near = difflib.get_close_matches(path, self.files, n=3, cutoff=0.5)
            hint = f"nearest: {', '.join(near)}" if near else f"it has {len(self.files)} files, none like this"
            raise ConfigError(f"source {self.name!r} has no file {path!r}; {hint}")
        return self.files[path]


def known_files(source: str) -> dict[str, FileRecord]:
    """Return path -> record of every file that the registry lists for `source`; ConfigError if there is no list."""
    known = registry()
    files = known[source].files if source in known else None
    if files is None:
        raise ConfigError(f"source {source!r}: the registry lists no files of it")
    return dict(files)


@functools.cache
def registry() -> dict[str, Source]:
    """Return name -> source as the package's ``registry/sources.yaml`` has them; read once a process."""
    folder = Path(__file__).parent
    entries = yaml.safe_load((folder / "sources.yaml").read_text(encoding="utf-8"))
    sources = {}
    for name, entry in entries.items():
        files = {path: FileRecord(**sums) for path, sums in entry["files"].items()} if "files" in entry else None
        if "table" in entry:
            files = _read_table((folder / entry["table"]).read_text(encoding="utf-8"))
        sources[name] = Source(name, tuple(entry["mirrors"]), files, entry["terms"])
    return sources


def _read_table(text: str) -> dict[str, FileRecord]:
    """Read a TSV with the column ``path`` and fields of `FileRecord`; an empty cell is unknown."""
    files = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        path = row.pop("path")
        known: dict[str, Any] = {field: value for field, value in row.items() if value}
        for field in ("gz_bytes", "n_samples"):
            if field in known:
                known[field] = int(known[field])
        files[path] = FileRecord(**known)
    return files

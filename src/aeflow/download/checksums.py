"""Is this the file that was asked for? Sums of published files, and the lock file for unpublished ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from aeflow.download.registry import FileRecord
from aeflow.errors import ConfigError, FetchError

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
GZIP_MAGIC = b"\x1f\x8b"
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")
LOCK_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")  # the format of sha256sum, so that `sha256sum -c` reads it


def verify(file: Path, path: str, record: FileRecord) -> bool:
    """Check that `file` holds what `path` should be.

    Returns
    -------
    bool
        True where the bytes are right but lack the compression that the name ``*.gz`` promises
        (some servers and packages unpack files on the way): the caller compresses them again.

    Raises
    ------
    FetchError
        An HTML page, an empty, truncated or corrupt file, or a sum that differs.
    """
    with file.open("rb") as stream:
        start = stream.read(512)
    if not start:
        raise FetchError(f"{path}: the file is empty")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(HTML_STARTS):
        raise FetchError(f"{path}: this is an HTML page, not data; it begins with {start[:60]!r}")
    if path.endswith(".gz") and not start.startswith(GZIP_MAGIC):
        return _verify_unpacked(file, path, record, start)
    if record.sha256:
        _compare(path, "sha256", sha256_of(file), record.sha256)
    if record.md5:
        _compare(path, "md5", md5_of(file), record.md5)
    if record.git_blob_sha1:
        _compare(path, "git blob sha1", git_blob_sha1_of(file), record.git_blob_sha1)
    if path.endswith(".gz"):
        raw = _sha256_of_gzip(file, path)
        if record.sha256_raw:
            _compare(path, "sha256 of the decompressed bytes", raw, record.sha256_raw)
    return False


def _verify_unpacked(file: Path, path: str, record: FileRecord, start: bytes) -> bool:
    if not record.sha256_raw:
        known = "only the sum of the compressed file is published" if record.has_checksum else "no sum is published"
        raise FetchError(
            f"{path}: not gzip, it begins with {start[:20]!r}; if the server unpacked it on the way, "
            f"the bytes cannot be checked ({known})"
        )
    _compare(path, "sha256 of these bytes, which are not gzip,", sha256_of(file), record.sha256_raw)
    return True


def place(file: Path, destination: Path, *, compress: bool) -> None:
    """Move the verified `file` (on the same file system) to `destination` in one step, gzip-compressed if asked."""
    if not compress:
        os.replace(file, destination)
        return
    packed = packed_path(destination)
    header = {"filename": "", "mtime": 0}  # no name and no time: the same bytes each time
    try:
        with (
            file.open("rb") as raw,
            packed.open("wb") as out,
            gzip.GzipFile(mode="wb", compresslevel=6, fileobj=out, **header) as stream,
        ):
            shutil.copyfileobj(raw, stream, CHUNK)
        os.replace(packed, destination)
    finally:
        packed.unlink(missing_ok=True)


def packed_path(destination: Path) -> Path:
    """Return where a file is compressed; one name, since `fetch` holds the lock of `destination`."""
    return destination.with_name(f".{destination.name}.packed")


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def git_blob_sha1_of(file: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def _sha256_of_gzip(file: Path, path: str) -> str:
    """Read to the end, which also proves the length and CRC of each gzip member."""
    digest = hashlib.sha256()
    try:
        with gzip.open(file) as stream:
            while block := stream.read(CHUNK):
                digest.update(block)
    except EOFError:
        raise FetchError(f"{path}: truncated gzip, it ends after {file.stat().st_size} bytes") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FetchError(f"{path}: corrupt gzip ({error})") from None
    return digest.hexdigest()


def _compare(path: str, kind: str, found: str, expected: str) -> None:
    if found != expected.lower():
        raise FetchError(f"{path}: wrong checksum: {kind} is {found}, expected {expected}")


def check_or_record(lock: Path, key: str, digest: str) -> None:
    """Compare `digest` with the line of `key` in the `lock` file, or add that line; safe among parallel jobs.

    Raises
    ------
    FetchError
        The recorded sum is another one; the message names both.
    """
    from aeflow.files import remove_orphans  # here, because the Snakefile's parsing needs none of its imports

    with exclusive(lock.with_name(f".{lock.name}.guard")):
        remove_orphans(lock)
        sums = read_lock(lock)
        if key not in sums:
            sums[key] = digest
            _write_lock(lock, sums)
            logger.info("%s: no checksum is published; recorded sha256 %s in %s", key, digest, lock)
        elif sums[key] != digest:
            raise FetchError(
                f"{key}: sha256 is {digest}, but {lock} recorded {sums[key]} at the first download; "
                "if the new file is the one you want, put its sum into that line"
            )


def read_lock(lock: Path) -> dict[str, str]:
    """Return key -> sha256 of a lock file (empty where there is none); ConfigError names a malformed line."""
    sums: dict[str, str] = {}
    try:  # not by expression/text.py, of which an edit would fetch every file anew
        lines = lock.read_text(encoding="utf-8-sig").split("\n") if lock.exists() else []
    except UnicodeDecodeError as error:
        raise ConfigError(f"{lock}: not UTF-8 text: {error}") from None
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        match = LOCK_LINE.fullmatch(line)
        if not match:
            raise ConfigError(f"{lock}, line {number}: expected '<sha256>  <source>/<path>', found {line!r}")
        sums[match[2]] = match[1]
    return sums


def _write_lock(lock: Path, sums: dict[str, str]) -> None:
    from aeflow.files import atomic_path

    with atomic_path(lock) as tmp:
        tmp.write_text("".join(f"{value}  {key}\n" for key, value in sorted(sums.items())), encoding="utf-8")


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel drops with the process (``path`` itself stays); waits for another holder."""
    from filelock import FileLock, Timeout  # here, because the Snakefile's parsing needs none of it

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("waiting for another process that holds %s", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

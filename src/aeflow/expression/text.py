"""Text of any size, gzipped or not, some megabytes at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from aeflow.errors import DataError

BLOCK = 1 << 24  # bytes of text a block of lines has at least
READ = 1 << 20  # bytes of the file read at a time
GZIP_MAGIC = b"\x1f\x8b"


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the text of a file, decompressed if its first bytes say gzip (any number of members, sums checked).

    DataError for a name ending in .gz without gzip in it, which could be cut off unnoticed, and for broken gzip.
    """
    with open(path, "rb") as file:
        head = file.read(READ)
        if not head.startswith(GZIP_MAGIC):
            if path.suffix == ".gz":
                raise DataError(f"{path}: not a gzip file; it begins with {head[:40]!r}")
            yield from chain([head], iter(lambda: file.read(READ), b""))
            return
        member, data, n_bytes = zlib.decompressobj(31), head, 0
        try:
            while data:
                text = member.decompress(data)
                n_bytes += len(text)
                yield text
                if member.eof:  # the next member, or zero bytes that pad the file
                    data = member.unused_data.lstrip(b"\0") or file.read(READ).lstrip(b"\0")
                    if data:
                        member = zlib.decompressobj(31)
                else:
                    data = file.read(READ)
        except zlib.error as error:
            raise DataError(f"{path}: corrupt gzip after {n_bytes} bytes of text: {error}") from error
        if not member.eof:
            raise DataError(f"{path}: truncated gzip: it ends after {n_bytes} bytes of text")


def line_blocks(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a text file, without their ends (LF or CRLF), some megabytes of them at a time."""
    pieces: list[bytes] = []
    size = 0
    for text in blocks(path):
        pieces.append(text)
        size += len(text)
        if size < BLOCK or b"\n" not in text:
            continue
        whole, _, rest = b"".join(pieces).rpartition(b"\n")
        yield _lines(whole)
        pieces, size = [rest], len(rest)
    if last := b"".join(pieces):
        yield _lines(last.removesuffix(b"\n"))


def _lines(text: bytes) -> list[bytes]:
    return (text.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in text else text).split(b"\n")


def read_lines(path: Path, n: int) -> list[str]:
    """Return the first `n` lines of a text file; DataError if it has fewer, or they are not UTF-8."""
    head = list(chain.from_iterable(_until(line_blocks(path), n)))[:n]
    if len(head) < n:
        raise DataError(f"{path}: {len(head)} lines, expected a header of {n}")
    try:
        return [line.decode("utf-8") for line in head]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the header is not UTF-8 text: {error}") from error


def _until(parts: Iterator[list[bytes]], n: int) -> Iterator[list[bytes]]:
    """Yield from `parts` until they hold `n` items."""
    for part in parts:
        yield part
        n -= len(part)
        if n <= 0:
            return

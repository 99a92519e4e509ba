"""Text of any size, gzipped or not, some megabytes at a time; what a header line and a number look like."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from aeflow.errors import DataError

BLOCK = 1 << 24  # bytes of text a block of lines has at least
READ = 1 << 20  # bytes of the file read at a time
HEAD = 1 << 14  # the same, where only the first lines are wanted
GZIP_MAGIC = b"\x1f\x8b"
NUMBER = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def blocks(path: Path, size: int | None = None) -> Iterator[bytes]:
    """Yield the text of a file, decompressed if its first bytes say gzip (any number of members, sums checked).

    size : bytes of the file read at a time, `READ` by default.

    DataError for a name ending in .gz without gzip in it, which could be cut off unnoticed, and for broken gzip.
    """
    size = size or READ
    with open(path, "rb") as file:
        head = file.read(size)
        if not head.startswith(GZIP_MAGIC):
            if Path(path).suffix == ".gz":
                raise DataError(f"{path}: not a gzip file; it begins with {head[:40]!r}")
            yield from chain([head], iter(lambda: file.read(size), b""))
            return
        member, data, n_bytes, n_lines = zlib.decompressobj(31), head, 0, 0
        try:
            while data:
                text = member.decompress(data)
                n_bytes += len(text)
                n_lines += text.count(b"\n")
                yield text
                if member.eof:  # the next member, or zero bytes that pad the file
                    data = member.unused_data.lstrip(b"\0") or file.read(size).lstrip(b"\0")
                    if data:
                        member = zlib.decompressobj(31)
                else:
                    data = file.read(size)
        except zlib.error as error:
            raise DataError(f"{path}: corrupt gzip after line {n_lines}, {n_bytes} bytes of text: {error}") from error
        if not member.eof:
            raise DataError(f"{path}: truncated gzip: it ends after line {n_lines}, {n_bytes} bytes of text")


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
    head = b""
    for text in blocks(path, HEAD):
        head += text
        if head.count(b"\n") >= n:
            break
    lines = _lines(head.removesuffix(b"\n"))[:n] if head else []
    if len(lines) < n:
        raise DataError(f"{path}: {len(lines)} lines, expected a header of {n}")
    try:
        return [line.decode("utf-8") for line in lines]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the header is not UTF-8 text: {error}") from error


def split_header(line: str, where: str) -> list[str]:
    """Return the names in a header line; DataError beginning with `where` if one is empty or occurs twice."""
    names = line.rstrip("\r\n").split("\t")
    if len(set(names)) < len(names):
        name, n = Counter(names).most_common(1)[0]
        raise DataError(f"{where}, column {names.index(name) + 1}: name {name!r} occurs {n} times")
    if "" in names:
        raise DataError(f"{where}, column {names.index('') + 1}: empty column name")
    return names


def fault_of_number(cell: str, non_negative: bool) -> str | None:
    """Return why a cell is no finite float32 (blanks may stand before it, never after), or None."""
    if not cell:
        return "empty cell"
    if not NUMBER.fullmatch(cell):
        return "not a finite number"
    with np.errstate(over="ignore"):
        value = np.float32(cell)
    if not np.isfinite(value):
        return "not a finite float32"
    return "negative value" if non_negative and value < 0 else None

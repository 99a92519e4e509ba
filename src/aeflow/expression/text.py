"""The one way to open text: UTF-8 with or without a byte-order mark, LF or CRLF, gzipped or not, streamed or whole.

Everything else that a file can hold (UTF-16, NUL bytes, lone carriage returns) is refused by name. What a header line,
a cell, a number and a spreadsheet's date look like is said here, too. Nothing heavy is imported: the Snakefile reads
manifests while it is parsed.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from aeflow.errors import DataError

BLOCK = 1 << 24  # bytes of text a block of lines has at least
READ = 1 << 20  # bytes of the file read at a time
HEAD = 1 << 14  # the same, where only the first lines are wanted
GZIP_MAGIC = b"\x1f\x8b"
MARK = b"\xef\xbb\xbf"  # UTF-8's byte-order mark
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NUMBER = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"\d{1,18}", re.ASCII)
FLOAT32_END = 2.0**128 - 2.0**103  # from here on a number rounds to an infinite float32
PLAIN = re.compile(r"[!#-&(-~\t]*")  # cells, tabs between, of ASCII without blanks and quotes
PADDING = " \t\xa0\u2007\u202f\u200b\u2060\ufeff"  # blanks, no-break and without width, that stand around a cell
QUOTES = "\"'"
NO_CELL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u2028\u2029\"“”„]|^'")  # ' alone: a spreadsheet's mark of text
MONTH = (
    "jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|january|february|march|april|june|july|august|september|"
    "october|november|december|mrz|mär|mai|okt|dez"
)
# as spreadsheets write them: 2-Sep, 02. Sep, 1-Mar-23, Sep-02, 2023-09-02 (00:00:00), 02/09/2023; or as the day's
# number: 44441 is 2 September 2021
DATE = re.compile(
    rf"\d{{1,2}}[-./ ] ?({MONTH})([-./ ] ?\d{{2,4}})?|({MONTH})[-./ ] ?(\d\d|\d{{4}})|"
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}([ T]\d{1,2}:\d\d(:\d\d)?)?|\d{1,2}[-./]\d{1,2}[-./](\d\d|\d{4})|"
    r"[345]\d{4}(\.0)?",
    re.IGNORECASE | re.ASCII,
)
MONTH_AND_DAY = re.compile(rf"(?=[A-Z][a-z])(?i:{MONTH})[-./ ]\d", re.ASCII)  # Sep-2; OCT-4 is a name


def blocks(path: Path, size: int | None = None) -> Iterator[bytes]:
    """Yield the text of a file without its byte-order mark, decompressed if its first bytes say gzip.

    size : bytes of the file read at a time, `READ` by default. Any number of gzip members; their sums are checked.

    DataError for a name ending in .gz without gzip in it, which could be cut off unnoticed, for broken gzip, for UTF-16
    and for NUL bytes.
    """
    head = b""
    pieces = _unpacked(path, size or READ)
    for piece in pieces:
        head += piece
        if len(head) >= len(MARK):
            break
    n_lines = 0
    for piece in chain([_without_mark(head, path)], pieces):
        if b"\0" in piece:
            line = n_lines + piece[: piece.index(b"\0")].count(b"\n") + 1
            raise DataError(f"{path}: line {line}: a NUL byte: not UTF-8 text, or a damaged file")
        n_lines += piece.count(b"\n")
        yield piece


def _unpacked(path: Path, size: int) -> Iterator[bytes]:
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


def _without_mark(head: bytes, path: str | Path) -> bytes:
    if head.startswith(UTF_16):
        raise DataError(f"{path}: UTF-16 text, as spreadsheets save 'Unicode text'; save it as UTF-8")
    return head.removeprefix(MARK)


def line_blocks(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a text file, without their ends (LF or CRLF), some megabytes of them at a time."""
    pieces: list[bytes] = []
    size = n_lines = 0
    for text in blocks(path):
        pieces.append(text)
        size += len(text)
        if size < BLOCK or b"\n" not in text:
            continue
        whole, _, rest = b"".join(pieces).rpartition(b"\n")
        lines = _lines(whole, path, n_lines)
        n_lines += len(lines)
        yield lines
        pieces, size = [rest], len(rest)
    if last := b"".join(pieces):
        yield _lines(last.removesuffix(b"\n"), path, n_lines)


def _lines(text: bytes, path: str | Path, n_before: int = 0) -> list[bytes]:
    """Return the lines of `text`; DataError for a carriage return that does not belong to a line's end."""
    if b"\r" not in text:
        return text.split(b"\n")
    text = text.replace(b"\r\n", b"\n").removesuffix(b"\r")
    if b"\r" in text:
        line = n_before + text[: text.index(b"\r")].count(b"\n") + 1
        raise DataError(
            f"{path}: line {line}: a carriage return without a line feed, as old Macintosh programs and spreadsheets "
            "end lines; save it with line ends LF or CRLF"
        )
    return text.split(b"\n")


def read_lines(path: Path, n: int) -> list[str]:
    """Return the first `n` lines of a text file; DataError if it has fewer, or they are not UTF-8."""
    head = b""
    for text in blocks(path, HEAD):
        head += text
        if head.count(b"\n") >= n:
            head = b"\n".join(head.split(b"\n")[:n]) + b"\n"
            break
    lines = _lines(head.removesuffix(b"\n"), path) if head else []
    if len(lines) < n:
        raise DataError(f"{path}: {len(lines)} lines, expected a header of {n}")
    try:
        return [line.decode("utf-8") for line in lines]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the header is not UTF-8 text: {error}") from error


def decoded(data: bytes, path: str | Path, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a whole text; DataError as `blocks`, `line_blocks` say, or if it is not in `encoding`."""
    data = _without_mark(data, path)
    if b"\0" in data:
        raise DataError(f"{path}: a NUL byte: not UTF-8 text, or a damaged file")
    lines = _lines(data.removesuffix(b"\n"), path) if data else []
    try:
        return b"\n".join(lines).decode(encoding).split("\n") if lines else []
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error


def all_lines(path: str | Path) -> list[str]:
    """Return every line of a text file, without their ends; see `decoded`."""
    return decoded(b"".join(blocks(Path(path))), path)


def split_header(line: str, where: str) -> list[str]:
    """Return the names in a header line, clean; DataError beginning with `where` if one is empty or occurs twice."""
    names = [clean(name) for name in line.split("\t")]
    if len(set(names)) < len(names):
        name, n = Counter(names).most_common(1)[0]
        raise DataError(f"{where}, column {names.index(name) + 1}: name {name!r} occurs {n} times")
    for column, name in enumerate(names, start=1):
        if what := "empty column name" if not name else fault_of_cell(name):
            raise DataError(f"{where}, column {column}: {what}" + (f", found {name[:80]!r}" if name else ""))
    return names


def clean(cell: str) -> str:
    """Return a cell without blanks around it and without the quotes that enclose it, as spreadsheets and R add them.

    A quote that has no partner stays: see `fault_of_cell`.
    """
    cell = cell.strip(PADDING)
    if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in QUOTES:
        quote, inner = cell[0], cell[1:-1]
        if quote not in inner.replace(2 * quote, ""):
            return inner.replace(2 * quote, quote).strip(PADDING)
    return cell


def fault_of_cell(cell: str) -> str | None:
    """Return why a clean cell is no name or id, or None: a quote without a partner, or a control character."""
    if match := NO_CELL.search(cell):
        return "a stray quote" if match[0] in "'\"“”„" else "a control character"
    return None


def is_date(cell: str) -> bool:
    """Whether a cell, where no number is meant, is a date as a spreadsheet writes it."""
    return DATE.fullmatch(cell) is not None or MONTH_AND_DAY.fullmatch(cell) is not None


def date_note(cell: object) -> str:
    """Return the end of a message on a cell that is no id or age: that a spreadsheet has made a date of it, or ""."""
    return ", which a spreadsheet has made a date" if is_date(str(cell)) else ""


def fault_of_number(cell: str, non_negative: bool) -> str | None:
    """Return why a cell is no finite float32 (blanks may stand before it, never after), or None."""
    if not cell:
        return "empty cell"
    if not NUMBER.fullmatch(cell):
        return "a spreadsheet has made a date of a number" if is_date(cell) else "not a finite number"
    value = float(cell)
    if not abs(value) < FLOAT32_END:
        return "not a finite float32"
    return "negative value" if non_negative and value < 0 else None

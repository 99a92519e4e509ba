"""Wide text to Parquet and back: every fault, every form, by both ways of parsing (about 5 s)."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression import wide
from aeflow.sources.rnaseqdb import convert

GTEX, TCGA = "GTEX-S3XE-1226-SM-4AD4L", "TCGA-KL-8339-11A-01R-2315-07"
HEADER = f"Hugo_Symbol\tEntrez_Gene_Id\t{GTEX}\t{TCGA}\n"
ROWS = "A1BG\t        1\t495.00\t12.5\nTP53\t     7157\t0\t1e3\n"
GOOD = (HEADER + ROWS).encode()


@pytest.fixture(params=["by column", "by cell"])
def parsed(request, monkeypatch):
    """Parse every matrix as few samples are parsed, and as very many are."""
    monkeypatch.setattr(wide, "WIDE", 10**6 if request.param == "by column" else 0)


def cell(text: str) -> bytes:
    """The good file with one cell, line 2 column 3, replaced."""
    return GOOD.replace(b"495.00", text.encode())


FAULTS = {
    "plain text under .gz": (GOOD, "not a gzip file; it begins with b'Hugo_Symbol"),
    "HTML under .gz": (b"<!DOCTYPE html><title>404</title>", "not a gzip file; it begins with b'<!DOCTYPE html>"),
    "empty file": (b"", "not a gzip file"),
    "gzipped HTML": (gzip.compress(b"<html>\n"), "line 1, column 1: expected 'Hugo_Symbol', found '<html>'"),
    "empty gzip": (gzip.compress(b""), "0 lines, expected a header of 1"),
    "truncated": (gzip.compress(GOOD + 50 * ROWS.encode())[:-30], "truncated gzip: it ends after line"),
    "end missing": (gzip.compress(GOOD)[:-4], "truncated gzip"),
    "wrong checksum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "corrupt gzip after line"),
    "second member cut off": (gzip.compress(GOOD) + gzip.compress(ROWS.encode())[:-6], "truncated gzip"),
    "garbage after the end": (gzip.compress(GOOD) + b"garbage", "corrupt gzip after line"),
    "no gene column": (GOOD.replace(b"Hugo_Symbol", b"gene"), "line 1, column 1: expected 'Hugo_Symbol', found 'gene'"),
    "no Entrez column": (b"Hugo_Symbol\nA\n", "line 1, column 2: expected 'Entrez_Gene_Id', found 'None'"),
    "no sample": (b"Hugo_Symbol\tEntrez_Gene_Id\nA\t1\n", "line 1: no sample columns"),
    "no gene": (HEADER.encode(), "no rows after the header"),
    "duplicate sample": (GOOD.replace(TCGA.encode(), GTEX.encode()), f"column 3: name '{GTEX}' occurs 2 times"),
    "dots in barcodes": (
        GOOD.replace(GTEX.encode(), GTEX.replace("-", ".").encode()),
        "column 3: .* dashes turned into",
    ),
    "short TCGA barcode": (
        GOOD.replace(TCGA.encode(), TCGA[:15].encode()),
        "line 1, column 4: 'TCGA-KL-8339-11' is nei",
    ),
    "duplicate gene": (
        GOOD.replace(b"TP53", b"A1BG"),
        r"line 3, column 1 \(Hugo_Symbol\): 'A1BG' stands on line 2, too",
    ),
    "text": (cell("n/a"), rf"line 2, column 3 \({GTEX}\): not a finite number, found 'n/a'"),
    "decimal comma": (cell("495,00"), "line 2, column 3 .*not a finite number, found '495,00'"),
    "blank after": (cell("495 "), "line 2, column 3 .*not a finite number, found '495 '"),
    "empty cell": (cell(""), "line 2, column 3 .*empty cell"),
    "NaN": (cell("NaN"), "line 2, column 3 .*not a finite number, found 'NaN'"),
    "infinity": (cell("-inf"), "line 2, column 3 .*not a finite number, found '-inf'"),
    "too large": (cell("1e39"), "line 2, column 3 .*not a finite float32, found '1e39'"),
    "negative": (cell("-0.01"), "line 2, column 3 .*negative value, found '-0.01'"),
    "no symbol": (GOOD.replace(b"TP53", b""), "line 3, column 1 .*empty cell"),
    "Entrez id": (GOOD.replace(b"7157", b"NA"), "line 3, column 2 .*not a gene id, found '     NA'"),
    "short row": (GOOD.replace(b"\t1e3", b""), "line 3: 3 cells, the header has 4"),
    "long row": (GOOD.replace(b"12.5", b"12.5\t1"), "line 2: 5 cells, the header has 4"),
    "blank line": (GOOD.replace(b"TP53", b"\nTP53"), "line 3: 1 cells"),
    "blank line at the end": (GOOD + b"\n", "line 4: 1 cells"),
    "cells of one row in the next": (GOOD.replace(b"\t12.5", b"").replace(b"\t1e3", b"\t1e3\t1"), "line 2: 3 cells"),
    "negative id": (GOOD.replace(b"7157", b"-715"), "line 3, column 2 .*not a gene id, found '     -715'"),
    "stray quote": (
        GOOD.replace(b"TP53", b'"TP53'),
        r"line 3, column 1 \(Hugo_Symbol\): a stray quote, found '\"TP53'",
    ),
    "date": (GOOD.replace(b"TP53", b"2-Sep"), "line 3, column 1 .*a spreadsheet has made a date .*found '2-Sep'"),
    "day": (GOOD.replace(b"TP53", b"44441"), "line 3, column 1 .*a spreadsheet has made a date .*found '44441'"),
    "date as id": (GOOD.replace(b"7157", b"1-Mar"), "line 3, column 2 .*a spreadsheet has made a date of a gene id"),
    "date as number": (cell("12.Mai"), "line 2, column 3 .*a spreadsheet has made a date of a number, found '12.Mai'"),
    "nothing": (GOOD.replace(b"TP53", b"NA"), "line 3, column 1 .*no gene symbol, found 'NA'"),
    "blank symbol": (GOOD.replace(b"TP53", b"\xc2\xa0"), "line 3, column 1 .*empty cell"),
    "same symbol quoted": (GOOD.replace(b"TP53", b'"A1BG"'), "line 3, column 1 .*'A1BG' stands on line 2, too"),
    "other digits": (cell("\u0664\u0669"), "line 2, column 3 .*not a finite number"),
    "underscores": (cell("1_000"), "line 2, column 3 .*not a finite number, found '1_000'"),
    "power of ten as id": (GOOD.replace(b"     7157", b"7e3"), "line 3, column 2 .*not a gene id, found '7e3'"),
    "CR alone": (GOOD.replace(b"\n", b"\r"), "line 1: a carriage return without a line feed"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "UTF-16"),
    "NUL": (GOOD.replace(b"TP53", b"TP\x0053"), "line 3.*(NUL byte|control character)"),
    "not UTF-8": (GOOD.replace(b"TP53", b"\xe9"), "line 3: not UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_convert_refuses(fault, parsed, tmp_path):
    """Breaks if a damaged matrix is converted, its place is not named, or an earlier result is lost."""
    content, message = FAULTS[fault]
    path, out = tmp_path / "kidney.txt.gz", tmp_path / "out.parquet"
    zipped = content if "gz" in fault or content[:2] == b"\x1f\x8b" or not content else gzip.compress(content)
    path.write_bytes(content if fault in ("plain text under .gz", "HTML under .gz") else zipped)
    out.write_text("earlier")
    with pytest.raises(DataError, match=f"^{path}: .*{message}"):
        convert(path, out)
    assert out.read_text() == "earlier"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kidney.txt.gz", "out.parquet"]


@pytest.mark.parametrize("form", ["one member", "two members", "empty member", "CRLF", "no last newline"])
def test_convert_reads(form, parsed, tmp_path):
    """Breaks if a sound file in another form is refused, or read in part: several gzip members, CRLF, padded ids."""
    forms = {
        "one member": gzip.compress(GOOD),
        "two members": gzip.compress(GOOD[:130]) + gzip.compress(GOOD[130:]),
        "empty member": gzip.compress(GOOD) + gzip.compress(b""),
        "CRLF": gzip.compress(GOOD.replace(b"\n", b"\r\n")),
        "no last newline": gzip.compress(GOOD[:-1]),
    }
    path, out = tmp_path / "x.txt.gz", tmp_path / "x.parquet"
    path.write_bytes(forms[form])
    convert(path, out)
    found = pd.read_parquet(out)
    assert list(found.columns) == ["symbol", "entrez_id", GTEX, TCGA]
    assert found["symbol"].tolist() == ["A1BG", "TP53"]
    assert found["entrez_id"].tolist() == [1, 7157]
    assert found[GTEX].dtype == np.float32
    assert found[[GTEX, TCGA]].to_numpy().tolist() == [[495, 12.5], [0, 1000]]


@pytest.mark.parametrize("symbol", ['"A1BG"', "A1BG ", "\u00a0A1BG", "'A1BG'"])
def test_symbols_are_cleaned_and_counted(symbol, parsed, tmp_path):
    """Breaks if quotes or padding make another gene of a symbol, or nothing says that there were any."""
    path, out = tmp_path / "x.txt.gz", tmp_path / "x.parquet"
    path.write_bytes(gzip.compress(GOOD.replace(b"A1BG", symbol.encode())))
    convert(path, out)
    assert pd.read_parquet(out)["symbol"].tolist() == ["A1BG", "TP53"]
    assert wide.Matrix(out, ("symbol", "entrez_id")).n_cleaned == 1
    quoted = "".join("\t".join(f'"{c}"' if i < 2 else c for i, c in enumerate(row.split("\t"))) + "\n"
                     for row in ROWS.splitlines())  # fmt: skip
    header = "\t".join(f'"{name}"' for name in HEADER.strip().split("\t"))
    path.write_bytes(gzip.compress(f"\ufeff{header}\n{quoted}".encode()))  # as R writes tables
    convert(path, out)
    found = pd.read_parquet(out)
    assert list(found.columns) == ["symbol", "entrez_id", GTEX, TCGA]
    assert found["symbol"].tolist() == ["A1BG", "TP53"] and found["entrez_id"].tolist() == [1, 7157]


NUMBERS = st.one_of(
    st.floats(0, 2.0**100, width=32).map(repr), st.integers(0, 10**8).map(str), st.floats(0, 1e6).map("{:.2f}".format)
)
CELLS = st.one_of(NUMBERS, st.sampled_from(["", "NA", "nan", "-1", "inf", "1e40", "x", "1 2", "0x1", "1_0"]))
LARGEST = float(np.finfo(np.float32).max)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._ä"
TEXT = st.one_of(st.just(""), st.text(LETTERS, max_size=6).map("GENE{}".format))


def read(path, *, non_negative=True) -> pd.DataFrame:
    """Convert a matrix with one text column and read it back."""
    out = path.with_suffix(".parquet")
    wide.convert_matrix(path, out, wide.read_header(path, {"id": "id"}), non_negative=non_negative)
    return pd.read_parquet(out)


@settings(max_examples=150)
@given(st.lists(st.tuples(TEXT, CELLS, CELLS), min_size=1, max_size=8, unique_by=lambda row: row[0]), st.booleans())
@example([("a", "1", "2"), ("", "1", "2")], True)
@example([("a", "1", "2"), ("b", "", "2")], False)
def test_reader_equals_reference(tmp_path_factory, rows, by_cell):
    """Breaks if the reader accepts what cell-by-cell parsing refuses, the reverse, or reads other values."""
    path = tmp_path_factory.mktemp("tsv") / "m.txt.gz"
    text = "id\ts1\ts2\n" + "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), 1))

    def sound(cell):
        try:
            return "_" not in cell and 0 <= float(cell) <= LARGEST
        except ValueError:
            return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide, "WIDE", 0 if by_cell else 10**6)
        if all(name and sound(a) and sound(b) for name, a, b in rows):
            frame = read(path)
            assert frame["id"].to_list() == [row[0] for row in rows]
            for k, sample in ((1, "s1"), (2, "s2")):
                assert frame[sample].to_list() == pytest.approx([float(np.float32(row[k])) for row in rows], rel=1e-6)
        else:
            with pytest.raises(DataError, match="line"):
                read(path)


def test_reader_allows_negative_values_where_asked(parsed, tmp_path):
    """Breaks if signed matrices (log2 scale, later sources) cannot be read."""
    path = tmp_path / "m.txt.gz"
    path.write_bytes(gzip.compress(b"id\ts1\na\t-9.9658\n"))
    assert read(path, non_negative=False)["s1"].to_list() == [np.float32(-9.9658)]


@pytest.mark.parametrize("fault", ["99", "key"])
def test_fault_far_below_is_named_by_its_line(fault, parsed, tmp_path, monkeypatch):
    """Breaks if the line of a fault beyond the first row group is counted wrongly, or keys are compared in it alone."""
    monkeypatch.setattr(wide, "ROWS", 3)
    monkeypatch.setattr(wide, "VALUES", 3)
    rows = [f"g{i}\t{i}\t{i}.5" for i in range(40)]
    rows[29] = {"99": "g29\t29\tx", "key": "g2\t29\t29.5"}[fault]
    path = tmp_path / "m.txt"
    path.write_text("\n".join(["id\ts1\ts2", *rows, ""]))
    message = {
        "99": r"line 31, column 3 \(s2\): not a finite",
        "key": r"line 31, column 1 \(id\): 'g2' stands on line 4",
    }
    with pytest.raises(DataError, match=message[fault]):
        read(path)


def test_values_come_back_by_sample(parsed, tmp_path, monkeypatch):
    """Breaks if blocks of a matrix are given to other samples or genes than they belong to."""
    for name, value in (("ROWS", 3), ("VALUES", 3), ("COLUMNS", 2)):
        monkeypatch.setattr(wide, name, value)
    numbers = np.arange(50, dtype=np.float32).reshape(10, 5)
    samples = [f"s{i}" for i in range(5)]
    lines = ["\t".join([f"g{g}", *map(str, row)]) for g, row in enumerate(numbers)]
    path = tmp_path / "m.txt"
    path.write_text("\n".join(["\t".join(["id", *samples]), *lines, ""]))
    read(path)
    matrix = wide.Matrix(path.with_suffix(".parquet"), ("id",), "m.txt")
    assert matrix.samples == samples and matrix.text().column("id").to_pylist() == [f"g{i}" for i in range(10)]
    chosen = ["s4", "s0", "s3"]
    found = np.full((3, 10), np.nan)
    for rows, places, values in matrix.values(chosen):
        found[places, rows] = values
    assert np.array_equal(found, numbers[:, [4, 0, 3]].T)
    with pytest.raises(DataError, match=r"the first columns must be .*symbol"):
        wide.Matrix(matrix.path, ("symbol",))

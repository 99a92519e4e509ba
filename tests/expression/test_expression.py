"""Reading matrices and barcodes, checking units, gating values (about 4 s)."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aeflow.errors import ConfigError, DataError
from aeflow.expression.barcodes import parse_barcode
from aeflow.expression.quality import apply_gate, check_gate, check_unit, gate_text
from aeflow.expression.tsv import read_matrix
from aeflow.sources.rnaseqdb import convert

GTEX, TCGA = "GTEX-S3XE-1226-SM-4AD4L", "TCGA-KL-8339-11A-01R-2315-07"
HEADER = f"Hugo_Symbol\tEntrez_Gene_Id\t{GTEX}\t{TCGA}\n"
ROWS = "A1BG\t        1\t495.00\t12.5\nTP53\t     7157\t0\t1e3\n"
GOOD = (HEADER + ROWS).encode()


def cell(text: str) -> bytes:
    """The good file with one cell, line 2 column 3, replaced."""
    return GOOD.replace(b"495.00", text.encode())


FAULTS = {
    "plain text under .gz": (GOOD, "not a gzip file; it begins with b'Hugo_Symbol"),
    "HTML under .gz": (b"<!DOCTYPE html><title>404</title>", "not a gzip file; it begins with b'<!DOCTYPE html>"),
    "empty file": (b"", "not a gzip file"),
    "gzipped HTML": (gzip.compress(b"<html>\n"), "line 1, column 1: expected 'Hugo_Symbol', found '<html>'"),
    "empty gzip": (gzip.compress(b""), "line 1, column 1: empty column name"),
    "truncated": (gzip.compress(GOOD + 50 * ROWS.encode())[:-30], "truncated or corrupt gzip after line"),
    "end missing": (gzip.compress(GOOD)[:-4], "truncated or corrupt gzip"),
    "wrong checksum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "truncated or corrupt gzip"),
    "second member cut off": (gzip.compress(GOOD) + gzip.compress(ROWS.encode())[:-6], "truncated or corrupt gzip"),
    "garbage after the end": (gzip.compress(GOOD) + b"garbage", "truncated or corrupt gzip"),
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
    "duplicate gene": (GOOD.replace(b"TP53", b"A1BG"), "line 3, column 1 .*gene 'A1BG' occurs more than once"),
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
    "not UTF-8": (GOOD.replace(b"TP53", b"\xe9"), "line 3: not UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_convert_refuses(fault, tmp_path):
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
def test_convert_reads(form, tmp_path):
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


NUMBERS = st.one_of(
    st.floats(0, 2.0**100, width=32).map(repr), st.integers(0, 10**8).map(str), st.floats(0, 1e6).map("{:.2f}".format)
)
CELLS = st.one_of(NUMBERS, st.sampled_from(["", "NA", "nan", "-1", "inf", "1e40", "x", "1 2", "0x1", "1_0"]))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=6)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, CELLS, CELLS), min_size=1, max_size=8))
@example([("a", "1", "2"), ("", "1", "2")])
def test_reader_equals_reference(tmp_path_factory, rows):
    """Breaks if the reader accepts what cell-by-cell parsing refuses, the reverse, or reads other values."""
    path = tmp_path_factory.mktemp("tsv") / "m.txt.gz"
    text = "id\ts1\ts2\n" + "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), 1))

    def sound(cell):
        try:
            return "_" not in cell and 0 <= float(cell) <= np.finfo(np.float32).max
        except ValueError:
            return False

    if all(name and sound(a) and sound(b) for name, a, b in rows):
        frame = read_matrix(path, ("id",))
        assert frame["id"].to_list() == [row[0] for row in rows]
        for k, sample in ((1, "s1"), (2, "s2")):
            assert frame[sample].to_list() == pytest.approx([float(np.float32(row[k])) for row in rows], rel=1e-6)
    else:
        with pytest.raises(DataError, match="line"):
            read_matrix(path, ("id",))


def test_reader_allows_negative_values_where_asked(tmp_path):
    """Breaks if signed matrices (log2 scale, later sources) cannot be read."""
    path = tmp_path / "m.txt.gz"
    path.write_bytes(gzip.compress(b"id\ts1\na\t-9.9658\n"))
    assert read_matrix(path, ("id",), non_negative=False)["s1"].to_list() == [np.float32(-9.9658)]


CODE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=4)


@given(CODE, CODE, st.integers(1, 99), st.sampled_from("ABC"), st.integers(0, 99))
def test_tcga_barcode(participant, plate, code, vial, centre):
    """Breaks if participant, type code, condition or centre are read from the wrong field."""
    sample_id = f"TCGA-2A-{participant}-{code:02d}{vial}-01R-{plate}-{centre:02d}"
    if not (1 <= code <= 9 or 11 <= code <= 14):
        with pytest.raises(DataError, match=f"type code '{code:02d}'"):
            parse_barcode(sample_id, "f")
        return
    barcode = parse_barcode(sample_id, "f")
    assert barcode.donor_id == f"TCGA-2A-{participant}"
    assert barcode.piece == f"TCGA-2A-{participant}-{code:02d}{vial}"
    assert barcode.condition == ("tumour" if code < 10 else "normal")
    assert (barcode.study, barcode.sample_type_code, barcode.centre) == ("TCGA", f"{code:02d}", f"{centre:02d}")
    with pytest.raises(DataError, match=r"^f: .*dashes turned into dots"):
        parse_barcode(sample_id.replace("-", "."), "f")


@given(CODE, st.integers(0, 9999), st.sampled_from(["", "-R1a", "-101855"]), CODE)
def test_gtex_barcode(donor, piece, region, aliquot):
    """Breaks if a GTEx donor or tissue piece is cut wrongly, or a GTEx sample is not a normal."""
    barcode = parse_barcode(f"GTEX-{donor}-{piece:04d}{region}-SM-{aliquot}X", "f")
    assert (barcode.study, barcode.donor_id, barcode.condition) == ("GTEx", f"GTEX-{donor}", "normal")
    assert barcode.piece == f"GTEX-{donor}-{piece:04d}{region}"


@given(st.text(max_size=40))
def test_any_other_text_is_no_barcode(text):
    """Breaks if free text passes as a barcode or raises anything but DataError."""
    with pytest.raises(DataError):
        parse_barcode(text, "f")


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e7, width=32), min_size=4, max_size=60))
def test_log_values_are_refused_as_linear(values):
    """Breaks if log2(x + 1) of any matrix passes as a linear unit."""
    logged = np.log2(np.array(values, dtype=np.float32) + 1)
    for unit in ("counts", "fpkm"):
        with pytest.raises(DataError, match=f"m: declared as {unit}, .*log-transformed"):
            check_unit("m", logged, unit)


def test_mixed_units_are_refused():
    """Breaks if FPKM pass as counts or counts as FPKM."""
    counts = np.random.default_rng(0).poisson(100, (5, 50)).astype(np.float32)
    check_unit("m", counts, "counts")
    check_unit("m", counts * 1.37, "fpkm")
    with pytest.raises(DataError, match="declared as counts, but only"):
        check_unit("m", counts * 1.37, "counts")
    with pytest.raises(DataError, match=r"declared as fpkm, but 100\.0%"):
        check_unit("m", counts, "fpkm")


def gated(action, **more):
    X = np.asfortranarray(np.array([[1, 50, 3], [2, 5, 9000], [4, 70, 8000]], dtype=np.float32))
    obs = pd.DataFrame({"sample_id": ["a", "b", "c"], "source_file": ["f1", "f1", "f2"]})
    symbols = np.array(["A", "B", "KRT13"], dtype=object)
    return apply_gate(X, obs, symbols, action and {"max_value": 40, "action": action} | more)


def test_gate_clip():
    """Breaks if values above the gate stay, values below it change, or the offenders are not recorded."""
    found = gated("clip")
    report = found.report
    assert found.X.tolist() == [[1, 40, 3], [2, 5, 40], [4, 40, 40]]
    assert found.keep_var.all() and not found.dropped and found.obs["sample_id"].tolist() == ["a", "b", "c"]
    assert (report["max_per_obs"], report["n_obs_dropped"], report["n_obs_read"]) == (40, 0, 3)
    assert (report["n_values"], report["n_vars"], report["n_obs"]) == (4, 2, 3)
    assert (report["max_before"], report["max_after"], report["n_values_after"]) == (9000, 40, 0)
    worst = {"symbol": "KRT13", "max": 9000, "n_values": 2, "sample_id": "b", "source_file": "f1"}
    assert report["worst"][0] == worst


def test_gate_drop_var():
    """Breaks if a gene with an absurd value stays, or goes without a line in the drop log."""
    found = gated("drop_var")
    assert found.X.tolist() == [[1], [2], [4]] and found.keep_var.tolist() == [True, False, False]
    assert [(row[0], row[1], row[3], row[4]) for row in found.dropped] == [
        ("var", "KRT13", 9000, "f1"),
        ("var", "B", 70, "f2"),
    ]


def test_gate_error_and_none():
    """Breaks if action error lets values pass or does not name gene, sample and file, or if no gate changes values."""
    with pytest.raises(
        DataError, match="f1: gene 'KRT13', sample 'b': value 9000 is above the gate 40, as are 3 others"
    ):
        gated("error")
    found = gated(None)
    assert found.X.max() == 9000 and found.report is None


def test_sample_of_many_gated_values():
    """Breaks if a sample at the limit is dropped, one above it stays, or a dropped one still costs genes."""
    reason = "more than 1 values above the gate 40"
    clipped = gated("clip", max_per_obs=1)
    assert clipped.X.tolist() == [[1, 40, 3], [2, 5, 40]] and clipped.obs["sample_id"].tolist() == ["a", "b"]
    assert clipped.dropped == [("obs", "c", reason, 2.0, "f2")]
    report = clipped.report
    assert (report["n_values"], report["n_obs"], report["n_obs_dropped"], report["n_obs_read"]) == (4, 3, 1, 3)
    X = np.array([[1, 5, 3], [2, 50, 9], [4, 70, 8000]], dtype=np.float32)
    obs = pd.DataFrame({"sample_id": ["a", "b", "c"], "source_file": ["f1", "f1", "f2"]})
    gate = {"max_value": 40, "action": "drop_var", "max_per_obs": 1}
    without = apply_gate(X, obs, np.array(["A", "B", "KRT13"]), gate)
    assert without.keep_var.tolist() == [True, False, True] and without.X.tolist() == [[1, 3], [2, 9]]
    assert without.dropped == [
        ("obs", "c", reason, 2.0, "f2"),
        ("var", "B", "a value above the gate 40", 50.0, "f1"),
    ]
    assert gated("clip", max_per_obs=None).X.shape == (3, 3)
    with pytest.raises(DataError, match=r"f1: gene 'KRT13', sample 'b'.*as are 3 others"):
        gated("error", max_per_obs=1)
    with pytest.raises(DataError, match="no sample is left of 3; each has more than 0 values"):
        gated("clip", max_per_obs=0)


def test_gate_text():
    """Breaks if the sentence for the leaderboard counts other samples than the gate left out, or invents a gate."""
    assert gate_text({"gate": gated("clip", max_per_obs=1).report}) == (
        "Gate: 1 of 3 samples left out for more than 1 values above 40."
    )
    assert gate_text({"gate": gated("clip").report}).startswith("Gate: none of 3 samples left out for more than 40")
    for silent in ({}, {"gate": None}, {"gate": gated("clip", max_per_obs=None).report}):
        assert gate_text(silent) == ""


@pytest.mark.parametrize(
    "gate",
    [
        {"max_value": 1},
        {"max_value": 0, "action": "clip"},
        {"max_value": 1, "action": "x"},
        {"max_value": 1, "action": "clip", "max_per_sample": 1},
        {"max_value": 1, "action": "clip", "max_per_obs": -1},
        {"max_value": 1, "action": "clip", "max_per_obs": 0.1},
        {"max_value": 1, "action": "clip", "max_per_obs": True},
        5,
    ],
)
def test_gate_options(gate):
    """Breaks if a misspelt gate is accepted."""
    with pytest.raises(ConfigError, match="gate"):
        check_gate(gate)

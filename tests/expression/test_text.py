"""The one way to open text, what a clean cell is, and what a spreadsheet makes of symbols (about 2 s)."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aeflow.errors import ConfigError, DataError
from aeflow.expression import text
from aeflow.expression.genes import read_gmt
from aeflow.expression.manifest import read_entries
from aeflow.expression.symbols import fault_of_symbol
from aeflow.sources import gdc, gtex, rnaseqdb, xena_toil

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), max_size=8), max_size=9)


@given(LINES, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.integers(2, 9))
@example(["a", "b"], True, "\r\n", False, False, 2)
def test_every_form_of_sound_text_is_the_same_text(tmp_path_factory, lines, mark, end, last_end, zipped, size):
    """Breaks if a byte-order mark, CRLF, gzip or the size of a block gets into the text."""
    lines = ["first", *lines, "last"]
    data = ("\ufeff" * mark + end.join(lines) + end * last_end).encode()
    path = tmp_path_factory.mktemp("text") / ("x.gz" if zipped else "x")
    path.write_bytes(gzip.compress(data, 1) if zipped else data)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("READ", "HEAD", "BLOCK"):
            patch.setattr(text, name, size)
        assert text.all_lines(path) == lines
        assert [line.decode() for block in text.line_blocks(path) for line in block] == lines
        assert text.read_lines(path, 2) == lines[:2]


HEADERS = {  # a sound file of each reader: name, text, what reads it
    "RNAseqDB": ("kidney-rsem-fpkm-gtex.txt", "Hugo_Symbol\tEntrez_Gene_Id\tGTEX-1117F-0226-SM-5GZZ7\nA1BG\t1\t5.5\n"),
    "GCT": ("gene_reads.gct", "#1.2\n1\t1\nName\tDescription\tGTEX-1117F-0226-SM-5GZZ7\nENSG00000000003.1\tA1BG\t5\n"),
    "attributes": ("SampleAttributesDS.txt", "SAMPID\tSMTS\tSMTSD\tSMAFRZE\tSMCENTER\nA1BG\tb\tc\td\te\n"),
    "donors": ("SubjectPhenotypesDS.txt", "SUBJID\tSEX\tAGE\tDTHHRDY\nA1BG\t1\t60-69\t0\n"),
    "Xena": ("m", "sample\tGTEX-1117F-0226-SM-5GZZ7\nENSG00000000003.1\t5\n"),
    "probemap": ("gencode.v23.annotation.gene.probemap", "id\tgene\nENSG00000000003.1\tA1BG\n"),
    "phenotype": (
        "TcgaTargetGTEX_phenotype.txt.gz",
        "sample\tprimary disease or tissue\t_sample_type\t_gender\t_study\nA1BG\tb\tc\td\te\n",
    ),
    "HGNC": (
        "hgnc_complete_set.txt",
        "symbol\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\nA1BG\tApproved\t\t\t1\t\n",
    ),
    "STAR": (
        "0a0a0a0a-1111-2222-3333-444444444444",
        "# gene-model: GENCODE v36\n"
        "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\tfpkm_unstranded\t"
        "fpkm_uq_unstranded\n"
        + "".join(f"{n}\t\t\t1\t1\t1\t\t\t\n" for n in ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"))
        + "ENSG00000000003.15\tA1BG\tprotein_coding\t1\t1\t0\t1\t1\t1\n",
    ),
    "GMT": ("s.gmt", "S1\td\tA1BG\tB\nS2\td\tC\n"),
    "manifest": (
        "manifest.txt",
        "id\tfilename\tmd5\tsize\tstate\n0a0a0a0a-1111-2222-3333-444444444444\t"
        f"x.rna_seq.augmented_star_gene_counts.tsv\t{'a' * 32}\t1\treleased\n",
    ),
    "metadata": ("files.json", "[\n]\n"),
}


def read(reader: str, folder: Path, data: bytes) -> None:
    """Read `data` in place of the sound file of a reader."""
    name = HEADERS[reader][0]
    path, out = folder / name, folder / "out.parquet"
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    if reader == "GMT":
        assert set(read_gmt(path)) == {"S1", "S2"}
    elif reader in ("manifest", "metadata"):
        other = folder / "other"
        entry = {"file_id": "0a0a0a0a-1111-2222-3333-444444444444", "cases": [{"project": {"project_id": "TCGA-KICH"}}]}
        entry["associated_entities"] = [{"entity_submitter_id": "TCGA-ZZ-9903-03A-01R-0736-13"}]
        other.write_text(json.dumps([entry]) if reader == "manifest" else HEADERS["manifest"][1])
        files = (path, other) if reader == "manifest" else (other, path)
        if reader == "metadata" and b"[" in data:
            path.write_bytes(data.replace(b"[", b"[" + json.dumps(entry).encode(), 1))
        read_entries(*map(str, files), None)
    else:
        source = {"RNAseqDB": rnaseqdb, "STAR": gdc, "HGNC": gdc}.get(
            reader, gtex if reader in ("GCT", "attributes", "donors") else xena_toil
        )
        source.convert(path, out)


@pytest.mark.parametrize("reader", HEADERS)
def test_every_reader_takes_a_mark_and_crlf(reader, tmp_path):
    """Breaks if a byte-order mark or CRLF makes a sound file unreadable for one of the readers."""
    sound = HEADERS[reader][1]
    for data in (sound, "\ufeff" + sound, sound.replace("\n", "\r\n"), "\ufeff" + sound.replace("\n", "\r\n")):
        read(reader, tmp_path, data.encode())


@pytest.mark.parametrize("reader", HEADERS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda sound: sound.replace("\n", "\r").encode(), r"line 1: .*carriage return|carriage return without"),
        (lambda sound: sound.replace("\n", "\r\r\n").encode(), r"carriage return without"),
        (lambda sound: sound.encode("utf-16"), "UTF-16"),
        (lambda sound: sound.encode("utf-16-be"), "NUL byte"),
        (lambda sound: sound.encode() + b"\0", "NUL byte|found"),
        (lambda sound: sound.encode().replace(b"\n", b"\xff\n", 1), "UTF-8|line 1"),
    ],
)
def test_every_reader_names_what_is_no_text(reader, damage, message, tmp_path):
    """Breaks if CR-only line ends, UTF-16, NUL bytes or another encoding are read as something else, or unnamed."""
    with pytest.raises((DataError, ConfigError), match=message) as caught:
        read(reader, tmp_path, damage(HEADERS[reader][1]))
    assert HEADERS[reader][0] in str(caught.value)


@given(st.sampled_from(sorted(HEADERS)), st.integers(0, 400), st.binary(min_size=1, max_size=6), st.booleans())
def test_any_damage_is_read_or_named(tmp_path_factory, reader, at, damage, insert):
    """Breaks if some bytes at some place of a file end in another error than one that names the file."""
    sound = HEADERS[reader][1].encode()
    at %= len(sound) + 1
    try:
        read(reader, tmp_path_factory.mktemp("any"), sound[:at] + damage + sound[at + (0 if insert else len(damage)) :])
    except (DataError, ConfigError) as error:
        assert HEADERS[reader][0] in str(error) or reader == "manifest"
    except AssertionError:
        assert reader == "GMT"  # the sets have other names


@pytest.mark.parametrize(
    ("cell", "clean"),
    [
        ('"A1BG"', "A1BG"),
        ("'A1BG'", "A1BG"),
        (" A1BG\u00a0", "A1BG"),
        ("\ufeffA1BG\u200b", "A1BG"),
        ('" A1BG "', "A1BG"),
        ('"A ""B"" C"', 'A "B" C'),
        ('""', ""),
        ('"A1BG', '"A1BG'),
        ("'A1BG", "'A1BG"),
        ('"A" and "B"', '"A" and "B"'),
        ("NKX2-1", "NKX2-1"),
    ],
)
def test_clean(cell, clean):
    """Breaks if padding or enclosing quotes stay, or a quote without a partner is taken off unseen."""
    assert text.clean(cell) == clean
    assert (text.fault_of_cell(clean) == "a stray quote") == ('"' in clean or clean.startswith("'"))


DATES = """2-Sep 1-Mar Sep-02 2023-09-02 02/09/2023 9/2/23 01.Sep 02.09.2023 01-MAR-23 1-Mar-2023 2-sept MAR-01
Sep-2 Mar-2001 2021/09/02 01.Dez 44441 44441.0"""
SYMBOLS = """NAA10 NANOG SEPT2 SEPTIN2 MARCH1 MARCHF1 DEC1 DELEC1 OCT-4 APR-1 HLA-A NKX2-1 MT-ND1 7SK 5S_rRNA
AC002310.13 RP11-34P13.7 Y_RNA 14-3-3 9-27 ENSG00000290825.1 6 8 CD1E JUN C1orf112 MAR2 U3"""


@pytest.mark.parametrize("cell", [*DATES.split(), "2. Sep", "1 Mar", "2023-09-02 00:00:00"])
def test_dates(cell):
    """Breaks if what a spreadsheet makes of SEPT2 or MARCH1 passes for a symbol."""
    assert fault_of_symbol(cell) == "a spreadsheet has made a date of a gene symbol"


@pytest.mark.parametrize("cell", ["2.31E+13", "2,31E+13", "1E+05"])
def test_powers(cell):
    """Breaks if what a spreadsheet makes of 2310009E13 passes for a symbol."""
    assert fault_of_symbol(cell) == "a spreadsheet has made a number of a gene symbol"


@pytest.mark.parametrize("cell", ["NA", "nan", "-", ".", "N/A", "#N/A", "#NAME?", "---", "?", "null", "None", ""])
def test_words_for_nothing(cell):
    """Breaks if a word for nothing names a gene."""
    assert fault_of_symbol(cell) == "no gene symbol"


@pytest.mark.parametrize("symbol", SYMBOLS.split())
def test_symbols(symbol):
    """Breaks if a real symbol, alias or clone name is taken for a date, a number or nothing."""
    assert fault_of_symbol(symbol) is None


def test_real_symbols(shared):
    """Breaks if one of the symbols of the real gene sets and matrices is refused."""
    folder = shared / "data-candidates"
    rows = (folder / "rnaseqdb" / "hugo-entrez.txt").read_text().splitlines()
    symbols = {row.split("\t")[0] for row in rows}
    for path in ("h.all.v7.5.1.symbols.gmt", "enrichr.GO_Biological_Process_2021.gmt"):
        symbols |= {gene for genes in read_gmt(folder / "gmt" / path).values() for gene in genes}
    assert len(symbols) > 19_000 and not [symbol for symbol in symbols if fault_of_symbol(symbol)]

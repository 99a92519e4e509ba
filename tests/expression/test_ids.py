"""Gene names: Ensembl ids, HGNC's table, rules and sums (about 2 s)."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression import ids

HEADER = (
    "hgnc_id\tsymbol\tname\tlocus_group\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\tuniprot_ids"
)
ROWS = [  # symbol, status, alias, previous, entrez, ensembl
    ("TP53", "Approved", '"p53|LFS1"', "", "7157", "ENSG00000141510"),
    ("SEPTIN2", "Approved", "KIAA0158", '"DIFF6|NEDD5|SEPT2"', " 4735", "ENSG00000168385"),
    ("QARS1", "Approved", "", "QARS", "5859", ""),
    ("EPRS1", "Approved", '"QARS|GLUPRORS"', '"QPRS|EPRS"', "2058", ""),
    ("ONE", "Approved", "SHARED", "OLD", "", ""),
    ("TWO", "Approved", "SHARED", "OLD", "2", ""),
    ("GONE", "Entry Withdrawn", "", "TP53P1", "", ""),
]


def hgnc(folder, rows=ROWS, header=HEADER, text=None):
    """Write HGNC's complete set as it is published and convert it."""
    lines = [
        f"HGNC:{i}\t{s}\tä name\tg\t{st}\t{a}\t{p}\t{e}\t{ens}\tP1" for i, (s, st, a, p, e, ens) in enumerate(rows)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hgnc_complete_set.txt").write_text(text or "\n".join([header, *lines, ""]), encoding="utf-8")
    ids.convert_hgnc(folder / "hgnc_complete_set.txt", folder / "hgnc.parquet")
    return folder / "hgnc.parquet"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ENSG00000228572.7", "ENSG00000228572"),
        ("ENSG00000228572", "ENSG00000228572"),
        ("ENSG00000228572.7_PAR_Y", "ENSG00000228572_PAR_Y"),
        ("ENSGR0000228572.7", "ENSG00000228572_PAR_Y"),
    ],
)
def test_stable_id(raw, expected):
    """Breaks if the version stays, or the copy on Y collides with the one on X."""
    assert ids.stable_id(raw, "here") == expected


@pytest.mark.parametrize("raw", ["", "TP53", "ENSG1.1", "ENST00000456328.2", "ENSG00000228572-7", "N_unmapped", "7157"])
def test_no_ensembl_id(raw):
    """Breaks if something else passes for an Ensembl gene id."""
    with pytest.raises(DataError, match="here: not an Ensembl gene id"):
        ids.stable_id(raw, "here")


@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), unique=True, min_size=1), st.integers(1, 30))
def test_stable_ids_stay_unique(genes, version):
    """Breaks if two genes, or the two copies of one, become the same id; if two versions of one are not refused."""
    raw = [f"ENSG{number:011d}.{version}{'_PAR_Y' if on_y else ''}" for number, on_y in genes]
    assert len(set(ids.stable_ids(raw, "here"))) == len(genes)
    with pytest.raises(DataError, match="occurs more than once under different versions"):
        ids.stable_ids([*raw, raw[0].replace(f".{version}", ".99")], "here")


def test_rules(tmp_path):
    """Breaks if a name is not resolved by the first rule that applies, or an ambiguous one is guessed."""
    table = ids.read_symbols(hgnc(tmp_path))
    for name, ensembl, symbol, rule in (
        ("ANY", "ENSG00000168385", "SEPTIN2", "ensembl id"),
        ("ANY", "ENSG00000168385_PAR_Y", "SEPTIN2", "ensembl id"),
        ("TP53", "ENSG00000000001", "TP53", "approved symbol"),
        ("SEPT2", "", "SEPTIN2", "previous symbol"),
        ("QARS", "", "QARS1", "previous symbol"),  # also an alias of EPRS1
        ("p53", "", "TP53", "alias"),
        ("AC002310.13", "", "AC002310.13", "unknown name kept"),
        ("TP53P1", "", "TP53P1", "unknown name kept"),  # of a withdrawn entry
    ):
        assert table.resolve(name, ensembl) == (symbol, rule, ())
    assert table.resolve("OLD") == ("OLD", "ambiguous", ("ONE", "TWO"))
    assert table.resolve("SHARED") == ("SHARED", "ambiguous", ("ONE", "TWO"))


def test_name_genes(tmp_path):
    """Breaks if genes of one symbol stay apart, an ambiguous one is kept or goes unlogged, or Entrez ids are lost."""
    table = ids.read_symbols(hgnc(tmp_path))
    ensembl = [f"ENSG{i:011d}" for i in range(5)]
    names = ["SEPT2", "OLD", "TP53", "SEPTIN2", "AC1.2"]
    found = ids.name_genes(ensembl, names, table, "file")
    assert found.var["symbol"].tolist() == ["AC1.2", "SEPTIN2", "TP53"]
    assert found.var["entrez_id"].tolist() == [pd.NA, 4735, 7157]
    assert found.var["ensembl_ids"].tolist() == [ensembl[4], f"{ensembl[0]};{ensembl[3]}", ensembl[2]]
    assert found.variable.to_dict() == dict(zip(ensembl, [1, -1, 2, 1, 0], strict=True))
    assert found.dropped == [
        ("var", ensembl[1], "OLD is ambiguous: it was or is a name of ONE, TWO", 2.0, "file"),
    ]
    assert found.report["summed"] == {"symbols": 1, "rows": 2}
    assert found.report["largest_sums"] == [{"symbol": "SEPTIN2", "rows": 2}]
    assert found.report["named_by"] == {
        "previous symbol": 1, "approved symbol": 2, "unknown name kept": 1, "ambiguous": 1
    }  # fmt: skip
    with pytest.raises(DataError, match="no gene is left of 1"):
        ids.name_genes(ensembl[:1], ["OLD"], table, "file")


@given(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=12))
def test_names_of_the_source(names):
    """Breaks if grouping loses a row, mixes up genes, or depends on their order."""
    ensembl = [f"ENSG{i:011d}" for i in range(len(names))]
    found = ids.name_genes(ensembl, names, None, "file")
    assert found.var["symbol"].tolist() == sorted(set(names)) and not found.dropped
    assert [found.var["symbol"][g] for g in found.variable] == names
    members = [cell.split(";") for cell in found.var["ensembl_ids"]]
    assert sorted(";".join(found.var["ensembl_ids"]).split(";")) == ensembl
    assert found.var["entrez_id"].isna().all()
    assert np.bincount(found.variable).tolist() == [len(m) for m in members]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": HEADER.replace("prev_symbol", "previous")}, "line 1: no column 'prev_symbol'"),
        ({"rows": [("A", "Approved", "", "", "x7", "")]}, "line 2, entrez_id: not a gene id, found 'x7'"),
        ({"rows": [("", "Approved", "", "", "", "")]}, "line 2, symbol: empty cell"),
        ({"rows": [("A", "Approved", "", "", "\u0667", "")]}, "line 2, entrez_id: not a gene id"),
        ({"rows": [("A", "Approved", "", "", "1-Mar", "")]}, "not a gene id, found '1-Mar', which a spreadsheet"),
        ({"rows": [('"A', "Approved", "", "", "", "")]}, r"line 2, column 2 \(symbol\): a stray quote, found '\"A'"),
        ({"rows": [ROWS[0], ("2-Sep", "Approved", "", "", "", "")]}, "line 3, symbol: a spreadsheet has made a date"),
        ({"rows": [("NA", "Approved", "", "", "", "")]}, "line 2, symbol: no gene symbol, found 'NA'"),
        ({"rows": [("A", "Approved", "", '"B|1-Mar"', "", "")]}, "line 2, prev_symbol: a spreadsheet .*found '1-Mar'"),
        ({"text": HEADER + "\nHGNC:1\tA\n"}, "line 2: 2 cells, the header has 10"),
        ({"text": "<!DOCTYPE html>"}, "line 1: no column 'symbol'"),
        ({"rows": [ROWS[0], ROWS[0]]}, "symbol 'TP53' is approved twice"),
        ({"rows": [ROWS[6]]}, "no gene"),
    ],
)
def test_broken_hgnc(change, message, tmp_path):
    """Breaks if a page, a cut-off or contradictory table is used for names."""
    with pytest.raises(DataError, match=message):
        ids.read_symbols(hgnc(tmp_path, **change))


def test_stray_quotes_of_free_text_swallow_no_row(tmp_path):
    """Breaks if a quote without a partner joins the rows up to the next one, as CSV readers do."""
    rows = [(f"G{i}", "Approved", '"p|q"' if i == 3 else "", "", str(i), f"ENSG{i:011d}") for i in range(1, 7)]
    path = hgnc(tmp_path, rows)
    raw = tmp_path / "hgnc_complete_set.txt"
    lines = raw.read_text(encoding="utf-8").splitlines()
    for number in (2, 5):
        lines[number] = lines[number].replace("ä name", '"5-prime ä name')
    raw.write_text("\n".join([*lines, ""]), encoding="utf-8")
    ids.convert_hgnc(raw, path)
    table = ids.read_symbols(path)
    assert table.entrez == {f"G{i}": i for i in range(1, 7)} and table.alias == {"p": {"G3"}, "q": {"G3"}}


@pytest.mark.parametrize("word", ["", "NA", "nan", "-", ".", "#N/A", "Unknown"])
@pytest.mark.parametrize("with_table", [False, True])
def test_genes_without_a_name_are_not_summed(word, with_table, tmp_path):
    """Breaks if genes that share a word for nothing become one variable, or one of them is lost."""
    table = ids.read_symbols(hgnc(tmp_path)) if with_table else None
    ensembl = ["ENSG00000000001", "ENSG00000000002", "ENSG00000000002_PAR_Y", "ENSG00000141510", "ENSG00000000004"]
    found = ids.name_genes(ensembl, [word, word, word, word, "NAA10"], table, "file")
    named = "TP53" if with_table else ensembl[3]  # HGNC knows the id
    assert sorted(found.var["symbol"]) == sorted([*ensembl[:2], named, "NAA10"])
    assert found.var["var_id"].tolist() == found.var["symbol"].tolist() and not found.dropped
    assert [found.var["symbol"][g] for g in found.variable] == [*ensembl[:2], ensembl[1], named, "NAA10"]
    assert found.report["named_by"][ids.NO_NAME] == (3 if with_table else 4)


@pytest.mark.parametrize("spoilt", ["1-Mar", "2-Sep", "Sep-02", "44441", "2.31E+13"])
@pytest.mark.parametrize("with_table", [False, True])
def test_genes_with_a_date_for_a_name_are_logged(spoilt, with_table, tmp_path):
    """Breaks if genes that share a spreadsheet's date become one variable, or go without a row that names them."""
    table = ids.read_symbols(hgnc(tmp_path)) if with_table else None
    ensembl = ["ENSG00000000001", "ENSG00000000002", "ENSG00000168385", "ENSG00000000004"]
    found = ids.name_genes(ensembl, [spoilt, spoilt, spoilt, "A"], table, "file")
    assert found.var["symbol"].tolist() == (["A", "SEPTIN2"] if with_table else ["A"])
    gone = ensembl[:2] if with_table else ensembl[:3]
    assert [row[1] for row in found.dropped] == gone
    assert all(row[2].startswith("a spreadsheet has made a") and spoilt in row[2] for row in found.dropped)
    assert found.report["named_by"][ids.SPOILT] == len(gone)
    with pytest.raises(
        DataError, match=f"file: no gene is left of 1; {ensembl[0]}: a spreadsheet .*: {re.escape(spoilt)}"
    ):
        ids.name_genes(ensembl[:1], [spoilt], table, "file")

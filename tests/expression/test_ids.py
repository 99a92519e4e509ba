"""Gene names: Ensembl ids, HGNC's table, rules and sums (about 2 s)."""

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

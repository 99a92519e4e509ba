"""Gene sets: the GMT format and the mask (about 1 s)."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression.genes import coverage, gene_set_mask, names_for_sets, read_gmt

NAME = st.text("ABCDEFG_0123456789 %-", min_size=1, max_size=8).map(str.strip).filter(bool)
GENE = st.text("ABCDEFGHIJ-.0123456789", max_size=5).map("G{}".format)


@given(
    st.dictionaries(NAME, st.lists(GENE, min_size=1, max_size=6), min_size=1, max_size=6),
    st.sampled_from(["", "http://x.org/a,b", "free text"]),
    st.sampled_from(["", ",1.0", ",0.5,more"]),
    st.sampled_from(["", "\t", "\t\t"]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_gmt_round_trip(tmp_path_factory, sets, description, weight, tail, end):
    """Breaks if a set, its order or a gene is lost, or weights, trailing tabs and line ends get into gene names."""
    path = tmp_path_factory.mktemp("gmt") / "s.gmt"
    lines = ["\t".join([name, description, *(gene + weight for gene in genes)]) + tail for name, genes in sets.items()]
    path.write_bytes((end.join(lines) + end).encode())
    assert read_gmt(path) == {name: tuple(dict.fromkeys(genes)) for name, genes in sets.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no gene set in it"),
        ("\n  \n", "no gene set in it"),
        ("S1\td\tA\nS2\td\n", "line 2: expected name, description and genes, found 'S2"),
        ("S1\td\tA\nS2\td\t\t\n", "line 2: expected name, description and genes"),
        ("<!DOCTYPE html>\n<html>", "line 1: expected name, description and genes, found '<!DOCTYPE html>'"),
        ("\td\tA\n", "line 1: expected name"),
        ("S1\td\tA\t\tB\n", "line 1, column 4: empty gene in set 'S1'"),
        ("S1\td\tA\n\nS2\td\tB\nS1\td\tC\n", "line 4: set 'S1' stands on line 1, too"),
        (b"S1\td\t\xe9\n", "not UTF-8"),
        ("S1\td\tA\tB\rS2\td\tC\tD\r", "line 1: a carriage return without a line feed"),
        ("S1\td\tA\nS2\td\tB\t2-Sep\n", "line 2, column 4: a spreadsheet has made a date .* 'S2', found '2-Sep'"),
        ("S1\td\tA\t44441\n", "line 1, column 4: a spreadsheet has made a date .* found '44441'"),
        ("S1\td\t2.31E+13\n", "line 1, column 3: a spreadsheet has made a number .* found '2.31E"),
        ('S1\td\tA\t"B\n', "line 1, column 4: a stray quote in set 'S1', found '\"B'"),
    ],
)
def test_gmt_faults(tmp_path, content, message):
    """Breaks if a broken GMT, or a page in its place, is read as gene sets."""
    path = tmp_path / "s.gmt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"^{path}: {message}"):
        read_gmt(path)


def test_gmt_cells_are_clean(tmp_path):
    """Breaks if a byte-order mark, padding or quotes become part of a set's name or of a gene."""
    path = tmp_path / "s.gmt"
    path.write_bytes('\ufeffHALLMARK_X\td\t"A"\t B\u00a0\t"C,1.0"\n"S 2"\t"d"\tC\r\n'.encode())
    assert read_gmt(path) == {"HALLMARK_X": ("A", "B", "C"), "S 2": ("C",)}
    path.write_text("S1\td\t44441\t7157\n")  # Entrez ids
    assert read_gmt(path) == {"S1": ("44441", "7157")}
    path.write_text("S1\td\tNA\t6\n")  # Reactome has genes of viruses
    assert read_gmt(path) == {"S1": ("NA", "6")}


def test_numbers_of_other_scripts_are_no_entrez_ids():
    """Breaks if digits that only Python takes for numbers make a set one of Entrez ids."""
    var = pd.DataFrame({"symbol": ["A"], "entrez_id": pd.array([1], dtype="Int64")})
    assert names_for_sets({"S": ("\u0661",)}, var)[1] == "symbol"


def test_mask():
    """Breaks if rows or columns of the mask are not those of the variables and sets, or a small set is kept."""
    sets = {"big": ["A", "B", "X", "C"], "small": ["A", "Y", "Z"], "last": ["C", "B"]}
    mask, names, report = gene_set_mask(sets, ["C", "Q", "B", "A"], min_genes=2)
    assert names == ["big", "last"]
    assert mask.tolist() == [[True, True], [False, False], [True, True], [True, False]]
    assert report.to_dict("list") == {
        "set": ["big", "small", "last"],
        "size": [4, 3, 2],
        "covered": [3, 1, 2],
        "kept": [True, False, True],
    }


def test_mask_without_overlap():
    """Breaks if sets in another vocabulary (Entrez ids, mouse symbols) give an empty mask instead of an error."""
    with pytest.raises(
        DataError, match=r"^wp\.gmt: none of its genes \(7157, 672, \.\.\.\) .* \(TP53, BRCA1, \.\.\.\)"
    ):
        gene_set_mask({"S": ["7157", "672"]}, ["TP53", "BRCA1"], 1, "wp.gmt")
    with pytest.raises(DataError, match="no set has 3 genes among the 2 variables; the best, 'S', has 1 of 2"):
        gene_set_mask({"S": ["TP53", "672"]}, ["TP53", "BRCA1"], 3)


def test_entrez_sets():
    """Breaks if sets by Entrez id miss a variable, take two with one id for one, or a missing id for a gene."""
    sets = {"S": ("7157", "672", "1"), "T": ("672", "2")}
    var = pd.DataFrame({"symbol": list("ABCD"), "entrez_id": pd.array([672, None, 7157, 672], dtype="Int64")})
    names, vocabulary = names_for_sets(sets, var)
    assert names == ["672", "", "7157", "672"] and vocabulary == "entrez_id"
    mask, kept, report = gene_set_mask(sets, names, min_genes=1)
    assert kept == ["S", "T"] and mask.tolist() == [[True, True], [False, False], [True, False], [True, True]]
    assert report["covered"].tolist() == [2, 1]
    assert names_for_sets({"S": ("TP53", "672")}, var) == (list("ABCD"), "symbol")
    for without in (var.drop(columns="entrez_id"), var.assign(entrez_id=pd.array([None] * 4, dtype="Int64"))):
        with pytest.raises(DataError, match=r"^wp\.gmt: its genes are Entrez ids, which no variable"):
            names_for_sets(sets, without, "wp.gmt")


def test_coverage():
    """Breaks if genes in no set, or sets that were left out, are not stated."""
    sets = {"big": ["A", "B", "X", "C"], "small": ["A", "Y", "Z"], "last": ["C", "B"]}
    mask, _, report = gene_set_mask(sets, ["C", "Q", "B", "A", "R"], min_genes=2)
    assert coverage(mask, report) == {
        "vocabulary": "symbol",
        "sets": {"read": 3, "kept": 2},
        "sets_left_out": ["small"],
        "genes_of_sets": {
            "mean_share_found": pytest.approx((3 / 4 + 1 / 3 + 1) / 3),
            "worst_kept_set": "big",
            "worst_kept_share": 0.75,
        },
        "variables": {"all": 5, "in_a_set": 3, "in_no_set": 2},
    }


def test_zipped_sets(tmp_path):
    """Breaks if Reactome's zip archive is not read, or one with two or no GMT files is guessed at."""
    path = tmp_path / "ReactomePathways.gmt.zip"
    for names, message in ((["a.gmt"], None), (["a.gmt", "b.gmt"], "found a.gmt, b.gmt"), (["a.txt"], "found none")):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "S 1\tR-HSA-1\tA\tgag\n")
        if message:
            with pytest.raises(DataError, match=message):
                read_gmt(path)
        else:
            assert read_gmt(path) == {"S 1": ("A", "gag")}


def test_real_gene_sets(shared):
    """Breaks if a real GMT is refused or read in part: Hallmark, Reactome, Enrichr with empty descriptions."""
    folder = shared / "data-candidates" / "gmt"
    hallmark = read_gmt(folder / "h.all.v7.5.1.symbols.gmt")
    assert len(hallmark) == 50 and len({g for genes in hallmark.values() for g in genes}) == 4383
    assert {len(hallmark[name]) for name in hallmark} <= set(range(32, 201))
    assert len(read_gmt(folder / "ReactomePathways.gmt")) == 2546
    assert len(read_gmt(folder / "enrichr.GO_Biological_Process_2021.gmt")) == 6036
    symbols = sorted({g for genes in hallmark.values() for g in genes})
    mask, names, report = gene_set_mask(hallmark, symbols, min_genes=5)
    assert mask.shape == (4383, 50) and names == list(hallmark)
    assert np.array_equal(mask.sum(0), report["size"]) and mask.any(1).all()
    wikipathways = read_gmt(folder / "wikipathways-20220610-gmt-Homo_sapiens.gmt")
    with pytest.raises(DataError, match="none of its genes"):
        gene_set_mask(wikipathways, symbols, min_genes=5)
    rows = (shared / "data-candidates" / "rnaseqdb" / "hugo-entrez.txt").read_text().splitlines()
    pairs = [row.split("\t") for row in rows]
    var = pd.DataFrame({"symbol": [p[0] for p in pairs], "entrez_id": pd.array([int(p[1]) for p in pairs], "Int64")})
    names, vocabulary = names_for_sets(wikipathways, var)
    mask, kept, report = gene_set_mask(wikipathways, names, min_genes=5)
    assert vocabulary == "entrez_id" and len(wikipathways) == 746 and len(kept) == 696
    assert coverage(mask, report)["genes_of_sets"]["mean_share_found"] > 0.9

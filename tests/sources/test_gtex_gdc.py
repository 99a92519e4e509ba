"""Sources gtex, gdc and both in one cohort: made files with the real headers, real excerpts, faults (about 7 s)."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.download.registry import registry
from aeflow.errors import ConfigError, DataError
from aeflow.expression import star, vocabulary
from aeflow.expression.donors import read_donors
from aeflow.expression.manifest import md5_of
from aeflow.expression.wide import Matrix
from aeflow.plan.source_code import constant
from aeflow.sources import gdc, gtex, gtex_gdc, rnaseqdb

G1, G2, G3 = "GTEX-AAAA-0126-SM-AAAA1", "GTEX-BBBBB-0226-SM-BBBB1", "GTEX-CCCC-0326-SM-CCCC1"
IDS = ["ENSG00000223972.5", "ENSG00000228572.7", "ENSG00000228572.7_PAR_Y", "ENSG00000000003.14", "ENSG00000999999.1"]
NAMES = ["DDX11L1", "OLD1", "OLD1", "TSPAN6", "GONE"]
COUNTS = np.array([[0, 10, 1, 2000, 5], [3, 0, 0, 900, 5], [7, 2, 2, 400, 5]])
ATTRIBUTES = "SAMPID\tSMATSSCR\tSMCENTER\tSMPTHNTS\tSMRIN\tSMTS\tSMTSD\tSMAFRZE"
N1, T1, T2 = "TCGA-KL-0001-11A-01R-2315-07", "TCGA-KL-0001-01A-11R-2315-07", "TCGA-KL-0002-01A-11R-2315-13"
GDC_IDS = [
    "ENSG00000000003.15",
    "ENSG00000228572.8",
    "ENSG00000228572.8_PAR_Y",
    "ENSG00000000005.6",
    "ENSG00000223972.5",
]
GDC_NAMES = ["TSPAN6", "NEW1", "NEW1", "TNMD", "DDX11L1"]


def gct(samples, values, ids=IDS, names=NAMES, *, index=False, sizes=None, version="#1.2") -> str:
    """Lay values (samples, genes) out as GTEx does, whole or (index) by tissue."""
    n_rows, n_samples = sizes or (len(ids), len(samples))
    lines = [
        version,
        f"{n_rows}\t{n_samples}",
        "\t".join([*(["id"] if index else []), "Name", "Description", *samples]),
    ]
    for i, (gene, name, column) in enumerate(zip(ids, names, np.asarray(values).T, strict=True)):
        lines.append("\t".join([*([str(i)] if index else []), gene, name, *map("{:g}".format, column)]))
    return "\n".join([*lines, ""])


def attributes(rows) -> str:
    """Rows of (sample, SMTSD, SMAFRZE) among the columns that GTEx has."""
    lines = [f'{s}\t1\tB1\t"2 pieces, ""clean"""\t7.1\t{t.split(" - ")[0]}\t{t}\t{f}' for s, t, f in rows]
    return "\n".join([ATTRIBUTES, *lines, "GTEX-1117F-0003-SM-58Q7G\t\tB1\t\t\tBlood\tWhole Blood\tOMNI", ""])


DETAILS = [(G1, "Kidney - Cortex", "RNASEQ"), (G2, "Minor Salivary Gland", "RNASEQ"), (G3, "Lung", "RNASEQ")]
DONORS = "SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-AAAA\t2\t60-69\t4\nGTEX-BBBBB\t1\t20-29\t\n"


def make_gtex(folder: Path, text=None, sheet=DETAILS, donors=DONORS, **options) -> dict[str, Path]:
    """Write the raw files, convert them, return what `gtex.unify` takes."""
    options = {"kind": "counts"} | options
    text = text or {f"v8/{gtex.STEMS[options['kind']]}": gct([G1, G2, G3], COUNTS)}
    files = {}
    for name, path in gtex.matrices(**options).items():
        content = text.get(name) or (attributes(sheet) if name.endswith("attributes") else donors)
        raw, files[name] = folder / "raw" / path, folder / f"{name}.parquet"
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_bytes(gzip.compress(content.encode()) if path.endswith(".gz") else content.encode())
        gtex.convert(raw, files[name])
    return files


def star_text(counts, ids=GDC_IDS, names=GDC_NAMES, model="GENCODE v36") -> str:
    """Lay counts (genes,) out as the GDC does since release 32."""
    tpm = np.asarray(counts) / max(sum(counts), 1) * 1e6
    lines = [f"# gene-model: {model}", "\t".join(star.COLUMNS)]
    lines += [f"{name}\t\t\t{n}\t{n}\t{n}\t\t\t" for n, name in enumerate(star.SUMMARY, start=100_000)]
    for gene, name, n, t in zip(ids, names, counts, tpm, strict=True):
        lines.append(f"{gene}\t{name}\tprotein_coding\t{n}\t{n // 2}\t{n - n // 2}\t{t:.4f}\t{t:.4f}\t{t:.4f}")
    return "\n".join([*lines, ""])


def uuid(i: int) -> str:
    return f"{i:08x}-0000-4000-8000-000000000000"


TCGA = {N1: [1500, 20, 1, 3, 0], T1: [700, 9, 0, 8, 2], T2: [250, 4, 4, 0, 1]}


def make_gdc(folder: Path, samples=None, prefix="", **changes) -> tuple[dict[str, Path], dict[str, str]]:
    """Write count files, manifest and metadata; return the converted files and the options."""
    samples = {s: star_text(c) for s, c in TCGA.items()} if samples is None else samples
    folder.mkdir(parents=True, exist_ok=True)
    lines, hits, files = ["id\tfilename\tmd5\tsize\tstate"], [], {}
    for i, (sample, text) in enumerate(samples.items()):
        raw = folder / uuid(i)
        raw.write_text(text)
        files[f"{prefix}{uuid(i)}"] = folder / f"{uuid(i)}.parquet"
        gdc.convert(raw, files[f"{prefix}{uuid(i)}"])
        md5 = hashlib.md5(text.encode()).hexdigest()
        lines.append(f"{uuid(i)}\t{uuid(i)}.rna_seq.augmented_star_gene_counts.tsv\t{md5}\t{len(text)}\treleased")
        case = {"project": {"project_id": "TCGA-KICH"}, "demographic": {"gender": "female", "age_at_index": 61}}
        hits.append({"file_id": uuid(i), "cases": [case], "associated_entities": [{"entity_submitter_id": sample}]})
    (folder / "manifest.tsv").write_text("\n".join([*lines, ""]))
    (folder / "files.json").write_text(json.dumps({"data": {"hits": hits}}))
    return files, {"manifest": str(folder / "manifest.tsv"), "metadata": str(folder / "files.json")} | changes


def test_gtex(tmp_path):
    """Breaks if a value, label, donor or collection site is wrong, or PAR_Y is not summed with its copy on X."""
    cohort = gtex.unify(make_gtex(tmp_path), "counts")
    assert cohort.table.check().unit == "counts" and tuple(cohort.table.obs.columns) == gtex.OBS_COLUMNS
    assert cohort.table.var["symbol"].tolist() == ["DDX11L1", "GONE", "OLD1", "TSPAN6"]
    assert cohort.table.X.tolist() == [[0, 5, 11, 2000], [3, 5, 0, 900], [7, 5, 4, 400]]
    assert cohort.table.obs.drop(columns="source_file").to_numpy().tolist() == [
        [G1, "GTEX-AAAA", "GTEx", "kidney", "normal", "kidney_cortex", "", "", "female", "60-69", "B1"],
        [G2, "GTEX-BBBBB", "GTEx", "salivary_gland", "normal", "minor_salivary_gland", "", "", "male", "20-29", "B1"],
        [G3, "GTEX-CCCC", "GTEx", "lung", "normal", "lung", "", "", "", "", "B1"],
    ]
    assert cohort.quality["release"] == "v8" and cohort.dropped.empty


def test_gtex_by_tissue(tmp_path):
    """Breaks if the extra id column of the files by tissue shifts the others, or files are not stacked by gene."""
    order = [3, 0, 4, 2, 1]
    text = {
        "v8/gene_reads/kidney_cortex": gct([G1], COUNTS[:1], index=True),
        "v8/gene_reads/lung": gct(
            [G3], COUNTS[2:, order], [IDS[i] for i in order], [NAMES[i] for i in order], index=True
        ),
    }
    by_tissue = ["lung", "kidney_cortex"]
    cohort = gtex.unify(make_gtex(tmp_path, text, by_tissue=by_tissue), "counts", by_tissue=by_tissue)
    assert cohort.table.obs["sample_id"].tolist() == [G1, G3]
    assert cohort.table.X.tolist() == [[0, 5, 11, 2000], [7, 5, 4, 400]]
    text["v8/gene_reads/lung"] = gct([G2], COUNTS[1:2], index=True)
    with pytest.raises(DataError, match=r"by its name a file of lung, but sample .* is of 'Minor Salivary Gland'"):
        gtex.unify(make_gtex(tmp_path, text, by_tissue=by_tissue), "counts", by_tissue=by_tissue)
    text["v8/gene_reads/lung"] = text["v8/gene_reads/kidney_cortex"]
    with pytest.raises(DataError, match=f"lung.gct.gz: sample '{G1}' is in gene_reads_2017-06-05_v8_kidney"):
        gtex.unify(make_gtex(tmp_path, text, by_tissue=by_tissue), "counts", by_tissue=by_tissue)


def test_gtex_leaves_out(tmp_path):
    """Breaks if a sample without attributes, outside the freeze, or of a cell culture stays or goes unlogged."""
    twin = G1.replace("AAAA1", "ZZZZ9")
    samples = [G1, G2, G3, twin, "GTEX-DDDD-0426-SM-DDDD1"]
    sheet = [DETAILS[0], (G2, "Lung", "EXCLUDE"), (G3, "Cells - EBV-transformed lymphocytes", "RNASEQ")]
    sheet.append((twin, "Kidney - Cortex", "RNASEQ"))
    text = {"v8/gene_reads": gct(samples, np.resize(COUNTS, (5, 5)))}
    cohort = gtex.unify(make_gtex(tmp_path, text, sheet), "counts")
    assert cohort.table.obs["sample_id"].tolist() == [twin]
    assert dict(zip(cohort.dropped["id"], cohort.dropped["reason"], strict=True)) == {
        G1: f"another aliquot of the sample is kept: {twin}",
        G2: "not in the RNA-seq freeze: SMAFRZE is EXCLUDE",
        G3: "cell line",
        samples[4]: "not in the sample attributes (SampleAttributesDS)",
    }


@pytest.mark.parametrize("word", ["", "NA", "-"])
def test_gtex_genes_without_a_name(word, tmp_path):
    """Breaks if genes of different ids whose Description says nothing are summed into one variable."""
    text = {"v8/gene_reads": gct([G1, G2, G3], COUNTS, names=[word, word, word, "TSPAN6", word])}
    cohort = gtex.unify(make_gtex(tmp_path, text), "counts")
    ids = ["ENSG00000223972", "ENSG00000228572", "ENSG00000999999"]
    assert cohort.table.var["var_id"].tolist() == [*ids, "TSPAN6"]
    assert cohort.table.X.tolist() == [[0, 11, 5, 2000], [3, 0, 5, 900], [7, 4, 5, 400]]
    assert cohort.table.var["ensembl_ids"].tolist()[1] == "ENSG00000228572;ENSG00000228572_PAR_Y"
    assert cohort.quality["genes"]["named_by"] == {"source": 1, "no name, called by its ensembl id": 4}


def test_gtex_genes_that_a_spreadsheet_renamed(tmp_path):
    """Breaks if genes of different ids that share a date are summed, or go without a row in the drop log."""
    text = {"v8/gene_reads": gct([G1, G2, G3], COUNTS, names=["1-Mar", "OLD1", "OLD1", "1-Mar", "44441"])}
    cohort = gtex.unify(make_gtex(tmp_path, text), "counts")
    assert cohort.table.var["symbol"].tolist() == ["OLD1"]
    assert dict(zip(cohort.dropped["id"], cohort.dropped["reason"], strict=True)) == {
        "ENSG00000223972": "a spreadsheet has made a date of a gene symbol: 1-Mar",
        "ENSG00000000003": "a spreadsheet has made a date of a gene symbol: 1-Mar",
        "ENSG00000999999": "a spreadsheet has made a date of a gene symbol: 44441",
    }
    assert cohort.quality["n_dropped"] == {"obs": 0, "var": 3}


def test_gtex_cells_are_cleaned_and_counted(tmp_path):
    """Breaks if quoted or padded names make variables of their own, or the quality record does not count them."""
    text = {"v8/gene_reads": gct([G1, G2, G3], COUNTS, names=['"DDX11L1"', "OLD1 ", "OLD1", "\u00a0TSPAN6", "GONE"])}
    cohort = gtex.unify(make_gtex(tmp_path, text), "counts")
    assert cohort.table.var["symbol"].tolist() == ["DDX11L1", "GONE", "OLD1", "TSPAN6"]
    assert list(cohort.quality["cleaned_cells"].values()) == [3]
    assert gtex.unify(make_gtex(tmp_path), "counts").quality["cleaned_cells"] == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("GTEX-AAAA\t2\tOct-19\t4", "donor 'GTEX-AAAA': AGE must be a decade .*found 'Oct-19', which a spreadsheet"),
        ("GTEX-AAAA\t2\t29-Feb\t4", "found '29-Feb', which a spreadsheet has made a date"),
        ("GTEX-AAAA\t2\t43757\t4", "found '43757', which a spreadsheet has made a date"),
        ("GTEX-AAAA\t2\t60-79\t4", "AGE must be a decade .*found '60-79'$"),
        ("GTEX-AAAA\t2\t\u0666\u0660-\u0666\u0669\t4", "AGE must be a decade"),
        ("GTEX-AAAA\tx\t60-69\t4", "SEX must be 1, 2 or blank, found 'x'"),
    ],
)
def test_broken_donors(row, message, tmp_path):
    """Breaks if a spreadsheet's date passes for an age bracket, or the donor is not named."""
    with pytest.raises(DataError, match=message):
        gtex.unify(make_gtex(tmp_path, donors=f"SUBJID\tSEX\tAGE\tDTHHRDY\n{row}\n"), "counts")


def test_donors_of_unknown_age(tmp_path):
    """Breaks if a word for nothing becomes a sex or an age bracket."""
    donors = "SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-AAAA\tNA\tnot reported\t4\nGTEX-BBBBB\t\t\t\n"
    obs = gtex.unify(make_gtex(tmp_path, donors=donors), "counts").table.obs
    assert (obs[["sex", "age_bracket"]] == "").all(axis=None)


GOOD = gct([G1, G2, G3], COUNTS)
BAD_GCT = {
    "rows promised": (gct([G1, G2, G3], COUNTS, sizes=(6, 3)), "the header promises 6 rows, 5 follow"),
    "samples promised": (gct([G1, G2, G3], COUNTS, sizes=(5, 4)), "line 2 says 4 samples, line 3 names 3"),
    "version": (GOOD.replace("#1.2", "#2.0"), "line 1: expected #1.2 or #1.3, found '#2.0'"),
    "no version": (GOOD.partition("\n")[2], "line 1: expected #1.2"),
    "sizes": (GOOD.replace("5\t3", "5", 1), "line 2: expected 2 numbers, found '5'"),
    "no Name": (GOOD.replace("Name", "id", 1).replace("Description", "Name", 1), "no column 'Description'"),
    "R's dots": (GOOD.replace(G2, G2.replace("-", ".")), "line 3, column 4: .*dashes turned into dots"),
    "recount3's suffix": (GOOD.replace(G2, f"{G2}.1"), "neither a full GTEx nor a full TCGA"),
    "sample twice": (GOOD.replace(G2, G1), f"line 3, column 3: name '{G1}' occurs 2 times"),
    "gene twice": (GOOD.replace(IDS[2], IDS[1]), f"line 6, column 1 .Name.: '{IDS[1]}' stands on line 5, too"),
    "negative": (GOOD.replace("2000", "-2000"), r"line 7, column 3 \(GTEX-AAAA.*\): negative value, found '-2000'"),
    "blank": (GOOD.replace("2000", ""), "line 7, column 3 .*: empty cell"),
    "stray quote": (
        GOOD.replace("OLD1", '"OLD1', 1),
        r"line 5, column 2 \(Description\): a stray quote, found '\"OLD1'",
    ),
    "other digits": (GOOD.replace("5\t3", "\u0665\t3", 1), "line 2: expected 2 numbers"),
    "carriage returns": (GOOD.replace("\n", "\r"), "line 1: a carriage return without"),
    "cut off": (GOOD[:-8], "line 8: "),
    "two lines": ("#1.2\n5\t3\n", "2 lines, expected a header of 3"),
}


@pytest.mark.parametrize("fault", BAD_GCT)
def test_broken_gct(fault, tmp_path):
    """Breaks if a GCT file that contradicts itself is converted, or the message does not say where."""
    text, message = BAD_GCT[fault]
    path = tmp_path / "gene_reads.gct.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=message):
        gtex.convert(path, tmp_path / "out.parquet")
    assert not list(tmp_path.glob("*.parquet"))


def test_gct_13(tmp_path):
    """Breaks if the text columns and rows that GCT 1.3 adds are taken for data."""
    lines = ["#1.3", "2\t2\t2\t1", f"id\tDescription\tbiotype\t{G1}\t{G2}", "tissue\tna\tna\tkidney\tlung"]
    lines += [f"{IDS[0]}\tA\tx\t1\t2", f"{IDS[3]}\tB\ty\t3\t4"]
    path = tmp_path / "m.gct.gz"
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    gtex.convert(path, tmp_path / "m.parquet")
    matrix = Matrix(tmp_path / "m.parquet", ("gene_id", "symbol"))
    assert matrix.text().to_pydict() == {"gene_id": [IDS[0], IDS[3]], "symbol": ["A", "B"]}
    assert [v.tolist() for _, _, v in matrix.values([G2, G1])] == [[[2, 4], [1, 3]]]


def test_real_gct(shared, tmp_path):
    """Breaks if a header that contradicts the body is believed, or a BGZF file is read in part."""
    name = "GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_reads.acmg_59.gct.gz"
    path = shared / "data-candidates" / "gtex" / name
    assert path.read_bytes()[12:14] == b"BC"  # block gzip: many members
    with pytest.raises(DataError, match="the header promises 56200 rows, 59 follow"):
        gtex.convert(path, tmp_path / "out.parquet")
    mended = tmp_path / name
    mended.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"56200\t", b"59\t", 1), 1))
    gtex.convert(mended, tmp_path / "out.parquet")
    matrix = Matrix(tmp_path / "out.parquet", ("gene_id", "symbol"))
    assert len(matrix.samples) == 17382 and matrix.text().column("symbol").to_pylist()[:2] == ["SDHB", "MUTYH"]
    _, _, first = next(matrix.values(["GTEX-1117F-0226-SM-5GZZ7", "GTEX-1117F-0426-SM-5EGHI"]))
    assert first[:, 0].tolist() == [1993, 4989]


def test_real_donors(shared, tmp_path):
    """Breaks if the real donor sheet is refused or loses a donor."""
    path = shared / "data-candidates" / "gtex" / "GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"
    gtex.convert(path, tmp_path / "donors.parquet")
    donors = read_donors(tmp_path / "donors.parquet")
    assert len(donors) == 980 and donors["GTEX-1117F"] == {"sex": "female", "age_bracket": "60-69"}
    assert {d["sex"] for d in donors.values()} == {"male", "female"}
    bad = tmp_path / path.name
    bad.write_text(path.read_text().replace("GTEX-1117F\t2", "GTEX-1117F\tF"))
    gtex.convert(bad, tmp_path / "donors.parquet")
    with pytest.raises(DataError, match="donor 'GTEX-1117F': SEX must be 1, 2 or blank, found 'F'"):
        read_donors(tmp_path / "donors.parquet")


def test_slugs(shared):
    """Breaks if a GTEx tissue has no word, or its slug is not the one in GTEx's file names."""
    where = "here"
    assert vocabulary.slug("Adipose - Visceral (Omentum)", where) == "adipose_visceral_omentum"
    assert vocabulary.slug("Cells - EBV-transformed lymphocytes", where) == "cells_ebv-transformed_lymphocytes"
    assert vocabulary.slug("Brain - Spinal cord (cervical c-1)", where) == "brain_spinal_cord_cervical_c-1"
    rows = (shared / "data-candidates" / "gtex" / "GTEx_Portal.csv").read_text().splitlines()[1:]
    tissues = [row.split('"')[1] for row in rows]
    assert len(tissues) == 54
    for tissue in tissues:
        assert vocabulary.is_cell_line(tissue) or vocabulary.gtex_tissue(tissue, where) in vocabulary.TISSUES
    for odd in ("", "Kidney/Cortex", "Sympathetic\u00caNervous System", "../x"):
        with pytest.raises(DataError, match="here: not the name of a GTEx tissue"):
            vocabulary.slug(odd, where)


def test_vocabulary_is_that_of_rnaseqdb():
    """Breaks if the same organ has two words in two sources."""
    for name in rnaseqdb.matrices("expected_count"):
        label = rnaseqdb.label_of(name)
        if label.study == "TCGA":
            assert vocabulary.tcga_tissue(label.project, name) == label.tissue
        else:
            assert label.tissue in vocabulary.GTEX.values()


def test_gdc(tmp_path):
    """Breaks if a summary row counts as a gene, the wrong column is read, or a label is wrong."""
    files, options = make_gdc(tmp_path)
    assert gdc.matrices("counts", **options) == {uuid(i): uuid(i) for i in range(3)}
    cohort = gdc.unify(files, "counts", **options)
    assert cohort.table.obs["sample_id"].tolist() == [T1, N1, T2]
    assert cohort.table.var["symbol"].tolist() == ["DDX11L1", "NEW1", "TNMD", "TSPAN6"]
    assert cohort.table.X.tolist() == [[2, 9, 8, 700], [0, 21, 3, 1500], [1, 8, 0, 250]]
    assert cohort.table.obs.iloc[2].tolist() == [
        T2, "TCGA-KL-0002", "TCGA", "kidney", "tumour", "KICH", "01", "13", uuid(2), "female", "60-69", "KL"
    ]  # fmt: skip
    assert cohort.quality["gene_model"] == "GENCODE v36"
    tpm = gdc.unify(files, "tpm", **options)
    np.testing.assert_allclose(tpm.table.X.sum(1), 1e6, rtol=1e-5)
    hgnc = tmp_path / "hgnc_complete_set.txt"
    columns = "hgnc_id\tsymbol\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id"
    hgnc.write_text(f"{columns}\nHGNC:1\tNEWEST\tApproved\t\tNEW1\t7\t\n")
    gdc.convert(hgnc, tmp_path / "hgnc.parquet")
    named = gdc.unify(files | {"hgnc": tmp_path / "hgnc.parquet"}, "counts", symbols="hgnc", **options)
    assert named.table.var["symbol"].tolist() == ["DDX11L1", "NEWEST", "TNMD", "TSPAN6"]


def test_gdc_leaves_out(tmp_path):
    """Breaks if two aliquots of a sample or a control are kept, or a project that nobody asked for is read."""
    other, control = T1.replace("2315", "A16R"), T1.replace("-01A", "-20A")
    text = star_text(TCGA[T1])
    files, options = make_gdc(tmp_path, dict.fromkeys((other, T1, control), text))
    cohort = gdc.unify(files, "counts", **options)
    assert cohort.table.obs["sample_id"].tolist() == [other]
    assert dict(zip(cohort.dropped["id"], cohort.dropped["reason"], strict=True)) == {
        T1: f"another aliquot of the sample is kept: {other}",
        control: "control analyte",
    }
    with pytest.raises(ConfigError, match="no file is left for tissues"):
        gdc.matrices("counts", tissues=["lung"], **options)


def test_gdc_keeps_one_frozen_aliquot(tmp_path):
    """Breaks if a fixed vial stands beside the frozen one, by the metadata or by its plate, or is not logged."""
    old, later, fixed = T1, T1.replace("2315", "2400"), T1.replace("01A-11R-2315", "01B-02R-A40A")
    pilot = T2.replace("01A-11R-2315", "01B-02R-A277")
    files, options = make_gdc(tmp_path, {i: star_text(TCGA[T1]) for i in (fixed, later, old, pilot, T2)})
    metadata = Path(options["metadata"])
    hits = json.loads(metadata.read_text())
    hits["data"]["hits"][0]["cases"][0]["samples"] = [{"submitter_id": fixed[:16], "preservation_method": "FFPE"}]
    metadata.write_text(json.dumps(hits))
    cohort = gdc.unify(files, "counts", **options)
    assert cohort.table.obs["sample_id"].tolist() == [later, T2]
    assert dict(zip(cohort.dropped["id"], cohort.dropped["reason"], strict=True)) == {
        fixed: "FFPE: preservation_method is FFPE",
        pilot: "FFPE: a later vial on one of the plates A277, A27D, A22O",
        old: f"another aliquot of the sample is kept: {later}",
    }
    del hits["data"]["hits"][0]["cases"][0]["samples"]  # nobody says that it is fixed: the first vial is kept
    metadata.write_text(json.dumps(hits))
    cohort = gdc.unify(files, "counts", **options)
    assert cohort.table.obs["sample_id"].tolist() == [later, T2]
    assert set(cohort.dropped["reason"][cohort.dropped["id"] == fixed]) == {
        f"another vial of the sample is kept: {later}"
    }


def test_gdc_prefers_h_over_r_over_t(tmp_path):
    """Breaks if an analyte of RNA is preferred over the better one for its later plate."""
    t, r, h = (T1.replace("11R-2315", f"11{a}-{p}") for a, p in (("T", "A40A"), ("R", "2400"), ("H", "2315")))
    for ids, best in (((t, r, h), h), ((t, r), r), ((t, h), h)):
        files, options = make_gdc(tmp_path / best[19:25], {i: star_text(TCGA[T1]) for i in ids})
        assert gdc.unify(files, "counts", **options).table.obs["sample_id"].tolist() == [best]


def test_gdc_files_that_contradict(tmp_path):
    """Breaks if other bytes than the manifest's, two gene models or one aliquot in two files are used."""
    files, options = make_gdc(tmp_path)
    changed = (
        Path(options["manifest"]).read_text().replace(hashlib.md5(star_text(TCGA[T1]).encode()).hexdigest(), "0" * 32)
    )
    Path(options["manifest"]).write_text(changed)
    with pytest.raises(DataError, match=rf"{uuid(1)}: md5 .* the manifest .* says 0{{32}}: one of them"):
        gdc.unify(files, "counts", **options)
    files, options = make_gdc(tmp_path, {N1: star_text(TCGA[N1]), T1: star_text(TCGA[T1], model="GENCODE v22")})
    with pytest.raises(DataError, match=r"different gene models: 'GENCODE v22' in .*, 'GENCODE v36' in"):
        gdc.unify(files, "counts", **options)
    files, options = make_gdc(tmp_path, {N1: star_text(TCGA[N1]), T1: star_text(TCGA[T1])})
    hits = json.loads(Path(options["metadata"]).read_text().replace(T1, N1))["data"]["hits"]
    Path(options["metadata"]).write_text(json.dumps(hits))  # the portal saves the list alone
    with pytest.raises(DataError, match=f"aliquot {N1} is in two files"):
        gdc.unify(files, "counts", **options)


STAR = star_text(TCGA[T1])
BAD_STAR = {
    "old": ("N_unmapped\t1\t1\t1\nN_multimapping\t1\t1\t1\n", "line 1: STAR counts of an old GDC release"),
    "no model": (STAR.partition("\n")[2], "line 1: expected '# gene-model"),
    "columns": (STAR.replace("gene_name", "name"), "line 2: expected the columns gene_id gene_name"),
    "summary": (
        STAR.replace("N_noFeature", "N_nofeature"),
        "line 5: expected the row N_noFeature .* found 'N_nofeature",
    ),
    "cut": (STAR[:-20], "line 11: .* cells, the header has 9"),
    "no gene": ("\n".join([*STAR.split("\n")[:6], ""]), "no rows after the header"),
    "gene twice": (
        STAR.replace(GDC_IDS[1] + "\t", GDC_IDS[0] + "\t"),
        r"line 8, column 1 \(gene_id\): .* stands on line 7, too",
    ),
    "text": (STAR.replace("\t700\t", "\tx\t"), r"line 7, column 4 \(unstranded\): not a finite number, found 'x'"),
    "negative": (STAR.replace("\t700\t", "\t-7\t"), "line 7, column 4 .* found '-7'"),
    "column not kept": (
        STAR.replace("\t350\t", "\tx\t", 1),
        r"line 7, column 5 \(stranded_first\): not a finite number",
    ),
    "page": ("<html>", "line 1: expected '# gene-model"),
    "nothing": ("", "0 lines, expected a header of 1"),
}


@pytest.mark.parametrize("fault", BAD_STAR)
def test_broken_star(fault, tmp_path):
    """Breaks if a file that is no STAR count file is converted, or the message does not say where."""
    text, message = BAD_STAR[fault]
    (tmp_path / uuid(0)).write_text(text)
    with pytest.raises(DataError, match=message):
        gdc.convert(tmp_path / uuid(0), tmp_path / "out.parquet")


def manifest_with(old: str, new: str):
    return lambda m, j: (m.replace(old, new, 1), j)


BAD_MANIFESTS = {
    "columns": (manifest_with("md5", "MD5"), "line 1: expected id filename md5 size state"),
    "cells": (manifest_with("\treleased", ""), "line 2: 4 cells"),
    "id": (manifest_with(uuid(0), "x"), "line 2, id: not a file id: 'x'"),
    "twice": (manifest_with(uuid(1) + "\t", uuid(0) + "\t"), "line 3, id: occurs twice"),
    "other file": (manifest_with("augmented_star_gene_counts", "star_splice_junctions"), "line 2, filename: expected"),
    "unknown": (lambda m, j: (m, j.replace(uuid(2), uuid(9))), f"line 4: file {uuid(2)} is not in the metadata"),
    "two aliquots": (
        lambda m, j: (m, j.replace('[{"entity_submitter_id"', '[{"entity_submitter_id": "X"}, {"entity_submitter_id"')),
        "expected one aliquot .*, found 2",
    ),
    "project": (lambda m, j: (m, j.replace("TCGA-KICH", "CPTAC-3")), "TCGA project 'CPTAC-3' is not in the vocabulary"),
    "no JSON": (lambda m, j: (m, j[:-5]), "not JSON"),
    "other JSON": (lambda m, j: (m, '{"data": {}}'), "expected a list of files"),
}


@pytest.mark.parametrize("fault", BAD_MANIFESTS)
def test_broken_manifest(fault, tmp_path):
    """Breaks if a manifest or metadata file that cannot be used is found out only after the downloads."""
    change, message = BAD_MANIFESTS[fault]
    _, options = make_gdc(tmp_path)
    paths = [Path(options[key]) for key in ("manifest", "metadata")]
    for path, text in zip(paths, change(*(path.read_text() for path in paths)), strict=True):
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        gdc.matrices("counts", **options)


def test_absent_manifest(tmp_path):
    """Breaks if a manifest or metadata file that is not there ends in a traceback instead of the option's name."""
    _, options = make_gdc(tmp_path)
    for key in ("manifest", "metadata"):
        with pytest.raises(ConfigError, match=f"{key}: 'absent' cannot be read: No such file"):
            gdc.matrices("counts", **options | {key: "absent"})


def test_the_manifest_says_the_md5_to_fetch_by(tmp_path):
    """Breaks if a download is checked by another file's sum, or two manifests that disagree are not named."""
    _, options = make_gdc(tmp_path)
    manifest = options["manifest"]
    assert md5_of(uuid(1), [manifest]) == hashlib.md5((tmp_path / uuid(1)).read_bytes()).hexdigest()
    assert md5_of(uuid(9), [manifest]) is None and md5_of(uuid(1), []) is None
    other = tmp_path / "other.tsv"
    other.write_text(Path(manifest).read_text().replace(md5_of(uuid(1), [manifest]), "0" * 32))
    with pytest.raises(ConfigError, match=f"file {uuid(1)}: md5 differs between manifests: .*other.tsv"):
        md5_of(uuid(1), [manifest, str(other)])


def make_both(folder: Path, **changes) -> tuple[dict[str, Path], dict[str, str]]:
    files, options = make_gdc(folder / "gdc", prefix="gdc/", **changes)
    return files | make_gtex(folder / "gtex"), options


def test_both(tmp_path):
    """Breaks if genes are not joined by id, one of a single study stays or goes unlogged, or names are mixed."""
    files, options = make_both(tmp_path)
    assert set(gtex_gdc.matrices("counts", **options)) == set(files)
    cohort = gtex_gdc.unify(files, "counts", **options)
    table = cohort.table.check()
    assert table.var["symbol"].tolist() == ["DDX11L1", "NEW1", "TSPAN6"]  # OLD1 and NEW1 are one id: GDC's name
    assert dict(zip(table.obs["sample_id"], table.X.tolist(), strict=True)) == {
        G1: [0, 11, 2000], G2: [3, 0, 900], G3: [7, 4, 400],
        T1: [2, 9, 700], N1: [0, 21, 1500], T2: [1, 8, 250],
    }  # fmt: skip
    gone = cohort.dropped[cohort.dropped["reason"] == "not in every matrix"]
    assert dict(zip(gone["id"], gone["value"], strict=True)) == {"ENSG00000000005": 1, "ENSG00000999999": 3}
    assert gone["source_file"].tolist()[0].endswith("gene_reads.gct.gz") and gone["source_file"].tolist()[1] == uuid(1)
    assert (cohort.quality["genes"]["intersection"], cohort.quality["genes"]["union"]) == (4, 6)
    assert cohort.quality["studies"]["TCGA"]["n_obs"] == 3
    kidney = gtex_gdc.unify(files, "counts", tissues=["kidney"], **options).table.obs
    assert set(kidney["sample_id"]) == {G1, N1, T1, T2}


@pytest.mark.parametrize("source", [gtex, gdc, gtex_gdc])
def test_gate_leaves_samples_out(source, tmp_path):
    """Breaks if a source lets a sample of too many gated values into the table, or drops it without logging it."""
    made = {
        gtex: lambda: (make_gtex(tmp_path), {}),
        gdc: lambda: make_gdc(tmp_path),
        gtex_gdc: lambda: make_both(tmp_path),
    }
    files, options = made[source]()
    whole = source.unify(files, kind="counts", **options)
    n_gated = (whole.table.X > 6).sum(1)
    most = int(n_gated.min())
    too_many = n_gated > most
    expected = dict(zip(whole.table.obs["sample_id"][too_many], n_gated[too_many], strict=True))
    assert 0 < len(expected) < whole.table.n_obs
    gate = {"max_value": 6, "action": "clip", "max_per_obs": most}
    cohort = source.unify(files, kind="counts", gate=gate, **options)
    gone = cohort.dropped[cohort.dropped["reason"] == f"more than {most} values above the gate 6"].set_index("id")
    assert gone["value"].to_dict() == expected and set(gone["axis"]) == {"obs"}
    file_of = whole.table.obs.set_index("sample_id")["source_file"]
    assert gone["source_file"].to_dict() == file_of[list(expected)].to_dict()
    assert cohort.table.obs["sample_id"].tolist() == [s for s in whole.table.obs["sample_id"] if s not in expected]
    assert cohort.quality["gate"]["n_obs_dropped"] == len(expected)
    assert cohort.quality["n_dropped"]["obs"] == whole.quality["n_dropped"]["obs"] + len(expected)


def test_both_in_other_units(tmp_path):
    """Breaks if TPM pass for counts, counts for TPM, or log values for either, in one study or one sample."""
    files, options = make_both(tmp_path)
    with pytest.raises(DataError, match=r"declared as counts, but only .* whole numbers"):
        log = {"v8/gene_reads": gct([G1, G2, G3], COUNTS * 1.01)}
        gtex_gdc.unify(files | make_gtex(tmp_path, log), "counts", **options)
    mixed = np.vstack([COUNTS[:2], np.log2(COUNTS[2:] + 1)])
    with pytest.raises(
        DataError, match=r"declared as counts, a linear unit, but sample .* looks like log2\(x\+1\) \(1 of 3 samples"
    ):
        gtex_gdc.unify(files | make_gtex(tmp_path, {"v8/gene_reads": gct([G1, G2, G3], mixed)}), "counts", **options)
    with pytest.raises(DataError, match=r"declared as tpm, but 100.0% of its non-zero values are whole, as in counts"):
        gtex.unify(make_gtex(tmp_path, kind="tpm"), "tpm")


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=60)
def test_any_text_is_refused_by_name(tmp_path_factory, text):
    """Breaks if some text in place of a file ends in another error than DataError."""
    folder = tmp_path_factory.mktemp("any")
    for name in (uuid(0), "x.gct.gz", "x_SampleAttributesDS.txt"):
        path = folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        with pytest.raises(DataError, match=name):
            gtex_gdc.convert(path, folder / "out.parquet")


def test_contract():
    """Breaks if the sources miss what every expression source has, or the registry lacks where their files are."""
    for name in ("gtex", "gdc", "gtex_gdc"):
        assert constant(f"aeflow.sources.{name}", "KIND") == "expression"
        assert constant(f"aeflow.sources.{name}", "OBS_COLUMNS") == gtex.OBS_COLUMNS
    assert gtex.OBS_COLUMNS[: len(rnaseqdb.OBS_COLUMNS)] == rnaseqdb.OBS_COLUMNS
    assert {"gtex", "gdc"} <= set(registry())
    sheets = "adult-gtex/annotations/v10/metadata-files/GTEx_Analysis_v10_Annotations"
    assert gtex.matrices("tpm", "v10", ["lung"]) == {
        "v10/gene_tpm/lung": "adult-gtex/bulk-gex/v10/rna-seq/tpms-by-tissue/gene_tpm_v10_lung.gct.gz",
        "v10/attributes": f"{sheets}_SampleAttributesDS.txt",
        "v10/donors": f"{sheets}_SubjectPhenotypesDS.txt",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "fpkm"}, "kind: 'fpkm' does not exist"),
        ({"kind": "tpm", "release": "v7"}, "release: 'v7' does not exist"),
        ({"kind": "tpm", "by_tissue": ["Kidney - Cortex"]}, "by_tissue: 'Kidney - Cortex' is not in the form"),
        ({"kind": "tpm", "by_tissue": []}, "by_tissue: must be a list"),
        ({"kind": "tpm", "tissues": ["kidneys"]}, "tissues: 'kidneys' does not exist"),
        ({"kind": "tpm", "symbols": "probemap"}, "symbols: 'probemap' does not exist"),
    ],
)
def test_bad_options(options, message):
    """Breaks if an option that does not exist is ignored."""
    with pytest.raises(ConfigError, match=message):
        gtex.matrices(**options)

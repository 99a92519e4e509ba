"""Source xena_toil: made matrices with the real header, the real sample sheet, and every fault (about 8 s)."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.download.registry import registry
from aeflow.errors import ConfigError, DataError
from aeflow.expression import stack, wide
from aeflow.expression import text as text_blocks
from aeflow.expression.ids import GeneNames
from aeflow.expression.units import Measure
from aeflow.plan.source_code import constant
from aeflow.sources import rnaseqdb, xena_toil

GENES = ["ENSG00000242268.2", "ENSG00000259041.1", "ENSG00000270112.3", "ENSG00000228572.7", "ENSGR0000228572.7"]
SYMBOLS = ["LINC02082", "AC008", "AC008", "LL0YNC03", "LL0YNC03"]  # a shared name, and a gene of both X and Y
KIDNEY, LUNG, NORMAL, TUMOUR = (
    "GTEX-AAAA-0126-SM-AAAA1",
    "GTEX-BBBBB-0226-SM-BBBB1",
    "TCGA-KL-0001-11",
    "TCGA-KL-0001-01",
)
SHEET = {
    KIDNEY: ("Kidney - Cortex", "Kidney", "Normal Tissue", "Female", "GTEX"),
    LUNG: ("Lung", "Lung", "Normal Tissue", "Male", "GTEX"),
    NORMAL: ("Kidney Chromophobe", "Kidney", "Solid Tissue Normal", "", "TCGA"),
    TUMOUR: ("Kidney Chromophobe", "Kidney", "Primary Tumor", "Male", "TCGA"),
}
LEFT_OUT = {
    "TARGET-30-PATYIL-02": ("Neuroblastoma", "SympatheticÊNervous System", "Primary Solid Tumor", "Male", "TARGET"),
    "K-562-SM-26GMQ": ("Cells - Leukemia Cell Line (Cml)", "Bone Marrow", "Cell Line", "Female", "GTEX"),
    "GTEX-CCCC-0008-SM-CCCC1": ("Cells - Transformed Fibroblasts", "Skin", "Cell Line", "Male", "GTEX"),
    "TCGA-AV-A03D-20": ("", "", "Control Analyte", "", "TCGA"),
}
TPM = np.array([[0, 1, 2.5, 1000, 8], [0, 0.5, 0, 300, 0], [4, 0, 0.01, 2000, 0], [0, 3, 1, 500, 0]])
LINES = [
    "sample",
    "detailed_category",
    "primary disease or tissue",
    "_primary_site",
    "_sample_type",
    "_gender",
    "_study",
]


def gz(path: Path, text: str | bytes, members: int = 1) -> Path:
    """Write gzip of one or several members."""
    data = text.encode() if isinstance(text, str) else text
    cuts = [len(data) * i // members for i in range(members + 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(gzip.compress(data[a:b], mtime=0) for a, b in pairwise(cuts)))
    return path


def matrix_text(samples, values, genes=GENES, first="sample") -> str:
    """Lay values (samples, genes) out as Xena does, 4 decimals."""
    rows = ["\t".join([gene, *(f"{v:.4f}" for v in column)]) for gene, column in zip(genes, values.T, strict=True)]
    return "\n".join(["\t".join([first, *samples]), *rows, ""])


def sheet_text(sheet) -> str:
    rows = [(sample, disease, disease, site, *rest) for sample, (disease, site, *rest) in sheet.items()]
    return "\n".join(["\t".join(LINES), *map("\t".join, rows), ""])


def make(
    folder: Path, values=None, sheet=None, samples=None, kind="tpm", encoding="utf-8", members=1
) -> dict[str, Path]:
    """Write the raw files of a small cohort, convert them, and return what `unify` takes."""
    sheet = SHEET | LEFT_OUT if sheet is None else sheet
    samples = list(SHEET) if samples is None else samples
    log = (np.log2(TPM + 0.001) if kind == "tpm" else np.log2(TPM + 1)) if values is None else values
    raw = folder / "raw"
    names = xena_toil.matrices(kind)
    gz(raw / names["phenotype"], sheet_text(sheet).encode(encoding))
    matrix = next(name for name in names if name.startswith("gene_"))
    gz(raw / names[matrix], matrix_text(samples, log), members)
    probemap = raw / names["probemap"]
    probemap.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{g}\t{s}\tchr1\t1\t2\t+" for g, s in zip(GENES, SYMBOLS, strict=True)]
    probemap.write_text("\n".join(["id\tgene\tchrom\tchromStart\tchromEnd\tstrand", *rows, ""]))
    files = {}
    for name, path in names.items():
        files[name] = folder / f"{name}.parquet"
        xena_toil.convert(raw / path, files[name])
    return files


def test_unify(tmp_path):
    """Breaks if values do not come back linear, genes of one symbol are not summed, or a label is wrong."""
    cohort = xena_toil.unify(make(tmp_path, members=3), "tpm", n_genes=5)
    assert cohort.table.check().unit == "tpm" and tuple(cohort.table.obs.columns) == xena_toil.OBS_COLUMNS
    assert cohort.table.var["symbol"].tolist() == ["AC008", "LINC02082", "LL0YNC03"]
    assert cohort.table.var["ensembl_ids"].tolist() == [
        "ENSG00000259041;ENSG00000270112",
        "ENSG00000242268",
        "ENSG00000228572;ENSG00000228572_PAR_Y",
    ]
    expected = np.stack([TPM[:, 1] + TPM[:, 2], TPM[:, 0], TPM[:, 3] + TPM[:, 4]], axis=1)
    order = [list(SHEET).index(s) for s in cohort.table.obs["sample_id"]]
    np.testing.assert_allclose(cohort.table.X, expected[order], rtol=1e-4)
    assert (cohort.table.X == 0).sum() == (expected == 0).sum() > 0  # a zero stays one, not 7e-8
    obs = cohort.table.obs.set_index("sample_id")
    assert obs.loc[TUMOUR].tolist()[:6] == ["TCGA-KL-0001", "TCGA", "kidney", "tumour", "KICH", "01"]
    assert obs.loc[KIDNEY, ["donor_id", "study", "tissue", "project", "sex"]].tolist() == [
        "GTEX-AAAA", "GTEx", "kidney", "kidney_cortex", "female"
    ]  # fmt: skip
    assert obs.loc[NORMAL, ["condition", "sex", "age_bracket", "collection_site"]].tolist() == ["normal", "", "", "KL"]
    assert cohort.quality["origin"] == "real" and cohort.quality["genes"]["summed"] == {"symbols": 2, "rows": 4}


def test_probemap_without_names(tmp_path):
    """Breaks if genes whose name in the probemap is blank, nothing or a date are summed."""
    files = make(tmp_path)
    probemap = tmp_path / "raw" / xena_toil.matrices("tpm")["probemap"]
    names = ["NA", "", '"AC008"', "1-Mar", "NA "]
    probemap.write_text("id\tgene\n" + "".join(f"{g}\t{s}\n" for g, s in zip(GENES, names, strict=True)))
    xena_toil.convert(probemap, files["probemap"])
    cohort = xena_toil.unify(files, "tpm", n_genes=5)
    assert cohort.table.var["symbol"].tolist() == ["AC008", "ENSG00000228572", "ENSG00000242268", "ENSG00000259041"]
    assert cohort.dropped[["id", "reason"]].to_numpy().tolist() == [
        ["ENSG00000228572", "a spreadsheet has made a date of a gene symbol: 1-Mar"]
    ]


def test_expected_count(tmp_path):
    """Breaks if counts are taken for TPM when the logarithm is undone."""
    cohort = xena_toil.unify(make(tmp_path, kind="expected_count"), "expected_count", n_genes=5)
    assert cohort.table.unit == "counts"
    row = cohort.table.obs["sample_id"].tolist().index(KIDNEY)
    np.testing.assert_allclose(cohort.table.X[row], [3.5, 0, 1008], rtol=1e-3)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_what_is_left_out(tmp_path, encoding):
    """Breaks if a cell line, control, TARGET or unknown sample stays, goes unlogged, or a Latin-1 sheet is refused."""
    samples = [*SHEET, *LEFT_OUT, "TCGA-KL-9999-01"]
    values = np.log2(np.resize(TPM, (len(samples), 5)) + 0.001)
    files = make(tmp_path, values, samples=samples, encoding=encoding)
    cohort = xena_toil.unify(files, "tpm", tissues=["kidney"], n_genes=5)
    assert set(cohort.table.obs["sample_id"]) == {KIDNEY, NORMAL, TUMOUR}
    assert dict(zip(cohort.dropped["id"], cohort.dropped["reason"], strict=True)) == {
        "TARGET-30-PATYIL-02": "TARGET: neither GTEx nor TCGA",
        "K-562-SM-26GMQ": "cell line",
        "GTEX-CCCC-0008-SM-CCCC1": "cell line",
        "TCGA-AV-A03D-20": "control analyte",
        "TCGA-KL-9999-01": "not in TcgaTargetGTEX_phenotype.txt.gz",
        LUNG: "tissue lung was not asked for",
    }
    assert cohort.quality["n_dropped"] == {"obs": 6, "var": 0}


def test_one_aliquot(tmp_path):
    """Breaks if two aliquots of one GTEx tissue piece are both kept."""
    twin = KIDNEY.replace("AAAA1", "ZZZZ9")
    sheet = SHEET | {twin: SHEET[KIDNEY]}
    cohort = xena_toil.unify(
        make(tmp_path, np.log2(np.resize(TPM, (5, 5)) + 0.001), sheet, list(sheet)), "tpm", n_genes=5
    )
    assert twin in set(cohort.table.obs["sample_id"]) and KIDNEY not in set(cohort.table.obs["sample_id"])
    assert cohort.dropped["reason"].tolist() == [f"another aliquot of the sample is kept: {twin}"]


def test_gate_leaves_samples_out(tmp_path):
    """Breaks if a sample of too many gated values stays, or is dropped without its file in the log."""
    gate = {"max_value": 1000, "action": "clip", "max_per_obs": 0}
    cohort = xena_toil.unify(make(tmp_path), "tpm", n_genes=5, gate=gate)
    assert sorted(cohort.table.obs["sample_id"]) == sorted([LUNG, TUMOUR])
    (gone,) = cohort.dropped[cohort.dropped["id"] == KIDNEY].to_dict("records")
    file = "TcgaTargetGtex_rsem_gene_tpm.gz"
    assert (gone["reason"], gone["value"], gone["source_file"]) == ("more than 0 values above the gate 1000", 1, file)
    assert cohort.quality["gate"]["n_obs_dropped"] == 2 and cohort.quality["n_obs"] == 2


def test_hgnc_symbols(tmp_path):
    """Breaks if names are not brought up to date with symbols: hgnc, or Entrez ids are lost."""
    files = make(tmp_path)
    raw = tmp_path / "raw" / "hgnc_complete_set.txt"
    columns = "hgnc_id\tsymbol\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id"
    raw.write_text(
        f"{columns}\nHGNC:1\tNEW1\tApproved\t\tLINC02082\t 77\t\nHGNC:2\tNEW2\tApproved\t\t\t\tENSG00000228572\n"
    )
    files["hgnc"] = tmp_path / "hgnc.parquet"
    xena_toil.convert(raw, files["hgnc"])
    var = xena_toil.unify(files, "tpm", symbols="hgnc", n_genes=5).table.var
    assert var["symbol"].tolist() == ["AC008", "NEW1", "NEW2"]
    assert var["entrez_id"].tolist() == [pd.NA, 77, pd.NA]
    assert xena_toil.matrices("tpm", symbols="hgnc")["hgnc"] == "hgnc:hgnc_complete_set.txt"


LOG = np.log2(TPM + 0.001)
BAD_VALUES = {  # values (samples, genes) in place of log2(tpm+0.001), and the message
    "linear": (TPM, "declared as log2.x.0.001., but sample .* from 0 to .* looks like linear .all samples"),
    "log2(x+1)": (np.log2(TPM + 1), "declared as log2.x.0.001.*looks like log2.x.1. .all samples"),
    "one linear": (
        np.vstack([LOG[:3], TPM[3:]]),
        "TCGA-KL-0001-01' .* looks like linear .1 of 4 samples: units are mix",
    ),
    "one log2(x+1)": (
        np.vstack([LOG[:3], np.log2(TPM[3:] + 1)]),
        "looks like log2.x.1. .1 of 4 samples: units are mix",
    ),
    "z-scores": (LOG - 5, "fits no known scale"),
    "log2(x+0.01)": (np.log2(TPM + 0.01), "to .*, which fits no known scale: zero is -9.9658 .*all samples"),
    "ln(x+0.001)": (np.log(TPM + 0.001), "from -6.9.*fits no known scale.*all samples"),
    "real z-scores": ((LOG - LOG.mean(0)) / LOG.std(0), "fits no known scale.*all samples"),
    "one of z-scores": (
        np.vstack([LOG[:3], (LOG[3:] - LOG[3:].mean()) / LOG[3:].std()]),
        "fits no known scale.*1 of 4 samples: units are mixed",
    ),
}


@pytest.mark.parametrize("fault", BAD_VALUES)
def test_units_that_contradict(fault, tmp_path):
    """Breaks if values in another unit, in all samples or in one, pass for log2(tpm+0.001)."""
    values, message = BAD_VALUES[fault]
    with pytest.raises(DataError, match=message):
        xena_toil.unify(make(tmp_path, values), "tpm", n_genes=5)


def test_counts_in_place_of_tpm(tmp_path):
    """Breaks if a TPM matrix under the name of the counts is taken for counts."""
    with pytest.raises(DataError, match=r"gene_expected_count.*declared as log2.x.1.*looks like log2.x.0\.001"):
        xena_toil.unify(make(tmp_path, LOG, kind="expected_count"), "expected_count", n_genes=5)


BAD_SHEETS = {
    "other study": (
        {KIDNEY: ("Kidney - Cortex", "Kidney", "Normal Tissue", "Male", "TCGA")},
        "_study is 'TCGA', by its",
    ),
    "tumour code": ({TUMOUR: SHEET[NORMAL]}, "_sample_type is 'Solid Tissue Normal', by its id it is tumour"),
    "new tissue": ({KIDNEY: ("Kidney - Cortéx", "", "Normal Tissue", "", "GTEX")}, "not the name of a GTEx tissue"),
    "unknown tissue": ({KIDNEY: ("Gill", "", "Normal Tissue", "", "GTEX")}, "'Gill' .* not in the vocabulary"),
    "unknown disease": ({TUMOUR: ("Flu", "", "Primary Tumor", "", "TCGA")}, "'Flu' is not that of a TCGA project"),
    "unknown sex": ({KIDNEY: ("Kidney - Cortex", "", "Normal Tissue", "F", "GTEX")}, "_gender must be one of"),
}


@pytest.mark.parametrize("fault", BAD_SHEETS)
def test_sheets_that_contradict(fault, tmp_path):
    """Breaks if a sample sheet that contradicts the ids, or speaks another vocabulary, is believed."""
    rows, message = BAD_SHEETS[fault]
    with pytest.raises(DataError, match=message):
        xena_toil.unify(make(tmp_path, sheet=SHEET | rows), "tpm", n_genes=5)


def test_cut_off_download(tmp_path):
    """Breaks if a matrix with fewer genes than the release has is used."""
    with pytest.raises(DataError, match="5 genes, expected 60498: a cut-off download"):
        xena_toil.unify(make(tmp_path), "tpm")


def test_no_sample_left(tmp_path):
    """Breaks if a choice of tissues that nothing has gives an empty table."""
    with pytest.raises(DataError, match=r"no sample is left; left out: tissue kidney was not asked for \(3\)"):
        xena_toil.unify(make(tmp_path), "tpm", tissues=["eye"], n_genes=5)


GOOD = matrix_text(list(SHEET), LOG)
BAD_FILES = {
    "R's dots": (GOOD.replace(KIDNEY, KIDNEY.replace("-", ".")), "line 1, column 2: .*dashes turned into dots"),
    "R's dots, TCGA": (GOOD.replace(TUMOUR, TUMOUR.replace("-", ".")), "line 1, column 5: .*has dots for dashes"),
    "full barcode": (GOOD.replace(TUMOUR, "TCGA-KL-8339-11A-01R-2315-07"), "column 5: .*is a full aliquot barcode"),
    "other id": (GOOD.replace(TUMOUR, "PATIENT7"), "column 5: 'PATIENT7' is neither"),
    "twice": (GOOD.replace(TUMOUR, NORMAL), f"line 1, column 4: name '{NORMAL}' occurs 2 times"),
    "other first column": (GOOD.replace("sample", "Ensembl_ID", 1), "expected 'sample', found 'Ensembl_ID'"),
    "gene twice": (GOOD.replace(GENES[1], GENES[0]), f"line 3, column 1 .sample.: '{GENES[0]}' stands on line 2, too"),
    "text": (GOOD.replace("9.9658", "9.9658x", 1), r"line 2, column 2 .*not a finite number, found '-9.9658x'"),
    "NA": (GOOD.replace("-9.9658", "NA", 1), "line 2, column 2 .*not a finite number, found 'NA'"),
    "nan": (GOOD.replace("-9.9658", "nan", 1), "line 2, column 2 .*not a finite number, found 'nan'"),
    "infinite": (GOOD.replace("-9.9658", "1e39", 1), "not a finite float32, found '1e39'"),
    "empty": (GOOD.replace("-9.9658", "", 1), "line 2, column 2 .*empty cell"),
    "short line": (GOOD.replace("\t-9.9658", "", 1), "line 2: 4 cells, the header has 5"),
    "cut line": (GOOD[:-20], "line 6: 3 cells"),
    "header only": (GOOD.split("\n")[0] + "\n", "no rows after the header"),
    "nothing": ("", "0 lines, expected a header of 1"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_broken_matrices(fault, tmp_path):
    """Breaks if a broken matrix is converted, or the message does not say where it is broken."""
    text, message = BAD_FILES[fault]
    path = gz(tmp_path / "TcgaTargetGtex_rsem_gene_tpm.gz", text)
    with pytest.raises(DataError, match=message):
        xena_toil.convert(path, tmp_path / "out.parquet")
    assert not list(tmp_path.glob("*.parquet"))


def test_gzip_faults(tmp_path):
    """Breaks if plain text under .gz (which may be cut off unnoticed), a cut or a damaged gzip file is read."""
    path = tmp_path / "TcgaTargetGtex_rsem_gene_tpm.gz"
    whole = gzip.compress(GOOD.encode())
    wrong_sum = whole[:-8] + bytes(b ^ 1 for b in whole[-8:-4]) + whole[-4:]
    for data, message in (
        (GOOD.encode(), "not a gzip file; it begins with b'sample"),
        (whole[:-9], "truncated gzip"),
        (wrong_sum, "corrupt gzip"),
        (whole + b"trailing", "corrupt gzip"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            xena_toil.convert(path, tmp_path / "out.parquet")


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 4), st.booleans(), st.integers(1, 400), st.data())
@settings(max_examples=40)
def test_streaming_round_trip(tmp_path_factory, n_samples, n_genes, members, crlf, block, data):
    """Breaks if a value, gene or sample is lost or moved at the edge of a block, row group or gzip member."""
    folder = tmp_path_factory.mktemp("wide")
    rows = data.draw(st.integers(1, 7))
    rng = np.random.default_rng(n_samples * 100 + n_genes)
    values = rng.normal(500, 5, (n_samples, n_genes)).round(4)
    samples, genes = [f"TCGA-AA-{i:04d}-01" for i in range(n_samples)], [f"ENSG{i:011d}.1" for i in range(n_genes)]
    text = matrix_text(samples, values, genes)
    path = gz(folder / "m.gz", text.replace("\n", "\r\n") if crlf else text, members)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK", block)
        patch.setattr(text_blocks, "READ", data.draw(st.integers(2, 50)))
        patch.setattr(wide, "ROWS", rows)
        patch.setattr(wide, "VALUES", 1)
        patch.setattr(wide, "WIDE", data.draw(st.sampled_from([0, 100])))
        patch.setattr(wide, "COLUMNS", 2)
        xena_toil.convert(path, folder / "m.parquet")
        matrices = {"m": wide.Matrix(folder / "m.parquet", ("gene_id",), "m.gz")}
        chosen = data.draw(st.permutations(samples))
        groups = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=n_genes, max_size=n_genes)))
        names = GeneNames(pd.DataFrame({"var_id": range(4)}), pd.Series(groups, index=genes), [], {})
        obs = pd.DataFrame({"sample_id": chosen, "matrix": "m", "column": chosen})
        X, _ = stack.stack(matrices, {"m": np.array(genes, dtype=object)}, obs, names, Measure("fpkm"))
    frame = pd.read_parquet(folder / "m.parquet")
    assert frame["gene_id"].tolist() == genes and list(frame.columns[1:]) == samples
    np.testing.assert_allclose(frame[samples].to_numpy().T, values, rtol=1e-6)
    order = [samples.index(s) for s in chosen]
    expected = np.stack([values[order][:, groups == g].sum(1) for g in range(4)], axis=1)
    np.testing.assert_allclose(X, expected, rtol=1e-4, atol=1e-4)


def test_real_phenotype(shared, tmp_path):
    """Breaks if the real sample sheet has a tissue, disease, type or sex that the source does not understand."""
    text = (shared / "data-candidates" / "xena" / "TcgaTargetGTEX_phenotype.txt").read_bytes()
    raw, files = tmp_path / "raw", {}
    samples = [line.split("\t")[0] for line in text.decode().splitlines()[1:]]
    assert len(samples) == 19131
    names = xena_toil.matrices("tpm")
    gz(raw / names["phenotype"], text)
    gz(raw / names["gene_tpm"], matrix_text(samples, np.tile([-9.9658, 12.0], (len(samples), 1)), GENES[:2]))
    (raw / "probeMap").mkdir()
    (raw / names["probemap"]).write_text(f"#id\tgene\n{GENES[0]}\tA\n{GENES[1]}\tB\n")
    for name, path in names.items():
        files[name] = tmp_path / f"{name}.parquet"
        xena_toil.convert(raw / path, files[name])
    cohort = xena_toil.unify(files, "tpm", n_genes=2)
    obs, reasons = cohort.table.obs, cohort.dropped["reason"].str.split(":").str[0].value_counts()
    assert reasons["TARGET"] == 734 and reasons["cell line"] == 433 and reasons["control analyte"] == 1
    assert obs.groupby(["study", "condition"]).size().to_dict() == {
        ("GTEx", "normal"): 7429 - reasons["another aliquot of the sample is kept"],
        ("TCGA", "normal"): 727,
        ("TCGA", "tumour"): 9807,
    }
    kidney = obs[obs["tissue"] == "kidney"].groupby("project").size()
    assert set(kidney.index) == {"kidney_cortex", "KICH", "KIRC", "KIRP"}
    assert obs["project"].nunique() == 33 + 51  # 54 tissues of GTEx without three cultures


def test_contract():
    """Breaks if the source misses what every expression source has, or the registry lacks its files."""
    assert constant("aeflow.sources.xena_toil", "KIND") == "expression"
    columns = constant("aeflow.sources.xena_toil", "OBS_COLUMNS")
    assert columns == xena_toil.OBS_COLUMNS and columns[: len(rnaseqdb.OBS_COLUMNS)] == rnaseqdb.OBS_COLUMNS
    assert {"xena_toil", "hgnc"} <= set(registry())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "fpkm"}, "kind: 'fpkm' does not exist"),
        ({"kind": "tpm", "tissues": ["Kidney - Cortex"]}, "tissues: 'Kidney - Cortex' does not exist"),
        ({"kind": "tpm", "tissues": []}, "tissues: must be a list"),
        ({"kind": "tpm", "symbols": "entrez"}, "symbols: 'entrez' does not exist"),
        ({"kind": "tpm", "n_genes": 0}, "n_genes: must be a whole number"),
    ],
)
def test_bad_options(options, message):
    """Breaks if an option that does not exist is ignored."""
    with pytest.raises(ConfigError, match=message):
        xena_toil.matrices(**options)

"""Sources: raw files -> one aligned cohort; self-made files for every fault, and the real ones (about 7 s)."""

import csv
import gzip
import json
import struct
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.dataset.cohort import summary_of_dropped
from aeflow.errors import ConfigError, DataError
from aeflow.plan.source_code import PACKAGE, constant
from aeflow.sources import mnist, rnaseqdb
from aeflow.table import Table

GTEX, KICH, KICH_T = (
    f"expected_count/{s}" for s in ("kidney-rsem-count-gtex", "kich-rsem-count-tcga", "kich-rsem-count-tcga-t")
)
G1, G2 = "GTEX-AAAA-0126-SM-AAAA1", "GTEX-BBBBB-0126-SM-BBBB1"
N1, T1 = "TCGA-KL-0001-11A-01R-2315-07", "TCGA-KL-0001-01A-11R-2315-13"
N2, T2 = "TCGA-KL-0002-11A-01R-2315-07", "TCGA-KL-0002-01A-11R-2315-07"
THREE = [1, 2, 300]


def convert_matrix(folder: Path, name: str, genes: list[str], samples: dict[str, list[float]], entrez=None) -> Path:
    """Write a gz matrix in RNAseqDB's layout, convert it, return the Parquet path."""
    raw, out = folder / "raw" / f"{name}.txt.gz", folder / f"{name}.parquet"
    raw.parent.mkdir(parents=True, exist_ok=True)
    entrez = entrez or [sum(map(ord, gene)) for gene in genes]
    lines = ["\t".join(["Hugo_Symbol", "Entrez_Gene_Id", *samples])]
    for i, gene in enumerate(genes):
        lines.append("\t".join([gene, f"{entrez[i]:>9d}", *(f"{values[i]:.2f}" for values in samples.values())]))
    raw.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))
    rnaseqdb.convert(raw, out)
    return out


def three_files(folder: Path) -> dict[str, Path]:
    """GTEx, TCGA normal and tumour with different genes in different orders."""
    return {
        GTEX: convert_matrix(folder, GTEX, ["A", "B", "C"], {G2: [1, 2, 300], G1: [4, 5, 600]}),
        KICH: convert_matrix(folder, KICH, ["C", "D", "A", "B"], {N1: [900, 1, 7, 8]}),
        KICH_T: convert_matrix(folder, KICH_T, ["B", "C", "A"], {T1: [11, 1200, 10]}, [0, sum(map(ord, "C")), 0]),
    }


@pytest.mark.parametrize("source", sorted(path.stem for path in (PACKAGE / "sources").glob("[a-z]*.py")))
def test_a_source_declares_what_others_ask_of_it(source):
    """Breaks if a literal is missing, or cannot be read without running the source."""
    declared = {
        key: constant(f"aeflow.sources.{source}", key) for key in ("KIND", "OBS_COLUMNS", "ORIGIN", "SIMULATES")
    }
    assert declared["KIND"] in ("images", "expression") and declared["OBS_COLUMNS"][0] == "sample_id"
    assert declared["ORIGIN"] == ("simulated" if declared["SIMULATES"] else "real")


def test_unify_joins_by_name(tmp_path):
    """Breaks if genes are joined by position, a gene one file lacks stays or goes unlogged, or a label is wrong."""
    cohort = rnaseqdb.unify(three_files(tmp_path), "expected_count")
    assert cohort.table.var["symbol"].tolist() == ["A", "B", "C"]
    assert cohort.table.var["entrez_id"].tolist() == [65, 66, 67]
    assert cohort.table.unit == "counts"
    by_id = dict(zip(cohort.table.obs["sample_id"], cohort.table.X.tolist(), strict=True))
    assert by_id == {G1: [4, 5, 600], G2: [1, 2, 300], N1: [7, 8, 900], T1: [10, 11, 1200]}
    obs = cohort.table.obs.set_index("sample_id")
    assert tuple(cohort.table.obs.columns) == rnaseqdb.OBS_COLUMNS
    assert obs.loc[T1].tolist() == [
        "TCGA-KL-0001", "TCGA", "kidney", "tumour", "KICH", "01", "13", "kich-rsem-count-tcga-t.txt.gz", "", ""
    ]  # fmt: skip
    assert obs.loc[G2].tolist()[:7] == ["GTEX-BBBBB", "GTEx", "kidney", "normal", "kidney", "", ""]
    assert cohort.dropped.to_dict("records") == [
        {
            "axis": "var",
            "id": "D",
            "reason": "not in every matrix",
            "value": 2,
            "source_file": "kich-rsem-count-tcga-t.txt.gz",
        }
    ]
    quality = cohort.quality
    assert (quality["origin"], quality["kind"], quality["unit"]) == ("real", "expected_count", "counts")
    assert quality["genes"] == {"intersection": 3, "union": 4, "kept": 3}
    assert quality["files"][KICH]["n_vars"] == 4 and quality["studies"]["TCGA"]["n_obs"] == 2


def test_donors(tmp_path):
    """Breaks if sex and age of GTEx donors are not joined, or blanks are filled for those the sheet does not have."""
    assert rnaseqdb.matrices("normalized", matrices=["kidney-gtex"], tissues=["kidney"], donors=True) == {
        "normalized/kidney-rsem-fpkm-gtex": "data/normalized/kidney-rsem-fpkm-gtex.txt.gz",
        "donors": "gtex:gtex_analysis_v8/annotations/GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt",
    }
    sheet = tmp_path / "GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"
    sheet.write_text("SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-AAAA\t2\t60-69\t\n")
    rnaseqdb.convert(sheet, tmp_path / "donors.parquet")
    files = three_files(tmp_path) | {"donors": tmp_path / "donors.parquet"}
    obs = rnaseqdb.unify(files, "expected_count", donors=True).table.obs.set_index("sample_id")
    assert obs.loc[G1, ["sex", "age_bracket"]].tolist() == ["female", "60-69"]
    assert (obs.loc[[G2, N1, T1], ["sex", "age_bracket"]] == "").all(axis=None)


def test_cohort_files(tmp_path):
    """Breaks if the cohort's files do not read back as written, or order depends on how the files were listed."""
    files = three_files(tmp_path)
    paths = {key: tmp_path / f"{key}.parquet" for key in ("X", "obs", "var", "dropped", "quality")}
    rnaseqdb.unify(files, "expected_count").write(**paths)
    first = {key: path.read_bytes() for key, path in paths.items()}
    rnaseqdb.unify(dict(reversed(files.items())), "expected_count").write(**paths)
    assert {key: path.read_bytes() for key, path in paths.items()} == first
    table = Table.read(paths["X"], paths["obs"], paths["var"])
    assert table.X.shape == (4, 3) and table.unit == "counts"
    assert json.loads(paths["quality"].read_text())["n_donors"] == 3
    assert len(pd.read_parquet(paths["dropped"])) == 1


def test_unify_keeps_one_aliquot(tmp_path):
    """Breaks if two aliquots or vials of one sample are both kept, the choice depends on order, or is not logged."""
    old, new, vial = N1, N1.replace("01R-2315", "02R-A16R"), N1.replace("11A-01R-2315", "11B-01R-A18C")
    piece = G1.replace("AAAA1", "ZZZZ9")
    files = three_files(tmp_path)
    files[KICH] = convert_matrix(tmp_path, KICH, list("ABC"), {s: [1, 2, 300] for s in (new, vial, old)})
    files[GTEX] = convert_matrix(tmp_path, GTEX, list("ABC"), {s: [1, 2, 300] for s in (piece, G1)})
    cohort = rnaseqdb.unify(files, "expected_count")
    assert set(cohort.table.obs["sample_id"]) == {new, piece, T1}
    dropped = cohort.dropped[cohort.dropped["axis"] == "obs"]
    assert dict(zip(dropped["id"], dropped["reason"], strict=True)) == {
        old: f"another aliquot of the sample is kept: {new}",
        vial: f"another vial of the sample is kept: {new}",
        G1: f"another aliquot of the sample is kept: {piece}",
    }
    assert cohort.quality["files"][KICH] == {"n_obs": 3, "n_vars": 3, "max": 300, "zero_fraction": 0}


BAD_COHORTS = {  # a fourth matrix, or one that replaces the third: name, genes, samples, Entrez ids, message
    "sample in two files": ("kirc-rsem-count-tcga", "ABC", {N1: THREE}, None, f"sample '{N1}' is in kich-rsem"),
    "tumour among normals": (KICH, "ABC", {T2: THREE}, None, f"condition 'normal' .*{T2}' is 'tumour' .*code 01"),
    "normal among tumours": (KICH_T, "ABC", {N2: THREE}, None, f"condition 'tumour' .*{N2}' is 'normal' .*code 11"),
    "TCGA in a GTEx file": (GTEX, "ABC", {N2: THREE}, None, f"study 'GTEx' by its name, but sample '{N2}' is 'TCGA'"),
    "log scale": (KICH, "ABC", {N1: [1, 2, 9]}, None, "kich-rsem-count-tcga.*declared as counts.*looks like log2"),
    "no common gene": (KICH, "XYZ", {N1: THREE}, None, "no gene is in all 3 matrices .*X, Y, Z"),
    "other Entrez id": (KICH, "ABC", {N1: THREE}, [65, 5, 67], "gene 'B' has Entrez id "),
    "no RNAseqDB name": ("kidney", "ABC", {N2: THREE}, None, "not the name of an RNAseqDB matrix"),
}


@pytest.mark.parametrize("fault", BAD_COHORTS)
def test_unify_refuses(fault, tmp_path):
    """Breaks if matrices that contradict each other or their names are unified all the same."""
    name, genes, samples, entrez, message = BAD_COHORTS[fault]
    files = three_files(tmp_path)
    files[name] = convert_matrix(tmp_path, name, list(genes), samples, entrez)
    with pytest.raises(DataError, match=message):
        rnaseqdb.unify(files, "expected_count")


def test_default_gate_is_for_normalized_only(tmp_path):
    """Breaks if a ComBat blow-up stays in a normalized cohort, or large real counts are clipped."""
    for kind, gate, expected in (
        ("normalized", {}, 2.0**20),
        ("normalized", {"gate": None}, 6.7e9),
        ("unnormalized", {}, 6.7e9),
    ):
        name = f"{kind}/kidney-rsem-fpkm-gtex"
        files = {name: convert_matrix(tmp_path, name, ["A", "B", "C", "KRT13"], {G1: [1.5, 2.5, 3.5, 6.7e9]})}
        cohort = rnaseqdb.unify(files, kind, **gate)
        assert cohort.table.X.max() == np.float32(expected)
        assert (cohort.quality["gate"] or {"worst": [{}]})["worst"][0].get("symbol") == (
            "KRT13" if expected == 2.0**20 else None
        )


def blown_up(folder: Path, n_gated: int) -> dict[str, Path]:
    """GTEx and TCGA normals of 60 genes; `n_gated` values of G2 are above 2^20."""
    rng, genes = np.random.default_rng(0), [f"GENE{i}" for i in range(60)]
    values = {sample: (rng.lognormal(4, 1, 60).round() + 100.25).tolist() for sample in (G1, G2, N1, N2)}
    values[G2][:n_gated] = [3e6 + 0.5] * n_gated
    names = {"normalized/kidney-rsem-fpkm-gtex": (G1, G2), "normalized/kich-rsem-fpkm-tcga": (N1, N2)}
    return {
        name: convert_matrix(folder, name, genes, {s: values[s] for s in samples}, list(range(1, 61)))
        for name, samples in names.items()
    }


def test_blown_up_sample_is_left_out(tmp_path):
    """Breaks if a sample of 41 gated values reaches the table, one of 40 does not, or the log lacks it."""
    files = blown_up(tmp_path / "41", 41)
    cohort = rnaseqdb.unify(files, "normalized")
    assert cohort.table.check().obs["sample_id"].tolist() == [N1, N2, G1] and len(cohort.table.X) == 3
    assert cohort.table.X.max() < 2**20
    assert cohort.dropped.to_dict("records") == [
        {
            "axis": "obs",
            "id": G2,
            "reason": "more than 40 values above the gate 1.04858e+06",
            "value": 41,
            "source_file": "kidney-rsem-fpkm-gtex.txt.gz",
        }
    ]
    quality = cohort.quality
    assert (quality["n_obs"], quality["n_donors"], quality["n_dropped"]["obs"]) == (3, 3, 1)
    assert (quality["gate"]["n_obs_dropped"], quality["gate"]["n_values"]) == (1, 41)
    assert quality["studies"]["GTEx"]["n_obs"] == 1
    assert summary_of_dropped(cohort.dropped)["n"].tolist() == [1]
    gate = {"max_value": 2**20, "action": "clip", "max_per_obs": None}
    clipped = rnaseqdb.unify(files, "normalized", gate=gate)
    assert clipped.table.n_obs == 4 and clipped.table.X.max() == 2**20 and clipped.dropped.empty
    at_limit = rnaseqdb.unify(blown_up(tmp_path / "40", 40), "normalized")
    assert at_limit.table.n_obs == 4 and at_limit.dropped.empty


def test_matrices_follow_tissues():
    """Breaks if a tissue selects too few or too many files, or a subset is not honoured."""
    kidney = rnaseqdb.matrices("normalized", ["kidney"])
    assert len(kidney) == 7
    assert kidney["normalized/kich-rsem-fpkm-tcga-t"] == "data/normalized/kich-rsem-fpkm-tcga-t.txt.gz"
    assert all(len(rnaseqdb.matrices(kind)) == 52 for kind in rnaseqdb.UNITS)
    assert sum(len(rnaseqdb.matrices("normalized", [tissue])) for tissue in rnaseqdb.CLUSTERS) == 52
    subset = rnaseqdb.matrices("expected_count", ["kidney"], ["kidney-gtex", "kich-tcga"])
    assert list(subset) == ["expected_count/kich-rsem-count-tcga", "expected_count/kidney-rsem-count-gtex"]


@pytest.mark.parametrize(
    "options",
    [{"kind": "tpm"}, {"kind": "normalized", "tissues": ["brain"]}, {"kind": "normalized", "matrices": ["brca-gtex"]}],
)
def test_matrices_refuse_what_does_not_exist(options):
    """Breaks if a misspelt kind, tissue or matrix selects nothing in silence."""
    value = list(options.values())[-1]
    with pytest.raises(ConfigError, match=value if isinstance(value, str) else value[0]):
        rnaseqdb.matrices(**options)


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.data())
def test_idx_round_trip_and_damage(tmp_path_factory, n, rows, columns, zipped, data):
    """Breaks if an IDX file is read wrongly, or any change of its length goes unseen."""
    values = np.arange(n * rows * columns, dtype=np.uint8).reshape(n, rows, columns)
    path = tmp_path_factory.mktemp("idx") / "images"
    good = idx(values)
    path.write_bytes(gzip.compress(good) if zipped else good)
    assert np.array_equal(mnist.read_idx(path), values)
    cut = data.draw(st.integers(0, len(good) - 1))
    for bad in (good[:cut], good + b"\0"):
        path.write_bytes(gzip.compress(bad) if zipped else bad)
        with pytest.raises(DataError, match=f"^{path}: "):
            mnist.read_idx(path)


def test_idx_faults(tmp_path):
    """Breaks if an HTML page, another magic number, a label above 9 or a damaged gzip is taken for IDX."""
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    labels = idx(np.array([1, 11], dtype=np.uint8))
    for content, message in (
        (b"<html>404</html>", "not an IDX file .*begins with b'<html>"),
        (idx(np.zeros((2, 2), dtype=np.uint8)), "not an IDX file"),
        (labels, r"item 1 \(byte 9\): label 11"),
        (gzip.compress(labels)[:-5], "truncated or corrupt gzip"),
        (idx(np.zeros(0, dtype=np.uint8)), "empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            mnist.convert(path, tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()


def tiny_mnist(folder: Path, n_labels=3) -> dict[str, Path]:
    files = {}
    for part, n in (("train", 3), ("t10k", 2)):
        images = np.arange(n * 6, dtype=np.uint8).reshape(n, 2, 3) * 14
        labels = np.arange(n_labels if part == "train" else n, dtype=np.uint8)
        for stem, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (folder / stem).write_bytes(idx(values))
            files[stem] = folder / f"{stem}.parquet"
            mnist.convert(folder / stem, files[stem])
    return files


def test_mnist_unify(tmp_path):
    """Breaks if pixels, labels and places lose their order, intensities leave [0, 1], or a limit is not honoured."""
    table = mnist.unify(tiny_mnist(tmp_path)).table
    assert table.obs["sample_id"].tolist() == ["train-00000", "train-00001", "train-00002", "test-00000", "test-00001"]
    assert table.obs["digit"].tolist() == [0, 1, 2, 0, 1]
    assert tuple(table.obs.columns) == mnist.OBS_COLUMNS
    assert table.var.iloc[4].tolist() == ["r1c1", 1, 1]
    assert np.allclose(table.X[1], np.arange(6, 12) * 14 / 255)
    limited = mnist.unify(tiny_mnist(tmp_path), n_train=2, n_test=1).table
    assert limited.obs["sample_id"].tolist() == ["train-00000", "train-00001", "test-00000"]
    with pytest.raises(DataError, match=r"has 3 images, .* has 2 labels"):
        mnist.unify(tiny_mnist(tmp_path, n_labels=2))
    with pytest.raises(ConfigError, match="n_train"):
        mnist.matrices(n_train=0)


def test_real_mnist(shared, tmp_path):
    """Breaks if the real files are not read as 70,000 digits with the known mean, spread and class counts."""
    files = {name: tmp_path / f"{name}.parquet" for name in mnist.matrices()}
    for name, path in mnist.matrices().items():
        mnist.convert(shared / "data" / "mnist" / path, files[name])
    cohort = mnist.unify(files)
    assert cohort.table.check().X.shape == (70_000, 784)
    train = cohort.table.obs["official_split"] == "train"
    assert cohort.table.obs["digit"][train].value_counts().sort_index().tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    figures = cohort.quality
    assert (figures["mean"], figures["sd"], figures["zero_fraction"]) == pytest.approx(
        (0.1309, 0.3084, 0.8086), abs=1e-4
    )


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Convert every real matrix at hand; {kind: {name: Parquet path}}."""
    folder, found = tmp_path_factory.mktemp("matrices"), {}
    for kind in rnaseqdb.UNITS:
        for name, path in rnaseqdb.matrices(kind).items():
            raw = shared / "data" / "rnaseqdb" / path
            if raw.exists():
                found.setdefault(kind, {})[name] = folder / f"{name}.parquet"
                rnaseqdb.convert(raw, found[kind][name])
    return found


def test_real_matrices_have_the_registered_samples(real):
    """Breaks if a real file is read with a sample too few or too many."""
    with (resources.files("aeflow.download") / "registry" / "rnaseqdb.tsv").open() as handle:
        n_samples = {row["path"]: row["n_samples"] for row in csv.DictReader(handle, delimiter="\t")}
    assert len(real["normalized"]) >= 22
    for kind, files in real.items():
        for name, path in files.items():
            found = len(pq.read_schema(path).names) - 2
            assert found == int(n_samples[rnaseqdb.matrices(kind)[name]]), name


def test_real_normalized_cohort(real):
    """Breaks if the intersection, the drop log or the gate is wrong on the published ComBat matrices."""
    cohort = rnaseqdb.unify(real["normalized"], "normalized")
    figures, dropped = cohort.quality, cohort.dropped
    assert cohort.table.check().X.max() == 2**20
    assert figures["genes"]["intersection"] + (dropped["axis"] == "var").sum() == figures["genes"]["union"]
    assert 18_154 <= figures["genes"]["intersection"] < 18_764  # all 52 files share 18,154; the smallest has 18,764
    worst = figures["gate"]["worst"][0]
    assert (worst["symbol"], worst["source_file"]) == ("KRT13", "salivary-rsem-fpkm-gtex.txt.gz")
    assert worst["max"] == pytest.approx(8.7e7, rel=0.01)
    assert figures["gate"]["n_obs_dropped"] == 0  # squamous mucosa in a normal has 25 such genes: not a blow-up
    assert figures["n_obs"] == figures["gate"]["n_obs_read"] == 913
    assert {"kidney", "salivary_gland", "head_neck", "bile_duct", "rectum"} <= set(cohort.table.obs["tissue"])


def test_real_uterus_and_cervix(real):
    """Breaks if the two normals that ComBat blew up (72 and 85 gated values) stay in the cohort."""
    wanted = {"normalized/uterus-rsem-fpkm-gtex", "normalized/cervix-rsem-fpkm-gtex"}
    missing = wanted - set(real["normalized"])
    if missing:
        pytest.skip(f"real files are not at hand: {', '.join(sorted(missing))}")
    cohort = rnaseqdb.unify({name: real["normalized"][name] for name in wanted}, "normalized")
    gone = cohort.dropped[cohort.dropped["reason"].str.startswith("more than 40 values")]
    assert len(gone) >= 2 and (gone["value"] > 70).sum() >= 2
    assert not set(gone["id"]) & set(cohort.table.obs["sample_id"])


def test_real_kidney_cohort(real):
    """Breaks if the kidney example changes in size, or genes of the three kinds do not agree."""
    chosen = rnaseqdb.matrices(
        "expected_count", ["kidney"], ["kidney-gtex", "kich-tcga", "kirc-tcga", "kirp-tcga", "kich-tcga-t"]
    )
    cohort = rnaseqdb.unify({name: real["expected_count"][name] for name in chosen}, "expected_count")
    obs = cohort.table.obs
    sizes = obs.groupby(["project", "condition"]).size().to_dict()
    assert sizes == {
        ("kidney", "normal"): 32,
        ("KICH", "normal"): 25,
        ("KIRC", "normal"): 72,
        ("KIRP", "normal"): 29,
        ("KICH", "tumour"): 60,
    }
    assert set(obs["tissue"]) == {"kidney"} and cohort.table.n_vars == 20_242
    assert obs["donor_id"].nunique() < len(obs)  # some participants gave a normal and a tumour
    assert cohort.quality["gate"] is None and 0.13 < cohort.quality["zero_fraction"] < 0.15


def test_real_kinds_contradict_each_other(real):
    """Breaks if FPKM given as counts are not noticed."""
    name = "normalized/kidney-rsem-fpkm-gtex"
    with pytest.raises(DataError, match="declared as counts, but only"):
        rnaseqdb.unify({name: real["normalized"][name]}, "expected_count")

"""The simulator: RNAseqDB's layout, known truth, realistic counts, and a tumour that is not trivial (about 5 s)."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from aeflow.dataset.steps import normalise
from aeflow.errors import ConfigError
from aeflow.expression.genes import read_gmt
from aeflow.sources import rnaseqdb, simulated

SETS = {
    "HALLMARK_E2F_TARGETS": range(60),
    "HALLMARK_G2M_CHECKPOINT": range(40, 100),
    "HALLMARK_MYOGENESIS": range(100, 150),
    "HALLMARK_HYPOXIA": range(150, 220),
}
SMALL = {"tissues": ["kidney", "esophagus"], "n_gtex": 12, "n_tcga_normal": 10, "n_tcga_tumour": 8, "n_genes": 400}


@pytest.fixture(scope="module")
def gmt(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gmt") / "sets.gmt"
    path.write_text("".join(f"{name}\t\t" + "\t".join(f"G{i}" for i in genes) + "\n" for name, genes in SETS.items()))
    return path


def unified(folder, gmt, **options):
    """Simulate, convert and unify; return the cohort."""
    simulated.simulate(gmt, folder, **options)
    files = {}
    for name, path in simulated.matrices(cohort="sim", **options).items():
        files[name] = folder / "matrices" / f"{name}.parquet"
        simulated.convert(folder / path, files[name])
    return simulated.unify(files, **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory, gmt):
    folder = tmp_path_factory.mktemp("small") / "sim"
    return folder, unified(folder, gmt, **SMALL)


def test_layout_is_that_of_rnaseqdb(small):
    """Breaks if a simulated file could not stand beside a real one: names, header, padded ids, decimals, row orders."""
    folder, cohort = small
    files = sorted(p.name for p in (folder / "data" / "expected_count").iterdir())
    assert files == [
        "esca-rsem-count-tcga-t.txt.gz", "esca-rsem-count-tcga.txt.gz", "esophagus_muc-rsem-count-gtex.txt.gz",
        "kidney-rsem-count-gtex.txt.gz", "kirc-rsem-count-tcga-t.txt.gz", "kirc-rsem-count-tcga.txt.gz",
    ]  # fmt: skip
    assert all(f"data/expected_count/{name}" in rnaseqdb.matrices("expected_count").values() for name in files)
    lines = {n: gzip.decompress((folder / "data/expected_count" / n).read_bytes()).decode().splitlines() for n in files}
    orders = {name: [line.split("\t")[0] for line in content] for name, content in lines.items()}
    assert orders[files[0]] == orders[files[1]] == orders[files[2]] != orders[files[3]] == orders[files[5]]
    cells = [line.split("\t") for line in lines[files[3]]]
    assert cells[0][:2] == ["Hugo_Symbol", "Entrez_Gene_Id"]
    assert {len(row[1]) for row in cells[1:]} == {9} and any(row[1] == "        0" for row in cells)
    assert all(len(value.partition(".")[2]) == 2 for row in cells[1:] for value in row[2:])
    values = np.array([row[2:] for row in cells[1:]], dtype=float)
    assert 0.6 < (values == np.floor(values))[values > 0].mean() < 0.9
    assert cohort.quality["origin"] == "simulated" and cohort.quality["genes"]["intersection"] == 400


def test_sizes_and_donors(small):
    """Breaks if a group has another size, no donor gives several tissues, or tumours and normals are not paired."""
    obs = small[1].table.obs
    assert tuple(obs.columns) == simulated.OBS_COLUMNS == rnaseqdb.OBS_COLUMNS
    sizes = obs.groupby(["tissue", "study", "condition"]).size().unstack("tissue")
    assert (sizes["kidney"] == sizes["esophagus"]).all()
    assert sizes["kidney"].tolist() == [12, 10, 8]
    gtex = obs[obs["study"] == "GTEx"]
    assert gtex.groupby("donor_id")["tissue"].nunique().max() == 2
    for _, tcga in obs[obs["study"] == "TCGA"].groupby("tissue"):
        both = tcga.groupby("donor_id")["condition"].nunique() == 2
        assert both.sum() == 5


def test_truth_belongs_to_the_data(small, gmt):
    """Breaks if the truth names other samples or genes, a tumour has no purity, or programs are not the gene sets."""
    folder, cohort = small
    obs, var, programs = (pd.read_parquet(folder / "truth" / f"{n}.parquet") for n in ("obs", "var", "programs"))
    assert set(obs["sample_id"]) == set(cohort.table.obs["sample_id"])
    merged = cohort.table.obs.merge(obs, on=["sample_id", "donor_id", "source_file"])
    assert len(merged) == len(obs)
    tumour = merged["condition"] == "tumour"
    assert merged["purity"][tumour].between(0.3, 0.9).all() and (merged["purity"][~tumour] == 0).all()
    assert set(var["symbol"]) == set(cohort.table.var["symbol"])
    by_program = programs.groupby("program")["symbol"].agg(set).to_dict()
    assert by_program == {name: set(genes) for name, genes in read_gmt(gmt).items()}
    assert var["symbol"].str.startswith("SIM").sum() == 400 - 220
    parameters = json.loads((folder / "truth" / "parameters.json").read_text())
    assert parameters["study_effect"]["depth_tcga"] == 65e6 and parameters["n_genes"] == 400
    depth = cohort.table.X.sum(1)
    assert np.corrcoef(depth, merged.set_index("sample_id").loc[cohort.table.obs["sample_id"], "depth"])[0, 1] > 0.9


def test_same_seed_same_bytes(small, gmt, tmp_path):
    """Breaks if the bytes depend on anything but gene sets and options, or another seed changes nothing."""
    simulated.simulate(gmt, tmp_path / "again", **SMALL)
    simulated.simulate(gmt, tmp_path / "other", **SMALL, seed=5)
    for path in (tmp_path / "again").rglob("*.*"):
        name = path.relative_to(tmp_path / "again")
        assert path.read_bytes() == (small[0] / name).read_bytes(), name
    name = "data/expected_count/kidney-rsem-count-gtex.txt.gz"
    assert (tmp_path / "other" / name).read_bytes() != (small[0] / name).read_bytes()


def test_failed_simulation_leaves_the_earlier_one(gmt, tmp_path):
    """Breaks if a simulation that fails removes what was there or leaves half a folder."""
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "earlier").touch()
    bad = tmp_path / "bad.gmt"
    bad.write_text("no gene set")
    with pytest.raises(ValueError, match=r"bad\.gmt: line 1"):
        simulated.simulate(bad, tmp_path / "sim", **SMALL)
    assert [p.name for p in (tmp_path / "sim").iterdir()] == ["earlier"]
    simulated.simulate(gmt, tmp_path / "sim", **SMALL | {"n_genes": 60})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.gmt", "sim"]
    assert not (tmp_path / "sim" / "earlier").exists()


def test_gate_leaves_samples_out(small, gmt, tmp_path):
    """Breaks if the gate of a simulated cohort drops no sample, or the wrong ones, or any by default."""
    _, cohort = small
    assert cohort.quality["gate"] is None and "obs" not in set(cohort.dropped["axis"])
    limit = float(np.quantile(cohort.table.X, 0.95))
    n_gated = (np.float32(limit) < cohort.table.X).sum(1)
    most = int(np.sort(n_gated)[-3])
    gate = {"max_value": limit, "action": "clip", "max_per_obs": most}
    gated = unified(tmp_path / "sim", gmt, **SMALL, gate=gate)
    expected = cohort.table.obs["sample_id"][n_gated > most]
    assert len(expected) in (1, 2)
    assert set(gated.dropped["id"][gated.dropped["axis"] == "obs"]) == set(expected)
    assert gated.table.n_obs == cohort.table.n_obs - len(expected)
    assert not set(gated.table.obs["sample_id"]) & set(expected)


def test_empty_groups(gmt, tmp_path):
    """Breaks if a cohort without tumours, or without GTEx, cannot be made, or an empty file is written."""
    cohort = unified(tmp_path / "a", gmt, **SMALL | {"n_tcga_tumour": 0, "tissues": ["lung"]})
    assert set(cohort.table.obs["condition"]) == {"normal"} and len(cohort.quality["files"]) == 2
    cohort = unified(tmp_path / "b", gmt, **SMALL | {"n_gtex": 0, "n_tcga_normal": 0, "tissues": ["lung"]})
    assert set(cohort.table.obs["project"]) == {"LUAD"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tissues": ["brain"]}, "tissues: 'brain' does not exist"),
        ({"tissues": ["lung", "lung"]}, "each once"),
        ({"tissues": []}, "at least one tissue"),
        ({"n_gtex": -1}, "n_gtex: .* found -1"),
        ({"n_gtex": 0, "n_tcga_normal": 0, "n_tcga_tumour": 0}, "all are 0"),
        ({"n_genes": 1.5}, "n_genes: .* found 1.5"),
        ({"paired_fraction": 2}, "paired_fraction: .* found 2"),
        ({"purity": [0.9, 0.3]}, "purity"),
        ({"purity": [0, 0.3]}, "purity"),
        ({"study_effect": {"depths": 1}}, "study_effect.depths: does not exist; known: depth_gtex"),
        ({"study_effect": {"depth_gtex": 0}}, "study_effect.depth_gtex"),
        ({"tumour_effect": {"genes": "many"}}, "tumour_effect.genes: .* found 'many'"),
        ({"tumour_effect": {"heterogeneity": 0}}, "tumour_effect.heterogeneity"),
    ],
)
def test_options_are_checked(options, message):
    """Breaks if an impossible option is found only in the middle of a run."""
    with pytest.raises(ConfigError, match=message):
        simulated.matrices(cohort="sim", **SMALL | options)


def test_unknown_option_is_refused():
    """Breaks if a misspelt option is ignored."""
    with pytest.raises(TypeError, match="n_donors"):
        simulated.matrices(cohort="sim", **SMALL, n_donors=3)


def auroc(scores, positive, negative):
    return roc_auc_score(
        np.r_[np.ones(positive.sum()), np.zeros(negative.sum())], np.r_[scores[positive], scores[negative]]
    )


@pytest.fixture(scope="module")
def large(shared, tmp_path_factory):
    """A cohort of the demo's size with real Hallmark sets; groups as masks, values as log2(upper quartile + 1)."""
    folder = tmp_path_factory.mktemp("large") / "sim"
    options = {"tissues": ["kidney", "lung"], "n_gtex": 60, "n_tcga_normal": 40, "n_genes": 4000, "seed": 4}
    table = unified(folder, shared / "data-candidates" / "gmt" / "h.all.v7.5.1.symbols.gmt", **options).table
    normal, tcga = (table.obs["condition"] == "normal").to_numpy(), (table.obs["study"] == "TCGA").to_numpy()
    return table, np.log2(normalise(table.X, "upper_quartile") + 1), normal & ~tcga, normal & tcga, ~normal


def test_tumours_are_neither_trivial_nor_hidden(large):
    """Breaks if PCA residuals find simulated tumours perfectly, so that no model could be better, or not at all."""
    _, x, gtex, tcga, tumour = large
    train = (gtex | tcga) & (np.arange(len(x)) % 3 > 0)
    top = np.argsort(-x[train].std(0))[:1500]
    z = (x[:, top] - x[train][:, top].mean(0)) / x[train][:, top].std(0)
    pca = PCA(20, random_state=0).fit(z[train])
    residual = ((z - pca.inverse_transform(pca.transform(z))) ** 2).sum(1)
    assert 0.75 < auroc(residual, tumour, (gtex | tcga) & ~train) < 0.97


def test_study_effect_is_like_the_real_one(large):
    """Breaks if depth, zeros, gene-wise shifts or spreads between the studies leave the range of the real kidney data.

    Real: depth ratio 2.1; zero fraction 0.126 to 0.159; |shift| above 1 in 17 % of genes; log2 ratio of standard
    deviations from -0.83 to 0.55 (5 % and 95 %).
    """
    table, x, gtex, tcga, _ = large
    kidney = (table.obs["tissue"] == "kidney").to_numpy()
    gtex, tcga = gtex & kidney, tcga & kidney
    depth = table.X.sum(1)
    assert 1.7 < np.median(depth[tcga]) / np.median(depth[gtex]) < 2.6
    for rows in (gtex, tcga):
        assert 0.11 < (table.X[rows] == 0).mean() < 0.16
    high = x[gtex].mean(0) > 4
    shift = (x[tcga].mean(0) - x[gtex].mean(0))[high]
    assert 0.08 < (np.abs(shift) > 1).mean() < 0.25
    low, up = np.quantile(np.log2(x[tcga][:, high].std(0) / x[gtex][:, high].std(0)), [0.05, 0.95])
    assert -0.95 < low < -0.45 and 0.35 < up < 0.75


def test_study_effect_can_be_switched_off(shared, tmp_path):
    """Breaks if the studies differ although no effect was asked for: then a control on it would mean nothing."""
    off = {"depth_gtex": 4e7, "depth_tcga": 4e7, "location": 0, "scale": 0, "dropout": 0}
    options = {"tissues": ["lung"], "n_gtex": 60, "n_tcga_normal": 60, "n_tcga_tumour": 0, "n_genes": 500}
    gmt = shared / "data-candidates" / "gmt" / "h.all.v7.5.1.symbols.gmt"
    table = unified(tmp_path / "sim", gmt, **options, study_effect=off).table
    x = np.log2(normalise(table.X, "upper_quartile") + 1)
    tcga = (table.obs["study"] == "TCGA").to_numpy()
    t = (x[tcga].mean(0) - x[~tcga].mean(0)) / np.sqrt(x[tcga].var(0) / 60 + x[~tcga].var(0) / 60 + 1e-9)
    assert (np.abs(t) > 3).mean() < 0.05

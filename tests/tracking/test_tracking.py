"""log_runs: finished run folders become MLflow runs, once each. About 10 s, 2 of them the creation of a database."""

import json
import logging
import math
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import urllib.parse
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric, _validate_param
from tiny import one, specification

from aeflow.comparison.leaderboard import Leaderboard
from aeflow.errors import ConfigError, DataError
from aeflow.evaluation.metric import Interval, Metric, read_metrics, write_metrics
from aeflow.files import write_frame, write_json
from aeflow.tracking import entries
from aeflow.tracking import log as tracking
from aeflow.tracking.database import sqlite_uri
from aeflow.tracking.log import OWNER, compare_link, log_runs
from aeflow.training.specification import Specification

PNG = b"\x89PNG\r\n\x1a\n"


AUROC = "anomaly/tumour/deviation/squared_error/auroc"
MSE = "reconstruction/test/mse"


def make_run(
    root: Path,
    *further: Metric,
    model="vae",
    seed=0,
    dataset="cohort",
    origin="simulated",
    n_epochs=5,
    mse=None,
    auroc=0.9,
) -> Path:
    """Write a run folder in the workflow's layout; `further` are more rows of metrics.parquet."""
    folder = root / "runs" / dataset / "normal" / model / f"seed{seed}"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    architecture = "pca.PCA" if model == "pca" else "vae.VAE"
    spec = specification(model=model, seed=seed, dataset=dataset, origin=origin, architecture=architecture)
    write_json(spec.as_json(), folder / "model.json")
    metrics = [one(MSE, 0.5 + seed / 10 if mse is None else mse), one(AUROC, auroc)]
    write_metrics([*metrics, *further], folder / "metrics.parquet")
    epochs = np.arange(1, n_epochs + 1)
    pd.DataFrame({"epoch": epochs, "val_loss": 10.0 / epochs}).to_parquet(folder / "history.parquet")
    (folder / "model.safetensors").write_bytes(f"{model}{seed}".encode())
    (folder / "figures" / "curve.png").write_bytes(PNG)
    return folder


def make_board(root: Path, folders: list[Path]) -> Path:
    runs = [(Specification.read(f / "model.json"), read_metrics(f / "metrics.parquet")) for f in folders]
    path = root / "leaderboard.parquet"
    write_frame(Leaderboard.of_runs(runs, "pca").frame, path)
    return path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A folder that log_runs has created and logged nothing to; tests copy it, since creation takes 1 to 4 s."""
    folder = tmp_path_factory.mktemp("fresh") / "mlflow"
    assert log_runs([], [], baseline="pca", uri=None, folder=folder, tags={}) == {}
    return folder


@pytest.fixture
def place(fresh, tmp_path) -> Path:
    """An empty tracking folder; blank and percent sign in its name must not matter."""
    return shutil.copytree(fresh, tmp_path / "ml flow%20")


def import_runs(folders, place, boards=(), **tags):
    logged = log_runs(folders, list(boards), baseline="pca", uri=None, folder=place, tags={"git_commit": "abc", **tags})
    return logged, MlflowClient(sqlite_uri(place / "mlflow.db"))


def all_runs(client, name="cohort", view_type=3):
    return client.search_runs([client.get_experiment_by_name(name).experiment_id], run_view_type=view_type)


def test_cell_holds_what_its_files_hold(place, tmp_path):
    """Breaks if params, tags, epochs as steps, final metrics, or any artifact is lost on the way."""
    folder = make_run(tmp_path, one("anomaly/tumour/deviation/sap/auroc", Interval(0.8, 0.7, 0.85)))
    logged, client = import_runs([folder], place)
    run = client.get_run(logged["cohort"]["normal/vae/seed0"])
    tags = run.data.tags
    assert run.info.status == "FINISHED" and run.info.run_name == "normal/vae/seed0"
    expected = {"kind": "cell", "view": "normal", "model": "vae", "seed": "0", "origin": "simulated"}
    assert {key: tags[key] for key in expected} == expected
    assert tags["git_commit"] == "abc" and tags["data_hash"] == "d" * 64 and len(tags["content_hash"]) == 64
    assert run.data.params["hyperparameters/n_latent"] == "8"
    assert run.data.params["hyperparameters/n_hidden"] == "[64]"
    assert run.data.params["training/beta"] == "1.0" and run.data.params["n_vars"] == "20"
    stem = "anomaly/tumour/deviation/sap/auroc"
    final = {MSE: 0.5, AUROC: 0.9, stem: 0.8, f"{stem}_low": 0.7, f"{stem}_high": 0.85}
    assert {name: value for name, value in run.data.metrics.items() if not name.startswith("history/")} == final
    points = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "history/val_loss")}
    assert points == {epoch: 10.0 / epoch for epoch in range(1, 6)}
    names = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert names == {"model.safetensors", "model.json", "metrics.parquet", "figures"}
    fetched = client.download_artifacts(run.info.run_id, "figures/curve.png", str(tmp_path))
    assert Path(fetched).read_bytes() == PNG
    assert (place / "artifacts" / "cohort").is_dir(), "artifacts must lie beside the database"


def test_simulated_data_are_named_so(place, tmp_path):
    """Breaks if a person looking at an experiment of simulated data could take it for measurements, or the reverse."""
    folders = [make_run(tmp_path), make_run(tmp_path, dataset="mnist", origin="real")]
    logged, client = import_runs(folders, place)
    notes = {n: client.get_experiment_by_name(n).tags["mlflow.note.content"] for n in ("cohort", "mnist")}
    assert "SIMULATED" in notes["cohort"] and "SIMULATED" not in notes["mnist"]
    for name, count in (("cohort", 1), ("mnist", 0)):
        for run_id in logged[name].values():
            assert client.get_run(run_id).data.tags.get("mlflow.note.content", "").count("SIMULATED") == count


def test_second_import_changes_nothing(place, tmp_path):
    """Breaks if a repeated import logs a run twice, touches it, or writes to its artifacts."""
    folders = [make_run(tmp_path, seed=s, model=m) for s in (0, 1) for m in ("pca", "vae")]
    board = make_board(tmp_path, folders)
    first, client = import_runs(folders, place, [board])
    before = {r.info.run_id: r.to_dictionary() for r in all_runs(client)}
    files = {p: p.stat().st_mtime_ns for p in (place / "artifacts").rglob("*")}
    second, client = import_runs(folders, place, [board], another_tag="changes no content")
    assert second == first and len(first["cohort"]) == 7  # 4 cells, 2 summaries, 1 comparison
    assert {r.info.run_id: r.to_dictionary() for r in all_runs(client)} == before
    assert {p: p.stat().st_mtime_ns for p in (place / "artifacts").rglob("*")} == files


def test_comparison_run_holds_probes_and_figures(place, tmp_path):
    """Breaks if study probes or comparison figures are in the report alone, or permuted rows pass for real ones."""
    board = make_board(tmp_path, [make_run(tmp_path, seed=s, model=m) for s in (0, 1) for m in ("pca", "vae")])
    probes = {"stage": "support + align", "target": "study", "probe": ["zeros", "zeros"], "permuted": [False, True]}
    pd.DataFrame(probes | {"mean": [0.9, 0.5]}).to_parquet(board.parent / "probes.parquet")
    (board.parent / "probes.png").write_bytes(b"png")
    (board.parent / "gallery").mkdir()
    (board.parent / "gallery" / "roc.png").write_bytes(b"png")
    (board.parent / "gallery" / "roc.txt").write_text("What to see.")
    logged, client = import_runs([make_run(tmp_path, seed=0)], place, [board])
    run = client.get_run(logged["cohort"]["comparison"])
    assert run.data.tags["kind"] == "comparison"
    assert run.data.metrics["probe/support-align/study/zeros"] == 0.9
    assert run.data.metrics["probe/support-align/study/zeros/permuted"] == 0.5
    assert "probes.png" in [file.path for file in client.list_artifacts(run.info.run_id)]
    shown = [file.path for file in client.list_artifacts(run.info.run_id, "gallery")]
    assert shown == ["gallery/roc.png", "gallery/roc.txt"]


@pytest.mark.parametrize(
    "name", ["model.json", "metrics.parquet", "model.safetensors", "history.parquet", "figures/new.png"]
)
def test_changed_file_supersedes_its_run_and_summary(place, tmp_path, name):
    """Breaks if a file's change goes unseen, or if the run it replaces stays in view or is lost for good."""
    changed, kept = make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)
    first, _ = import_runs([changed, kept], place)
    if name == "history.parquet":
        pd.DataFrame({"epoch": [1], "val_loss": [3.0]}).to_parquet(changed / name)
    elif name == "model.json":
        (changed / name).write_text(json.dumps(json.loads((changed / name).read_text()) | {"n_more": 1}))
    elif name == "metrics.parquet":
        for folder in (changed, kept):  # every seed must have it
            write_metrics([*read_metrics(folder / name), one("generation/gmm/frechet", 1.0)], folder / name)
    else:
        (changed / name).write_bytes(b"other")
    second, client = import_runs([changed, kept], place)
    old, new = first["cohort"]["normal/vae/seed0"], second["cohort"]["normal/vae/seed0"]
    assert new != old and second["cohort"]["normal/vae"] != first["cohort"]["normal/vae"]
    if name != "metrics.parquet":
        assert second["cohort"]["normal/vae/seed1"] == first["cohort"]["normal/vae/seed1"]
    gone = client.get_run(old)
    assert gone.info.lifecycle_stage == "deleted" and gone.data.tags["superseded_by"] == new
    assert {r.info.run_id for r in all_runs(client, view_type=1)} == set(second["cohort"].values())


def test_unfinished_import_is_done_again(place, tmp_path):
    """Breaks if a killed import leaves a RUNNING run in view, or if its half is taken for the whole."""
    folder = make_run(tmp_path)
    first, client = import_runs([folder], place)
    old = first["cohort"]["normal/vae/seed0"]
    client.update_run(old, status="RUNNING")  # what a kill before the last step leaves
    second, client = import_runs([folder], place)
    assert second["cohort"]["normal/vae/seed0"] != old
    assert client.get_run(old).info.lifecycle_stage == "deleted"
    assert all(r.info.status == "FINISHED" for r in all_runs(client, view_type=1))


def test_runs_of_others_are_never_touched(place, tmp_path):
    """Breaks if a colleague's run of the same name on a shared server is deleted, or taken for one's own."""
    folder = make_run(tmp_path)
    first, client = import_runs([folder], place)
    theirs = first["cohort"]["normal/vae/seed0"]
    client.set_tag(theirs, OWNER, "somebody else")
    (folder / "model.safetensors").write_bytes(b"other")
    second, client = import_runs([folder], place)
    assert client.get_run(theirs).info.lifecycle_stage == "active"
    assert second["cohort"]["normal/vae/seed0"] != theirs


def test_cells_that_left_the_config_stay(place, tmp_path):
    """Breaks if a smaller config erases the history of a larger one."""
    a, b = make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)
    first, client = import_runs([a, b], place)
    import_runs([a], place)
    assert client.get_run(first["cohort"]["normal/vae/seed1"]).info.lifecycle_stage == "active"


def test_summary_is_mean_and_spread_over_seeds_beside_pca(place, tmp_path):
    """Breaks if a summary is not the plain mean and sample sd, or drops the difference to PCA or its verdict."""
    folders = [make_run(tmp_path, seed=s, mse=0.3 + s / 10, auroc=0.8) for s in range(3)]
    folders += [make_run(tmp_path, seed=s, model="pca", n_epochs=1) for s in range(3)]
    logged, client = import_runs(folders, place, [make_board(tmp_path, folders)])
    run = client.get_run(logged["cohort"]["normal/vae"])
    metrics = run.data.metrics
    assert run.data.tags["kind"] == "summary" and run.data.tags["n_seeds"] == "3"
    assert metrics["reconstruction/test/mse"] == pytest.approx(0.4)
    assert metrics["reconstruction/test/mse_sd"] == pytest.approx(0.1)
    assert metrics["reconstruction/test/mse_minus_pca"] == pytest.approx(-0.2)
    assert metrics["reconstruction/test/mse_minus_pca_high"] <= -0.2 + 1e-9
    verdict = "better than PCA: 1 of 2 metrics; not better than PCA: 1 of 2 metrics"
    assert run.data.tags["verdict"] == verdict
    note = run.data.tags["mlflow.note.content"]
    assert "| reconstruction/test/mse | 0.4 | 0.1 | -0.2 (-0.2 to -0.2) | better than PCA |" in note
    pca = client.get_run(logged["cohort"]["normal/pca"])
    assert not [name for name in pca.data.metrics if "minus_pca" in name] and "verdict" not in pca.data.tags


def test_one_seed_has_no_spread(place, tmp_path):
    """Breaks if the spread of a single seed is reported as 0 or NaN."""
    logged, client = import_runs([make_run(tmp_path)], place)
    assert "reconstruction/test/mse_sd" not in client.get_run(logged["cohort"]["normal/vae"]).data.metrics


def test_values_that_are_not_finite_are_named(place, tmp_path):
    """Breaks if NaN or infinity is logged (MLflow shows 1.8e308), or disappears without a word."""
    bad = [one("generation/gmm/frechet", math.nan), one("generation/gmm/mmd2", math.inf)]
    folder = make_run(tmp_path, *bad, one("generation/gmm/gamma", Interval(0.5, -math.inf, 0.6)))
    pd.DataFrame({"epoch": [1, 2], "val_loss": [1.0, math.nan]}).to_parquet(folder / "history.parquet")
    logged, client = import_runs([folder], place)
    for name, bad in (("normal/vae/seed0", ["history/val_loss"]), ("normal/vae", [])):
        run = client.get_run(logged["cohort"][name])
        expected = ["generation/gmm/frechet", "generation/gmm/gamma_low", "generation/gmm/mmd2", *bad]
        assert run.data.tags["not_finite"] == ", ".join(expected)
        assert all(math.isfinite(value) and abs(value) < 1e300 for value in run.data.metrics.values())


@pytest.mark.parametrize("undefined", [None, math.nan])
def test_a_metric_undefined_for_a_seed_is_named_and_the_others_count(place, tmp_path, undefined):
    """Breaks if one undefined value keeps every run out of MLflow, or leaves the mean of the others without a word."""
    name = "generation/gmm/mmd2"
    values = {0: 1.0, 1: undefined, 2: 4.0}
    folders = [
        make_run(tmp_path, *([] if value is None else [one(name, value)]), seed=seed) for seed, value in values.items()
    ]
    logged, client = import_runs(folders, place)
    run = client.get_run(logged["cohort"]["normal/vae"])
    assert run.data.metrics[name] == 2.5 and run.data.metrics[f"{name}_sd"] == pytest.approx(3 / math.sqrt(2))
    assert run.data.tags["incomplete"] == f"{name} without seed 1"
    assert name not in client.get_run(logged["cohort"]["normal/vae/seed1"]).data.metrics


def test_names_and_values_mlflow_refuses_are_logged_and_named(place, tmp_path, caplog):
    """Breaks if an odd name of a task or column ends the import after all training, or is changed without a word."""
    odd = ["anomaly/it's (cortex)/sap/auroc", "anomaly/it_s _cortex_/sap/auroc", "../../auroc", "a//b", "x" * 300]
    folder = make_run(tmp_path, *(replace(one(MSE, 0.1 * i), subject=name) for i, name in enumerate(odd)))
    info = json.loads((folder / "model.json").read_text())
    info["hyperparameters"] |= {"weights (%)": "w", "genes": ["GENE"] * 5000}
    (folder / "model.json").write_text(json.dumps(info))
    logged, client = import_runs([folder], place)
    run = client.get_run(logged["cohort"]["normal/vae/seed0"])
    values = [value for name, value in run.data.metrics.items() if name.startswith("reconstruction/") and name != MSE]
    assert sorted(values) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert run.data.metrics[f"reconstruction/{odd[1]}/mse"] == 0.1
    for name in (odd[0], odd[2], odd[3], "hyperparameters/weights (%)"):
        assert name in run.data.tags["renamed"] and name in caplog.text
    assert "run normal/vae/seed0" in caplog.text
    assert run.data.params["hyperparameters/genes"].endswith(" ... (40000 characters)")
    assert "w" in run.data.params.values()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400) | st.text("a.-_/ :?", max_size=12))
@example("..")
@example("a/./b\n")
@example("")
@example("..0")
def test_mlflow_takes_every_name(name):
    """Breaks if a name is changed into one that MLflow refuses, or one that it takes is changed."""
    changed = entries.accepted_name(name)
    _validate_metric(changed, 1.0, 0, 0)
    _validate_param(changed, "x")
    try:
        _validate_metric(name, 1.0, 0, 0)
    except MlflowException:
        assert changed != name
    else:
        assert changed == name or name.endswith("\n") or "..." in name


def two_folders(tmp_path):
    """Yield a run and its tracking folder of two results folders, a and b; the runs have one name."""
    for name in ("a", "b"):
        root = tmp_path / name
        yield make_run(root, seed=0, mse=0.1 if name == "a" else 0.9), root / "mlflow"


def test_two_results_folders_log_into_one_database(tmp_path, fresh):
    """Breaks if the second folder is refused, touches the first one's runs, or keeps its artifacts in the other."""
    database = tmp_path / "shared" / "runs.db"
    database.parent.mkdir()
    shutil.copy(fresh / "mlflow.db", database)
    uri = f"sqlite:///{database}"
    ids = []
    for _ in range(2):  # the second pass changes nothing
        for run, folder in two_folders(tmp_path):
            logged = log_runs([run], [], baseline="pca", uri=uri, folder=folder, tags={})
            ids.append(logged["cohort"]["normal/vae/seed0"])
    assert ids[:2] == ids[2:] and ids[0] != ids[1]
    client = MlflowClient(uri)
    for run_id, mse in zip(ids, (0.1, 0.9), strict=False):
        run = client.get_run(run_id)
        assert run.info.lifecycle_stage == "active" and run.data.metrics[MSE] == mse
        assert (database.parent / "artifacts" / "cohort" / run_id / "artifacts" / "model.json").is_file()
    for _, folder in two_folders(tmp_path):
        assert {path.name for path in folder.iterdir()} == {"results_id"}


def test_a_copied_results_folder_keeps_its_own_runs_in_a_shared_database(tmp_path, fresh, caplog):
    """Breaks if a copy, which brings the id of the original along, takes the other's runs for its own older ones."""
    database = tmp_path / "runs.db"
    shutil.copy(fresh / "mlflow.db", database)
    arguments = {"baseline": "pca", "uri": f"sqlite:///{database}", "tags": {}}
    run = make_run(tmp_path / "a", seed=0, mse=0.1)
    first = log_runs([run], [], folder=tmp_path / "a" / "mlflow", **arguments)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = make_run(tmp_path / "b", seed=0, mse=0.9)
    second = log_runs([copy], [], folder=tmp_path / "b" / "mlflow", **arguments)
    assert f"is a copy of {tmp_path / 'a' / 'mlflow'}" in caplog.text
    assert log_runs([run], [], folder=tmp_path / "a" / "mlflow", **arguments) == first
    client = MlflowClient(arguments["uri"])
    for logged in (first, second):
        assert client.get_run(logged["cohort"]["normal/vae/seed0"]).info.lifecycle_stage == "active"
    (tmp_path / "b").rename(tmp_path / "moved")  # not a copy: it stays who it was
    moved = tmp_path / "moved"
    assert log_runs([moved / copy.relative_to(tmp_path / "b")], [], folder=moved / "mlflow", **arguments) == second


@pytest.mark.parametrize("content", ["", "\n", "not an id\n"])
def test_a_file_without_an_id_is_named(tmp_path, content):
    """Breaks if two results folders with a damaged id are taken for one."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    (folder / "results_id").write_text(content)
    with pytest.raises(ConfigError, match=r"results_id: expected the id of a results folder"):
        log_runs([make_run(tmp_path)], [], baseline="pca", uri=None, folder=folder, tags={})


def test_a_shared_database_keeps_the_place_of_its_artifacts(tmp_path, fresh):
    """Breaks if an experiment made elsewhere is refused, or the advice, once its folder is gone, does not help."""
    database, elsewhere = tmp_path / "runs.db", tmp_path / "else where"
    shutil.copy(fresh / "mlflow.db", database)
    elsewhere.mkdir()
    uri = f"sqlite:///{database}"
    MlflowClient(uri).create_experiment("cohort", artifact_location=elsewhere.as_uri())
    arguments = {"baseline": "pca", "uri": uri, "folder": tmp_path / "a", "tags": {}}
    logged = log_runs([make_run(tmp_path)], [], **arguments)["cohort"]["normal/vae/seed0"]
    assert (elsewhere / logged / "artifacts" / "model.json").is_file()
    moved = elsewhere.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match=r"'cohort' keeps its artifacts in .*else where, which does not exist") as e:
        log_runs([make_run(tmp_path, seed=1)], [], **arguments)
    assert "delete" not in str(e.value) and not elsewhere.exists()
    command = re.search(r"ln -s NEW_FOLDER '[^']*'", str(e.value))[0]
    subprocess.run(["sh", "-c", command.replace("NEW_FOLDER", str(moved))], check=True)
    logged = log_runs([make_run(tmp_path, seed=1)], [], **arguments)["cohort"]["normal/vae/seed1"]
    assert (moved / logged / "artifacts" / "model.json").is_file()


@pytest.mark.parametrize("source", ["configuration", "environment", "nothing", "blank"])
def test_where_runs_go(tmp_path, fresh, monkeypatch, caplog, source):
    """Breaks if MLFLOW_TRACKING_URI is passed over, or outdoes the configuration, or the log does not say what won."""
    caplog.set_level(logging.INFO)
    paths = {name: tmp_path / name / "mlflow.db" for name in ("configured", "environment", "own")}
    for path in paths.values():
        path.parent.mkdir()
        shutil.copy(fresh / "mlflow.db", path)
    uri = f"sqlite:///{paths['configured']}" if source == "configuration" else None
    if source != "nothing":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", " " if source == "blank" else f"sqlite:///{paths['environment']}")
    log_runs([make_run(tmp_path)], [], baseline="pca", uri=uri, folder=tmp_path / "own", tags={})
    used = {"configuration": "configured", "environment": "environment"}.get(source, "own")
    for name, path in paths.items():
        with closing(sqlite3.connect(path)) as connection:
            n_runs = connection.execute("select count(*) from runs").fetchone()[0]
        assert n_runs == (2 if name == used else 0)
    reason = {
        "configuration": "tracking.uri .*configured.*: the configuration says so",
        "environment": "MLFLOW_TRACKING_URI .*environment.*: the environment sets MLFLOW_TRACKING_URI",
    }
    assert re.search("runs go to " + reason.get(source, ".*own/mlflow.db: neither"), caplog.text)


def test_a_bad_address_of_the_environment_is_named_as_such(tmp_path, monkeypatch):
    """Breaks if a person looks for a fault of the shell's variable in the configuration."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+none://me:secret@localhost/runs")
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI 'postgresql\+none://me:\*\*\*@.*No result is lost"):
        log_runs([make_run(tmp_path)], [], baseline="pca", uri=None, folder=tmp_path / "mlflow", tags={})


def test_what_a_killed_import_left_is_removed(place, tmp_path):
    """Breaks if half a database stays beside the whole one for ever."""
    for name in (".mlflow.db.12.tmp", ".mlflow.db.12.tmp-journal", ".results_id.7.tmp"):
        (place / name).write_bytes(b"half")
    import_runs([], place)
    assert {path.name for path in place.iterdir()} == {"mlflow.db", "results_id"}


def test_more_than_mlflow_takes_at_once(place, tmp_path):
    """Breaks if 1000 metrics, 100 params or 100 tags in one request are exceeded."""
    folder = make_run(tmp_path, n_epochs=2500)
    info = json.loads((folder / "model.json").read_text())
    info["hyperparameters"] = {f"h{i}": i for i in range(230)}
    (folder / "model.json").write_text(json.dumps(info))
    logged, client = import_runs([folder], place, **{f"tag{i}": "x" for i in range(150)})
    run = client.get_run(logged["cohort"]["normal/vae/seed0"])
    assert len(client.get_metric_history(run.info.run_id, "history/val_loss")) == 2500
    assert run.data.params["hyperparameters/h229"] == "229" and run.data.tags["tag149"] == "x"


@pytest.mark.parametrize("name", ["model.json", "metrics.parquet", "history.parquet", "model.safetensors"])
def test_missing_file_stops_before_anything_is_logged(place, tmp_path, name):
    """Breaks if half a run, or runs before it in the list, are logged although a file is missing."""
    good, bad = make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)
    (bad / name).unlink()
    with pytest.raises(DataError, match=rf"seed1: {name}"):
        import_runs([good, bad], place)
    assert MlflowClient(sqlite_uri(place / "mlflow.db")).get_experiment_by_name("cohort") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1', r"model\.json: not JSON.*line 1"),
        ("[1]", r"model\.json: must hold an object, found list"),
        ('{"dataset": "cohort"}', r"model\.json: no key 'view'"),
    ],
)
def test_bad_description_is_named(place, tmp_path, text, message):
    """Breaks if the error of a damaged file does not say which file and what is in it."""
    folder = make_run(tmp_path)
    (folder / "model.json").write_text(text)
    with pytest.raises(DataError, match=message):
        import_runs([folder], place)


def test_bad_metrics_are_named(place, tmp_path):
    """Breaks if damaged metrics are logged, or the error does not say which file and what is in it."""
    folder = make_run(tmp_path)
    path = folder / "metrics.parquet"
    good = pd.read_parquet(path)
    for bad, message in (
        (good.drop(columns="direction"), r"metrics\.parquet: columns must be"),
        (good.assign(value="high"), r"metrics\.parquet: column 'value' must hold numbers, found 'high'"),
        (good.assign(direction="up"), r"metrics\.parquet: direction must be one of .*, found 'up'"),
    ):
        bad.to_parquet(path)
        with pytest.raises(DataError, match=message):
            import_runs([folder], place)
    path.write_bytes(b"no Parquet at all")
    with pytest.raises(DataError, match=r"metrics\.parquet: not Parquet"):
        import_runs([folder], place)


def test_contradictions_are_errors(place, tmp_path):
    """Breaks if one run given twice, or mixed origins, pass unseen."""
    folder = make_run(tmp_path)
    with pytest.raises(DataError, match="'normal/vae/seed0' of 'cohort' is given twice"):
        import_runs([folder, folder], place)
    with pytest.raises(DataError, match="disagree on origin"):
        import_runs([folder, make_run(tmp_path, seed=1, origin="real")], place)


@pytest.fixture
def no_client(monkeypatch):
    """A test in which MLflow's own client, with minutes of retries, must not be asked."""

    def refused(*args, **keywords):
        raise AssertionError("MLflow's client was asked")

    monkeypatch.setattr(tracking, "MlflowClient", refused)


@pytest.mark.usefixtures("no_client")
def test_broken_database_is_named_at_once(place, tmp_path):
    """Breaks if MLflow's own two minutes of retries come before the message, or notes of the UI are to be deleted.

    The command in the message is run: the database must work again, and no byte of the old one may be gone.
    """
    bad = b"no database at all" * 100
    for name in ("mlflow.db", "mlflow.db.damaged1", "mlflow.db-shm"):
        (place / name).write_bytes(bad)
    with pytest.raises(ConfigError, match=r"mlflow\.db: this is no database, or a damaged one") as caught:
        import_runs([make_run(tmp_path)], place)
    assert "delete" not in str(caught.value)
    command = re.search(r"(mv -n .*?)\nSQLite says", str(caught.value), re.DOTALL)[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert not list(place.glob("mlflow.db")) and not list(place.glob("mlflow.db-shm"))
    for name in ("mlflow.db.damaged1", "mlflow.db.damaged2", "mlflow.db.damaged2-shm"):
        assert (place / name).read_bytes() == bad


def test_moved_folder_keeps_its_runs_and_notes(place, tmp_path):
    """Breaks if a move loses notes or artifacts, logs runs twice, or writes to the old place, outside the project."""
    a, b = make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)
    first, client = import_runs([a], place)
    run_id = first["cohort"]["normal/vae/seed0"]
    client.set_tag(run_id, "mlflow.note.content", "written in the UI")
    moved = place.rename(tmp_path / "moved?")
    second, client = import_runs([a, b], moved)
    assert second["cohort"]["normal/vae/seed0"] == run_id
    assert client.get_run(run_id).data.tags["mlflow.note.content"] == "written in the UI"
    for seed in (0, 1):
        run = client.get_run(second["cohort"][f"normal/vae/seed{seed}"])
        assert run.info.artifact_uri.startswith(moved.as_uri() + "/")
        assert Path(client.download_artifacts(run.info.run_id, "figures/curve.png")).read_bytes() == PNG
    assert not place.exists()


def test_copied_folder_leaves_the_original_alone(place, tmp_path):
    """Breaks if a copy of a results folder writes its artifacts into the original's folder."""
    import_runs([make_run(tmp_path, seed=0)], place)
    copy = shutil.copytree(place, tmp_path / "copy")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    import_runs([make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)], copy)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_database_moved_without_artifacts_says_how_to_bring_them(place, tmp_path):
    """Breaks if runs would lose their artifacts without a word, or if what the message advises does not help."""
    folder = make_run(tmp_path)
    first, _ = import_runs([folder], place)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("mlflow.db", "results_id"):
        (place / name).rename(moved / name)
    with pytest.raises(ConfigError, match="moved without them") as caught:
        import_runs([folder], moved)
    subprocess.run(["sh", "-c", str(caught.value).partition("run again: ")[2]], check=True)
    second, client = import_runs([folder], moved)
    assert second == first
    assert client.get_run(first["cohort"]["normal/vae/seed0"]).info.artifact_uri.startswith(moved.as_uri() + "/")
    assert client.list_artifacts(first["cohort"]["normal/vae/seed0"])


def test_database_keeps_the_rollback_journal(fresh):
    """Breaks if the database is switched to WAL, which fails on NFS, or left half made beside its name."""
    with sqlite3.connect(fresh / "mlflow.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("delete",)
    assert {path.name for path in fresh.iterdir()} == {"mlflow.db", "results_id"}


@pytest.fixture
def silent_port():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []
        threading.Thread(target=lambda: [kept.append(server.accept()) for _ in range(20)], daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.usefixtures("no_client")
@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_dead_server_fails_soon_and_loses_nothing(tmp_path, kind, silent_port, monkeypatch):
    """Breaks if a dead server costs minutes, gives an unclear error, shows a password, or harms the files."""
    assert tracking.PROBE_SECONDS <= 4  # tried twice, hence 10 s
    monkeypatch.setattr(tracking, "PROBE_SECONDS", 1)
    asked = []
    request = tracking.http_request
    monkeypatch.setattr(
        tracking, "http_request", lambda *a, **keywords: (asked.append(keywords), request(*a, **keywords))
    )
    port = silent_port
    if kind == "closed":
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
    folder = make_run(tmp_path)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match=rf"tracking.uri 'http://me:\*\*\*@127.0.0.1:{port}'.*No result is lost") as e:
        log_runs(
            [folder], [], baseline="pca", uri=f"http://me:secret@127.0.0.1:{port}", folder=tmp_path / "mlflow", tags={}
        )
    assert [(keywords["max_retries"], keywords["timeout"]) for keywords in asked] == [(1, 1)]
    assert "secret" not in str(e.value)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_compare_link_names_runs_and_experiment():
    """Breaks if the UI's address for comparing runs is not quoted as the UI expects."""
    link = compare_link("http://127.0.0.1:5000/", "7", ["a", "b"])
    page, _, query = link.partition("?")
    assert page == "http://127.0.0.1:5000/#/compare-runs"
    asked = urllib.parse.parse_qs(query, strict_parsing=True)
    assert asked == {"runs": ['["a", "b"]'], "experiments": ['["7"]'], "workflowType": ["machine_learning"]}

"""SQLite databases of MLflow: addresses that open the file meant, and refusals told apart by cause."""

import shutil
import sqlite3
import threading
from contextlib import closing

import pytest
from mlflow import MlflowClient
from mlflow.db import upgrade
from sqlalchemy import create_engine, text

from aeflow.errors import ConfigError
from aeflow.tracking import database
from aeflow.tracking.database import check_database, named_failure, sqlite_path, sqlite_uri
from aeflow.tracking.log import log_runs

ODD = ["is it good?", "a#b", "50% x%20y", "it's {x} ü;", "a&b=c?uri=false", "x*[1]", 'quo"te\\', "a@b:c", "new\nline"]


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database of MLflow without runs; tests copy it, since creation takes 1 to 4 s."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    upgrade.callback(sqlite_uri(path))
    return path


@pytest.fixture
def path(empty, tmp_path):
    return shutil.copy(empty, tmp_path / "mlflow.db")


def log_nothing(folder, uri=None):
    return log_runs([], [], baseline="pca", uri=uri, folder=folder, tags={})


@pytest.mark.parametrize("name", ODD)
def test_mlflow_opens_the_file_meant(empty, tmp_path, monkeypatch, name):
    """Breaks if a character of a folder's name is read as syntax: another file is opened, or a stray one is left."""
    here, folder = tmp_path / "here", tmp_path / name
    here.mkdir()
    folder.mkdir()
    monkeypatch.chdir(here)
    path = shutil.copy(empty, folder / "mlflow.db")
    uri = sqlite_uri(path)
    client = MlflowClient(uri)
    client.create_experiment("mine", artifact_location=(folder / "artifacts").as_uri())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select name from experiments where name = 'mine'").fetchone()
    run = client.create_run(client.get_experiment_by_name("mine").experiment_id)
    client.log_artifact(run.info.run_id, __file__)
    assert (folder / "artifacts" / run.info.run_id / "artifacts" / "test_database.py").is_file()
    assert sqlite_path(uri, "") == path
    assert list(here.iterdir()) == [] and {p.name for p in tmp_path.iterdir()} == {"here", name}


@pytest.mark.parametrize("name", [ODD[0], ODD[3]])
def test_an_own_database_is_made_in_any_folder(tmp_path, name):
    """Breaks if a results folder with a question mark in its path gets no database, or one beside it."""
    log_nothing(tmp_path / name / "mlflow")
    assert {p.name for p in (tmp_path / name / "mlflow").iterdir()} == {"mlflow.db", "results_id"}
    assert {p.name for p in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "sqlite:////work/is it good?/runs.db",
            r"read as settings, .*'/work/is it good'.* write 'sqlite\+pysqlite:///f",
        ),
        ("sqlite:////work/a?b=c/runs.db", "read as settings"),
        ("sqlite:///runs.db?timeout=5&x", "read as settings"),
        ("sqlite://work/runs.db", "'work' is read as a host; an absolute path has four slashes"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:runs.db", "must be like sqlite:////folder/runs.db"),
        ("sqlite:////runs.db?uri=perhaps", "must be like sqlite:////folder/runs.db"),
    ],
)
def test_an_address_of_another_file_is_refused(tmp_path, monkeypatch, uri, message):
    """Breaks if runs go to another file than the one written, or the refusal leaves one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"tracking.uri.*{message}"):
        log_nothing(tmp_path / "mlflow", uri)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////a/b c/runs.db", "/a/b c/runs.db"),
        ("sqlite:///runs.db?timeout=5", "runs.db"),
        ("sqlite:///file:/a/b%3F.db?uri=true&mode=rw", "/a/b?.db"),
        ("http://host/sqlite", None),
        ("postgresql://host/x", None),
    ],
)
def test_the_file_of_an_address(uri, path):
    """Breaks if a plain address is refused, or its file is not the one that SQLAlchemy opens."""
    found = sqlite_path(uri, "tracking.uri")
    assert (str(found) if found else None) == path


def test_a_held_database_is_waited_for(path, monkeypatch):
    """Breaks if a database that another program holds for a moment ends the job."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 600.0)
    outcome = []
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        thread = threading.Thread(target=lambda: outcome.append(check_database(path)), daemon=True)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "must wait while the database is held"
        holder.execute("rollback")
    thread.join(120)
    assert outcome == [None]


@pytest.mark.parametrize("held", ["begin exclusive", "begin immediate", "begin; select * from experiments"])
@pytest.mark.parametrize("configured", [True, False])
def test_a_database_held_for_long_is_named(path, monkeypatch, held, configured):
    """Breaks if a sound database is called broken, or its owner is told to delete it."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        for statement in held.split(";"):
            cursor = holder.execute(statement)
        cursor.fetchone()
        with pytest.raises(ConfigError, match=r"mlflow\.db: another program holds this database") as caught:
            log_nothing(path.parent, f"sqlite:///{path}" if configured else None)
    for word in ("delete", "remove", "mv "):
        assert word not in str(caught.value)
    assert "No result is lost" in str(caught.value)
    assert path.read_bytes() == before
    log_nothing(path.parent)


def test_a_lock_that_comes_later_is_named_too(path):
    """Breaks if only the first look finds a lock, and MLflow's wrapped error passes unexplained."""
    engine = create_engine(f"sqlite:///{path}?timeout=0")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        with pytest.raises(ConfigError, match="another program holds"), named_failure(path), engine.connect() as c:
            c.execute(text("select * from experiments"))


def test_a_truncated_database_is_damaged_not_held(path):
    """Breaks if damage after a sound header, such as a full disk leaves, passes as something else."""
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ConfigError, match="or a damaged one") as caught:
        check_database(path)
    assert "delete" not in str(caught.value)


def test_a_folder_in_its_place_cannot_be_opened(tmp_path):
    """Breaks if what cannot be opened is called damaged."""
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(ConfigError, match="it cannot be written"):
        log_nothing(tmp_path)


@pytest.mark.parametrize("configured", [True, False])
def test_a_database_of_a_newer_mlflow_is_left_alone(path, configured):
    """Breaks if it is called out of date, or anything in it is changed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = 'f00dfeed'")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"another MLflow, a newer one most likely .*'f00dfeed'"):
        log_nothing(path.parent, f"sqlite:///{path}" if configured else None)
    assert path.read_bytes() == before

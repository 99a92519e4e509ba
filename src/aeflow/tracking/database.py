"""SQLite databases of MLflow: their addresses, and what can keep a run from being logged, told apart by cause."""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import mlflow
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import asbool

from aeflow.errors import ConfigError

LOCK_SECONDS = 30.0  # how long to wait for another program that holds a database
# what a query of an SQLite address may hold (sqlalchemy.dialects.sqlite.pysqlite)
SETTINGS = {"uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"}
NOTHING_LOST = "No result is lost: all of them are files, and the next run of this job logs what is missing."


def sqlite_uri(path: Path) -> str:
    """Return the address under which MLflow opens `path`, whatever characters are in it.

    A plain sqlite:///PATH ends at the first question mark, hence SQLite's own file: form, whose path is quoted. MLflow
    makes the folders of an address that begins with sqlite:/// by a reading of its own, hence the driver in the name.
    """
    database = path.resolve().as_uri().replace("file://", "file:", 1)
    return URL.create("sqlite+pysqlite", database=database, query={"uri": "true"}).render_as_string()


def sqlite_path(uri: str, origin: str) -> Path | None:
    """Return the file of an address of SQLite, None for any other kind of address.

    origin : where the address was found, for messages.

    Raises
    ------
    ConfigError
        The address names no file, or another file than it seems to.
    """
    if not uri.lower().startswith("sqlite"):
        return None
    try:
        url = make_url(uri)
        is_uri = asbool(url.query.get("uri", "false"))
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"{origin} {uri!r}: {error}; it must be like sqlite:////folder/runs.db") from error
    if url.host:
        raise ConfigError(
            f"{origin} {uri!r}: {url.host!r} is read as a host; an absolute path has four slashes, as in "
            "sqlite:////folder/runs.db, a relative one three"
        )
    if url.database in (None, "", ":memory:"):
        raise ConfigError(f"{origin} {uri!r} names no file: the runs would be gone when the job ends")
    query = uri.partition("?")[2]
    unknown = [key for key, _ in parse_qsl(query, keep_blank_values=True) if key not in SETTINGS]
    if unknown and not is_uri:
        meant = Path(uri.removeprefix("sqlite:///"))
        raise ConfigError(
            f"{origin} {uri!r}: what follows the question mark is read as settings, and the file as {url.database!r}; "
            f"if it belongs to the path, write {sqlite_uri(meant)!r}"
        )
    return Path(unquote(urlsplit(url.database).path) if is_uri else url.database)


def check_database(path: Path) -> None:
    """Return once nobody holds the database `path` and MLflow can use it.

    Raises
    ------
    ConfigError
        Another program holds it for longer than LOCK_SECONDS, it cannot be written, is damaged, or was written by an
        MLflow that this one does not know.
    """
    with named_failure(path), _open(path) as connection:
        connection.execute("begin exclusive")  # waits; MLflow would try again for two minutes
        made = connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
        found = connection.execute("select version_num from alembic_version").fetchall() if made else []
        connection.execute("rollback")
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    for (revision,) in found:
        try:
            scripts.get_revision(revision)
        except CommandError as error:
            raise ConfigError(
                f"{path}: this database was last written by another MLflow, a newer one most likely (its schema "
                f"{revision!r} is unknown to MLflow {mlflow.__version__}). Nothing in it was changed. Use that version "
                f"of MLflow, or name another database in tracking.uri. {NOTHING_LOST}"
            ) from error


def relocate(path: Path, experiment_id: str, old: str, new: str) -> None:
    """Replace `old`, the address of an experiment's artifacts, by `new` in the database: its runs' addresses, too.

    MLflow stores absolute addresses and has no function to change them; all else of the runs stays as it is.
    """
    with named_failure(path), _open(path) as connection:
        connection.execute("begin immediate")
        connection.execute("update experiments set artifact_location = ? where experiment_id = ?", (new, experiment_id))
        connection.execute(
            "update runs set artifact_uri = ? || substr(artifact_uri, ?) "
            "where experiment_id = ? and substr(artifact_uri, 1, ?) = ?",
            (new, len(old) + 1, experiment_id, len(old), old),
        )
        connection.execute("commit")


@contextlib.contextmanager
def named_failure(path: Path) -> Iterator[None]:
    """Raise ConfigError with cause and way out where SQLite refuses the database `path` in the block."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise ConfigError(f"{path}: {_advice(refusal, path)}\nSQLite says: {refusal}") from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        yield connection


def _refusal(error: BaseException | None) -> sqlite3.Error | None:
    """Return the error of SQLite that led to `error`; SQLAlchemy and MLflow wrap it."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return error if hasattr(error, "sqlite_errorcode") else None


def _advice(refusal: sqlite3.Error, path: Path) -> str:
    match refusal.sqlite_errorcode & 0xFF:  # the primary code
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                "another program holds this database: an MLflow UI, a second run of aeflow, or a database browser with "
                f"unsaved changes, say (`fuser -v {shlex.quote(str(path))}` lists those of this computer). End it or "
                f"wait for it, then run again. {NOTHING_LOST}"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"it cannot be written: look at the permissions of the file and its folder. {NOTHING_LOST}"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return f"its disk is full, over quota, or fails. {NOTHING_LOST}"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                f"this is no database, or a damaged one. {NOTHING_LOST} Notes and tags made in the MLflow UI are in "
                f"this file alone: restore it from a copy, or move it aside and run again: {_move_aside(path)}"
            )
    return f"this database cannot be used. {NOTHING_LOST}"


def _move_aside(path: Path) -> str:
    """Return the command that moves a database, with the journals SQLite keeps beside it, to names that are free."""
    companions = [end for end in ("", "-journal", "-wal", "-shm") if Path(f"{path}{end}").exists()]
    number = 1
    while any(Path(f"{path}.damaged{number}{end}").exists() for end in companions):
        number += 1
    pairs = ((f"{path}{end}", f"{path}.damaged{number}{end}") for end in companions)
    return "; ".join(f"mv -n {shlex.quote(old)} {shlex.quote(new)}" for old, new in pairs)

"""MLflow as a view of finished run folders; the only module that imports mlflow.

Files are the truth: `log_runs` imports them, changes nothing in them, and may be repeated at will. One experiment is
one dataset; one flat run is one view, model and seed (tag kind=cell) or one view and model over its seeds
(kind=summary), because the MLflow UI compares flat runs well and collapses nested ones.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# read by MLflow when imported or used; a user's own values stand
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default, 7, retries for four minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

from mlflow import MlflowClient
from mlflow.db import upgrade
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.rest_utils import http_request
from mlflow.utils.uri import is_local_uri
from sqlalchemy.exc import SQLAlchemyError

from aeflow.errors import ConfigError
from aeflow.files import atomic_path, remove_orphans
from aeflow.tracking.database import NOTHING_LOST, check_database, named_failure, relocate, sqlite_path, sqlite_uri
from aeflow.tracking.entries import Entry, read_entries

log = logging.getLogger(__name__)
OWNER = "aeflow.results_id"  # run tag: the results folder a run belongs to; no run of another folder is ever touched
MAX_METRICS, MAX_PARAMS, MAX_TAGS = 800, 100, 100  # of one log_batch; MLflow allows 1000 in sum
PROBE_SECONDS = 4  # how long a server may take to say that it is there; tried twice
LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow server` listens if not told otherwise
RESULTS_ID = re.compile("[0-9a-f]{32}")
URI_VARIABLE = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Target:
    """Where runs go.

    origin : the key or variable that says so; empty where neither does.
    database : file of an SQLite database, else None.
    is_own : whether that is the results folder's own database, which nobody else logs to.
    artifacts : folder for artifacts of new experiments; None where a server has its own place.
    """

    uri: str
    origin: str
    database: Path | None
    is_own: bool
    artifacts: Path | None

    def __str__(self) -> str:
        return f"{self.origin} {_without_password(self.uri, self.uri)!r}" if self.origin else str(self.database)


def log_runs(
    run_folders: list[Path],
    comparisons: list[Path],
    *,
    baseline: str,
    uri: str | None,
    folder: Path,
    tags: dict[str, str],
) -> dict[str, dict[str, str]]:
    """Import finished runs into MLflow; runs that are there already, with the same bytes, are left alone.

    A run whose files have changed since is logged anew and the old one soft-deleted (tag superseded_by). A run that
    a killed import left unfinished is deleted and done again. Runs that left the config stay, as history.

    Parameters
    ----------
    run_folders : folders with model.json, metrics.parquet, history.parquet, model.safetensors and figures/*.png.
    comparisons : leaderboard.parquet files, for the difference to the baseline of the summary runs.
    baseline : name of the model that others are compared with.
    uri : MLflow tracking URI of the configuration; None means the one of the environment variable MLFLOW_TRACKING_URI,
        and without it SQLite at folder/mlflow.db. That is created, or upgraded, first; its journal mode stays as it is:
        with a single writer WAL gains nothing, and it does not work on NFS. Several results folders may share a
        database or a server.
    folder : where the own database and the id of the results folder lie. Artifacts of new experiments lie beside an
        SQLite database, at a server where it keeps them, for other databases here.
    tags : further tags of every run, such as git_commit.

    Returns
    -------
    {experiment: {run name: run id}} of the runs given.

    Raises
    ------
    DataError
        A file is missing or contradicts another one; found before anything is logged.
    ConfigError
        The server does not answer (after about 10 s), or the database cannot be used; the message says why.
    """
    entries = read_entries(run_folders, comparisons, baseline)
    folder = Path(folder)
    target = _target(uri, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("results_id", "mlflow.db"):
        remove_orphans(folder / name)
    owner = _results_id(folder / "results_id", shared=not target.is_own)
    logged: dict[str, dict[str, str]] = {}
    with _explained(target):
        _check(target)
        client = MlflowClient(tracking_uri=target.uri)
        for name in sorted({entry.experiment for entry in entries}):
            of_name = [entry for entry in entries if entry.experiment == name]
            experiment_id = _experiment(client, target, of_name[0])
            logged[name] = _log_experiment(client, experiment_id, of_name, {**tags, OWNER: owner})
            summaries = [logged[name][entry.name] for entry in of_name if entry.kind == "summary"]
            server = target.uri if _is_server(target.uri) else LOCAL_UI
            log.info("%s: compare in the UI: %s", name, compare_link(server, experiment_id, summaries))
    return logged


def _target(configured: str | None, folder: Path) -> Target:
    """Return where runs go: what the configuration says, else the environment, else the results folder's own database.

    It is decided here alone, and logged with its reason.
    """
    own = folder.resolve() / "mlflow.db"
    asked = os.environ.get(URI_VARIABLE, "").strip()
    if configured:
        uri, origin, reason = configured, "tracking.uri", "the configuration says so"
    elif asked:
        uri, origin, reason = asked, URI_VARIABLE, f"the environment sets {URI_VARIABLE}, and tracking.uri is not set"
    else:
        uri, origin, reason = sqlite_uri(own), "", f"neither tracking.uri nor {URI_VARIABLE} is set"
    database = sqlite_path(uri, origin)
    beside = database.resolve().parent if database else own.parent
    is_own = database is not None and database.resolve() == own
    target = Target(uri, origin, database, is_own, None if _is_server(uri) else beside / "artifacts")
    log.info("runs go to %s: %s", target, reason)
    return target


def compare_link(server: str, experiment_id: str, run_ids: list[str]) -> str:
    """Return the address of the MLflow UI's page that compares `run_ids`, in its mode for model training."""
    runs, experiments = (urllib.parse.quote(json.dumps(ids)) for ids in (run_ids, [experiment_id]))
    page = f"#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"
    return f"{_without_password(server, server).rstrip('/')}/{page}"


def _log_experiment(
    client: MlflowClient, experiment_id: str, entries: list[Entry], tags: dict[str, str]
) -> dict[str, str]:
    present: dict[str, list] = {}
    for run in _own_runs(client, experiment_id, tags[OWNER]):
        present.setdefault(run.data.tags.get("key", ""), []).append(run)
    ids, n_new = {}, 0
    for entry in entries:
        runs = present.get(entry.name, [])
        same = [r for r in runs if r.info.status == "FINISHED" and r.data.tags["content_hash"] == entry.content_hash]
        n_new += not same
        run_id = same[0].info.run_id if same else _log_entry(client, experiment_id, entry, tags)
        for run in runs:  # only now, so that a kill in between loses nothing
            if run.info.run_id != run_id:
                client.set_tag(run.info.run_id, "superseded_by", run_id)
                client.delete_run(run.info.run_id)
        ids[entry.name] = run_id
    log.info("%s: %d runs logged, %d were there", entries[0].experiment, n_new, len(entries) - n_new)
    return ids


def _own_runs(client: MlflowClient, experiment_id: str, owner: str) -> Iterator:
    token = None
    while True:
        page = client.search_runs([experiment_id], f"tags.`{OWNER}` = '{owner}'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _log_entry(client: MlflowClient, experiment_id: str, entry: Entry, tags: dict[str, str]) -> str:
    identity = {OWNER: tags[OWNER], "key": entry.name, "kind": entry.kind}  # what the next import knows it by
    run = client.create_run(experiment_id, start_time=entry.start, run_name=entry.name, tags=identity)
    run_id = run.info.run_id
    metrics = [Metric(name, value, entry.end, step) for name, value, step in entry.metrics]
    params = [Param(name, value) for name, value in entry.params.items()]
    run_tags = [RunTag(name, str(value)) for name, value in {**tags, **entry.tags}.items()]
    run_tags.append(RunTag("content_hash", entry.content_hash))
    while metrics or params or run_tags:
        client.log_batch(run_id, metrics[:MAX_METRICS], params[:MAX_PARAMS], run_tags[:MAX_TAGS])
        metrics, params, run_tags = metrics[MAX_METRICS:], params[MAX_PARAMS:], run_tags[MAX_TAGS:]
    for path, where in entry.artifacts.items():
        client.log_artifact(run_id, str(path), where)
    client.set_terminated(run_id, end_time=entry.end)
    return run_id


def _experiment(client: MlflowClient, target: Target, entry: Entry) -> str:
    """Return the id of the entry's experiment, made or restored if need be, its description up to date."""
    place = target.artifacts / entry.experiment if target.artifacts else None
    found = client.get_experiment_by_name(entry.experiment)
    if found is None:
        experiment_id = client.create_experiment(entry.experiment, artifact_location=place.as_uri() if place else None)
    else:
        experiment_id = found.experiment_id
        if place and found.artifact_location != place.as_uri():
            _settle_artifacts(target, entry.experiment, experiment_id, found.artifact_location, place)
        if found.lifecycle_stage == "deleted":
            log.warning("experiment %s was deleted in MLflow and is restored", entry.experiment)
            client.restore_experiment(experiment_id)
    simulated = entry.tags["origin"] == "simulated"
    note = (
        f"{'**SIMULATED data, not measurements.** ' if simulated else ''}Dataset `{entry.experiment}`: autoencoders "
        "beside PCA. Runs tagged `kind=cell` are one view, model and seed each, with losses per epoch; runs tagged "
        "`kind=summary` are one view and model each: mean and `_sd` over seeds, and `_minus_pca`, the difference to "
        "PCA. Imported from the files of the workflow, which are the truth."
    )
    for key, value in {"mlflow.note.content": note, "origin": entry.tags["origin"]}.items():
        if found is None or found.tags.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def _settle_artifacts(target: Target, name: str, experiment_id: str, location: str, place: Path) -> None:
    """Make sure that artifacts of an experiment kept at `location`, not at `place`, can be written.

    MLflow stores absolute addresses. In the own database another one means that the results folder was moved or
    copied: its artifacts came along, and the database is told. In a shared one the experiment keeps its place.
    """
    old = Path(local_file_uri_to_path(location)) if is_local_uri(location) else None
    if not target.is_own:
        if old is not None and not os.access(old, os.W_OK):
            problem = "you cannot write to" if old.exists() else "does not exist here"
            raise ConfigError(
                f"{target}: the experiment {name!r} keeps its artifacts in {old}, which {problem}. Make it accessible "
                f"(where it was moved: ln -s NEW_FOLDER {shlex.quote(str(old))}; where it is gone for good: mkdir -p), "
                f"or name another database in tracking.uri, and run again. {NOTHING_LOST}"
            )
        log.info("%s: artifacts go where this experiment of a shared database keeps them: %s", name, location)
        return
    if old is not None and old.is_dir() and not place.is_dir():
        here, there = shlex.quote(str(place)), shlex.quote(str(old))
        raise ConfigError(
            f"{target}: the artifacts of the experiment {name!r} lie in {old}: the database was moved without them. "
            f"Copy them and run again: mkdir -p {shlex.quote(str(place.parent))} && cp -r {there} {here}"
        )
    log.info("%s: the results folder was moved: artifacts are now looked for in %s, not in %s", name, place, location)
    relocate(target.database, experiment_id, location, place.as_uri())


def _results_id(path: Path, *, shared: bool) -> str:
    """Return the id of a results folder, made if need be; `path` holds it, and the folder that it was made for.

    shared : the runs go where other folders' runs are. A folder that was copied brings the id of the original along;
        there, it gets one of its own, or each would take the other's runs for its own older ones. A moved one keeps it.

    ConfigError if the file holds no id.
    """
    here = str(path.resolve().parent)
    if not path.exists():
        return _new_id(path, here)
    found, _, made_for = path.read_text().strip().partition("\n")
    if not RESULTS_ID.fullmatch(found):
        raise ConfigError(f"{path}: expected the id of a results folder, 32 hexadecimal digits, found {found[:80]!r}")
    if made_for == here:
        return found
    original = Path(made_for) / path.name
    is_copy = bool(made_for) and original.is_file() and original.read_text().startswith(found)
    if shared and is_copy:
        log.warning("%s is a copy of %s: its runs are logged as those of another results folder", here, made_for)
        return _new_id(path, here)
    if not is_copy:
        _write_id(path, found, here)
    return found


def _new_id(path: Path, here: str) -> str:
    made = uuid.uuid4().hex
    _write_id(path, made, here)
    return made


def _write_id(path: Path, results_id: str, here: str) -> None:
    with atomic_path(path) as tmp:
        tmp.write_text(f"{results_id}\n{here}\n")


def _check(target: Target) -> None:
    """Raise unless runs can be logged to `target`; the own database is made whole, or upgraded."""
    for name in ("alembic", "mlflow"):  # a line for each of a hundred migrations
        logging.getLogger(name).setLevel(logging.WARNING)
    if target.database is None:
        _check_server(target.uri)
    elif target.database.exists() or (not target.is_own and target.database.parent.is_dir()):
        check_database(target.database)  # makes an empty one, or says at once why there can be none
        if target.is_own:
            upgrade.callback(target.uri)
    elif target.is_own:
        with atomic_path(target.database) as tmp:  # migrations are no transaction: a kill must not leave half of them
            upgrade.callback(sqlite_uri(tmp))


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://", "databricks"))


def _without_password(text: str, uri: str) -> str:
    password = urllib.parse.urlsplit(uri).password
    return text.replace(password, "***") if password else text


def _check_server(uri: str) -> None:
    """Raise MlflowException within about 10 s unless the server answers; any answer that is no 5xx counts."""
    if uri.startswith("http"):
        creds = get_default_host_creds(uri)
        http_request(creds, "/health", "GET", max_retries=1, backoff_factor=1, timeout=PROBE_SECONDS)


@contextlib.contextmanager
def _explained(target: Target) -> Iterator[None]:
    try:
        with named_failure(target.database) if target.database else contextlib.nullcontext():
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a database's driver
        raise ConfigError(
            f"{target}: MLflow failed. {NOTHING_LOST} MLflow says: {_without_password(str(error), target.uri)}"
        ) from error

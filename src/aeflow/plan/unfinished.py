"""What a run with --keep-going could not finish, and the second pass that compares and logs the rest.

A comparison needs all its runs, so one that diverges would take the others with it. After such a failure the workflow
calls itself once more without the runs that failed; their rows say why. The next complete run makes all of it anew.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.files import atomic_path, read_json, write_json
from aeflow.plan.grid import Cell

if TYPE_CHECKING:
    from snakemake.jobs import Job
    from snakemake.workflow import Workflow

VARIABLE = "AEFLOW_UNFINISHED"  # names the file that tells the second pass, and its jobs, what to leave out
COLUMNS = ("dataset", "view", "model", "seed", "reason")  # of unfinished.csv
RUN_RULES = ("train", "assess")  # without their files a run cannot be compared
ERROR_LINE = re.compile(r"(?:[a-z_]\w*\.)*(?P<text>[A-Z]\w*(?:: .*)?)")


@dataclass(frozen=True)
class Unfinished:
    """Runs that cannot be compared, name -> why, and files that other jobs failed to make, or to make something of."""

    runs: Mapping[str, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    @classmethod
    def read(cls) -> Unfinished:
        """Return what the first pass left unfinished; nothing in the first pass itself."""
        path = os.environ.get(VARIABLE)
        if not path:
            return cls()
        content = read_json(path)
        return cls(content["runs"], frozenset(content["files"]))

    def write(self, path: Path) -> None:
        """Write what `read` returns."""
        write_json({"runs": dict(self.runs), "files": sorted(self.files)}, path)

    def rows(self, dataset: str) -> list[dict[str, str]]:
        """Return dataset, view, model, seed and reason of each unfinished run of a dataset."""
        found = [[*name.split("/"), reason] for name, reason in sorted(self.runs.items())]
        return [dict(zip(COLUMNS, row, strict=True)) for row in found if row[0] == dataset]

    def without(self, paths: Iterable[str]) -> list[str]:
        """Return the paths that no failed job was to make."""
        return [path for path in paths if path not in self.files]


def name_of(cell: Cell) -> str:
    """Return dataset/view/model/seed of a run."""
    return "/".join(map(str, cell))


def unfinished_of(workflow: Workflow, planned: Iterable[Cell], baseline: str) -> Unfinished:
    """Return what an ended workflow did not finish.

    planned : every run of the configuration. A run whose baseline did not finish cannot be compared, either.
    """
    failed = {job: reason_of(job.log) for part in workflow.scheduler.failed for job in getattr(part, "jobs", [part])}
    others = {job for job in failed if job.rule.name not in RUN_RULES}
    runs: dict[str, str] = {}
    files: set[str] = set()
    for job in workflow.dag.needrun_jobs():
        if job.rule.name in RUN_RULES:
            cause = _failed_before(job, workflow, failed)
            if cause is not None:
                runs.setdefault(_run_of(job), _because(job, cause, failed[cause]))
        elif _failed_before(job, workflow, others):
            files |= {str(path) for path in job.output}
    for cell in planned:
        name = name_of(cell._replace(model=baseline))
        if name in runs and cell.model != baseline:
            runs.setdefault(name_of(cell), f"its baseline, {baseline}, did not finish")
    return Unfinished(runs, frozenset(files))


def tell_of_datasets_without_runs(unfinished: Unfinished, left: Iterable[Cell]) -> None:
    """Write unfinished.csv of the datasets that have nothing to compare; `compare` writes that of the others."""
    compared = {cell.dataset for cell in left}
    for dataset in sorted({name.split("/")[0] for name in unfinished.runs} - compared):
        folder = Path("results/comparison") / dataset
        rows = unfinished.rows(dataset)
        with atomic_path(folder / "unfinished.csv") as tmp, tmp.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        older = ": the other tables there are of an earlier run" if (folder / "leaderboard.txt").exists() else ""
        sys.stderr.write(f"dataset {dataset}: no run is left to compare, see {folder}/unfinished.csv{older}\n")


def _run_of(job: Job) -> str:
    return "/".join(str(job.wildcards_dict[key]) for key in Cell._fields)


def _because(job: Job, cause: Job, reason: str) -> str:
    """Return why a job of a run did not finish; another run, or its dataset, can be the cause."""
    where = " ".join(map(str, cause.wildcards_dict.values()))
    own = cause.wildcards_dict == job.wildcards_dict
    return f"{cause.rule.name}: {reason}" if own else f"{cause.rule.name} {where}: {reason}"


def _failed_before(job: Job, workflow: Workflow, failed: Container[Job]) -> Job | None:
    """Return `job` if it failed, else a failed job that it waited for, directly or not."""
    if job in failed:
        return job
    todo, seen = [job], {job}
    while todo:
        for needed in workflow.dag.dependencies[todo.pop()]:
            if needed in failed:
                return needed
            if needed not in seen:
                seen.add(needed)
                todo.append(needed)
    return None


def reason_of(logs: Iterable[str]) -> str:
    """Return the error that a job's log ends with; a job that was killed could write none."""
    for path in logs:
        lines = Path(path).read_text(errors="replace").splitlines() if Path(path).is_file() else []
        start = next((i for i in reversed(range(len(lines))) if " CRITICAL " in lines[i]), len(lines))
        errors = [match["text"] for line in lines[start + 1 :] if (match := ERROR_LINE.fullmatch(line))]
        if errors:
            return errors[-1]
    return "ended without an error of its own: killed, or out of memory or time; see the logs"


def compare_the_rest(workflow: Workflow, config: Mapping[str, Any], planned: Iterable[Cell]) -> None:
    """Compare and log the runs that did finish, after a workflow with --keep-going has failed.

    Snakemake itself makes the tables, so that their provenance is on record; it starts no training.
    """
    planned = list(planned)
    if VARIABLE in os.environ or not workflow.scheduler.failed:  # the second pass itself, or a person ended the first
        return
    if not any(job.rule.name == "all" for job in workflow.dag.jobs):  # a person asked for some files only
        return
    if not workflow.execution_settings.keep_going:
        sys.stderr.write("with --keep-going, the other runs go on, and those that finish are compared and logged\n")
        return
    unfinished = unfinished_of(workflow, planned, config["baseline"])
    left = [cell for cell in planned if name_of(cell) not in unfinished.runs]
    tell_of_datasets_without_runs(unfinished, left)
    if not left or not (unfinished.runs or unfinished.files):
        return
    sys.stderr.write(f"comparing and logging what finished: {len(left)} of {len(planned)} runs\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        write_json(config, path)
        unfinished.write(Path(folder) / "unfinished.json")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.main_snakefile)]
        command += ["--directory", os.getcwd(), "--configfile", str(path)]
        command += ["--cores", str(workflow.resource_settings.cores or 1), "--keep-going", "--nolock"]
        subprocess.run(command, env=os.environ | {VARIABLE: f"{folder}/unfinished.json"}, check=False)

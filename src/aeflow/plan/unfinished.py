"""What a run with --keep-going could not finish, and the second pass that compares and logs the rest.

A comparison needs all its runs, so one that diverges would take the others with it. After such a failure the workflow
calls itself once more without the runs that failed; their rows say why. The next complete run makes all of it anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.plan.grid import Cell

if TYPE_CHECKING:
    from snakemake.jobs import Job
    from snakemake.workflow import Workflow

VARIABLE = "AEFLOW_UNFINISHED"  # tells the second pass, and its jobs, what to leave out
RUN_RULES = ("train", "assess")  # without their files a run cannot be compared
ERROR_LINE = re.compile(r"(?:[a-z_]\w*\.)*(?P<text>[A-Z]\w*(?:: .*)?)")


@dataclass(frozen=True)
class Unfinished:
    """Runs that cannot be compared, name -> why, and files of other jobs that failed."""

    runs: Mapping[str, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    @classmethod
    def read(cls) -> Unfinished:
        """Return what the first pass left unfinished; nothing in the first pass itself."""
        content = json.loads(os.environ.get(VARIABLE, "{}"))
        return cls(content.get("runs", {}), frozenset(content.get("files", ())))

    def as_json(self) -> str:
        """Return the content of `VARIABLE`."""
        return json.dumps({"runs": dict(self.runs), "files": sorted(self.files)})

    def rows(self, dataset: str) -> list[dict[str, str]]:
        """Return dataset, view, model, seed and reason of each unfinished run of a dataset."""
        found = [[*name.split("/"), reason] for name, reason in sorted(self.runs.items())]
        keys = ("dataset", "view", "model", "seed", "reason")
        return [dict(zip(keys, row, strict=True)) for row in found if row[0] == dataset]

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
    runs: dict[str, str] = {}
    for job in workflow.dag.needrun_jobs():
        wildcards = job.wildcards_dict
        if job.rule.name in RUN_RULES and len(wildcards) == len(Cell._fields):
            name = "/".join(wildcards[key] for key in Cell._fields)
            cause = job if job in failed else _failed_before(job, workflow, failed)
            if cause is not None:
                runs.setdefault(name, f"{cause.rule.name}: {failed[cause]}")
    for cell in planned:
        name = name_of(cell._replace(model=baseline))
        if name in runs and cell.model != baseline:
            runs.setdefault(name_of(cell), f"its baseline, {baseline}, did not finish")
    others = {str(path) for job in failed if job.rule.name not in RUN_RULES for path in job.output}
    return Unfinished(runs, frozenset(others))


def _failed_before(job: Job, workflow: Workflow, failed: Mapping[Job, str]) -> Job | None:
    """Return a failed job that `job` waited for, directly or not."""
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
    if not workflow.execution_settings.keep_going:
        sys.stderr.write("with --keep-going, the other runs go on, and those that finish are compared and logged\n")
        return
    unfinished = unfinished_of(workflow, planned, config["baseline"])
    left = [cell for cell in planned if name_of(cell) not in unfinished.runs]
    if not left or not (unfinished.runs or unfinished.files):
        return
    sys.stderr.write(f"comparing and logging what finished: {len(left)} of {len(planned)} runs\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.main_snakefile)]
        command += ["--directory", os.getcwd(), "--configfile", str(path)]
        command += ["--cores", str(workflow.resource_settings.cores or 1), "--keep-going", "--nolock"]
        subprocess.run(command, env=os.environ | {VARIABLE: unfinished.as_json()}, check=False)

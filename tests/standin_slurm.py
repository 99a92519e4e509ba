#!/usr/bin/env python3
"""Stand-in for the client programs of a Slurm cluster without accounting; the name it is called by says which.

`sbatch` notes its arguments as a line of JSON, starts the wrapped command as a process of this machine and prints a job
id. Options it does not know, and partitions the cluster does not have, are refused like the real one does. Everything
lies in the folder $STANDIN_SLURM: submits.jsonl, and for each job ID.name and ID.state.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STANDIN_SLURM"])
PARTITIONS = ("main", "gpu")  # the first is the default


def sbatch(arguments: list[str]) -> int:
    options = _sbatch_options(arguments)
    if options.partition not in PARTITIONS:
        print(f"sbatch: error: invalid partition specified: {options.partition}", file=sys.stderr)
        return 1
    job = _new_job(options.job_name)
    with open(FOLDER / "submits.jsonl", "a") as out:  # short lines in append mode stay whole
        out.write(json.dumps({"job": job, **vars(options)}) + "\n")
    _set_state(job, "RUNNING")
    environment = {**os.environ, "SLURM_JOB_ID": job, "STANDIN_COMMAND": options.wrap}
    with open(options.output.replace("%j", job), "w") as out:
        subprocess.Popen(
            [sys.executable, __file__, "run-job"],
            cwd=options.chdir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # like a job on a node, it outlives whoever submitted it
        )
    print(job)
    return 0


def run_job(arguments: list[str]) -> int:
    done = subprocess.run(["sh", "-c", os.environ["STANDIN_COMMAND"]])
    _set_state(os.environ["SLURM_JOB_ID"], "FAILED" if done.returncode else "COMPLETED")
    return done.returncode


def srun(arguments: list[str]) -> int:
    while arguments and arguments[0].startswith("-"):  # every option the plugin uses is one word
        arguments = arguments[1:]
    return subprocess.run(arguments).returncode


def squeue(arguments: list[str]) -> int:
    wanted = arguments[arguments.index("--name") + 1]
    jobs = [name for name in sorted(FOLDER.glob("*.name")) if name.read_text() == wanted]
    # the plugin asks ever more rarely: an answer held back until all are done saves time, one given before is right too
    patience = time.monotonic() + 10  # s
    while time.monotonic() < patience and any(_state(job) == "RUNNING" for job in jobs):
        time.sleep(0.1)
    for job in jobs:
        print(f"{job.stem}|{_state(job)}")
    return 0


def sinfo(arguments: list[str]) -> int:
    print("PARTITION", f"{PARTITIONS[0]}*", *PARTITIONS[1:], sep="\n")
    return 0


def scontrol(arguments: list[str]) -> int:
    print("MaxArraySize            = 1001\nMinJobAge               = 300 sec")
    return 0


def sacct(arguments: list[str]) -> int:
    print("Slurm accounting storage is disabled", file=sys.stderr)
    return 1


def _sbatch_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("sbatch", allow_abbrev=False, add_help=False)
    for name in ("--job-name", "--output", "--export", "--comment", "--cpus-per-task", "--ntasks", "--gpus", "--wrap"):
        parser.add_argument(name)
    parser.add_argument("--mem", type=int)  # MB
    parser.add_argument("-t", dest="time", type=int)  # minutes
    parser.add_argument("-p", dest="partition", default=PARTITIONS[0])
    parser.add_argument("-A", dest="account")
    parser.add_argument("-D", dest="chdir")
    parser.add_argument("--parsable", action="store_true")
    parser.add_argument("--requeue", action="store_true")
    return parser.parse_args(arguments)


def _new_job(name: str) -> str:
    job = 1001
    while True:
        try:
            with open(FOLDER / f"{job}.name", "x") as out:  # two submissions at a time cannot get the same id
                out.write(name)
            return str(job)
        except FileExistsError:
            job += 1


def _state(name: Path) -> str:
    state = name.with_suffix(".state")
    return state.read_text() if state.exists() else "PENDING"


def _set_state(job: str, state: str) -> None:
    draft = FOLDER / f"{job}.state.{os.getpid()}"
    draft.write_text(state)
    draft.replace(FOLDER / f"{job}.state")


if __name__ == "__main__":
    program = sys.argv[1] if sys.argv[1:2] == ["run-job"] else Path(sys.argv[0]).name
    sys.exit(globals()[program.replace("-", "_")](sys.argv[1:]))

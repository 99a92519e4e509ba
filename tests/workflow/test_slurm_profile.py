"""The Slurm profile, without Slurm: what it submits, and that a run finishes. About 25 s.

A stand-in `sbatch` on PATH notes its options and runs the jobs here. It proves the submit lines and the profile's keys,
not what a real scheduler does with them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from waiting import HANG

ROOT = Path(__file__).parents[2]
PROGRAMS = ("sbatch", "srun", "squeue", "sinfo", "scontrol", "sacct")
SNAKEFILE = (
    f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
from snakemake_logger_plugin_aeflow import attach
attach(workflow)
"""
    + """
rule all:
    localrule: True
    input: "trained.txt"

rule convert:
    output: "converted.txt"
    threads: 2
    resources: mem_mb=700
    shell: "echo {threads} > {output}"

rule train:
    input: "converted.txt"
    output: "trained.txt"
    log: "train.log"
    resources: gpu=1, mem_mb=4000
    # the first attempt fails as a job that ran out of memory does
    shell: "if test {resources.mem_mb} -lt 5000; then echo no memory left > {log}; exit 1; fi; touch {output}"
"""
)


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Run the small workflow with both profiles once: (its finished process, submissions in order, its folder)."""
    folder = tmp_path_factory.mktemp("slurm run")  # a space, as in some people's paths
    programs, state = folder / "bin", folder / "state"
    programs.mkdir()
    state.mkdir()
    for program in PROGRAMS:
        (programs / program).symlink_to(ROOT / "tests" / "standin_slurm.py")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    edited = profile("slurm")
    edited["set-resources"]["train"]["slurm_partition"] = "gpu"  # as a user would edit it
    (folder / "profiles" / "slurm" / "profile.yaml").write_text(yaml.safe_dump(edited))
    (folder / "Snakefile").write_text(SNAKEFILE)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SNAKEMAKE_"))}
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "STANDIN_SLURM": str(state)}
    hurry = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", *hurry],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    lines = (state / "submits.jsonl").read_text().splitlines() if (state / "submits.jsonl").exists() else []
    return done, [json.loads(line) for line in lines], folder


def test_run_finishes(cluster):
    """Breaks if a key of the profile is unknown to Snakemake or the plugin, or statuses are not read without sacct."""
    done, submits, folder = cluster
    assert done.returncode == 0, done.stderr
    assert (folder / "trained.txt").exists()
    assert [s["comment"] for s in submits] == ["rule_convert", "rule_train", "rule_train"]


def test_cpu_job(cluster):
    """Breaks if threads, memory, default run time or the cluster's default partition do not reach sbatch."""
    convert = cluster[1][0]
    assert convert["cpus_per_task"] == "2"
    assert convert["mem"] == 700
    assert convert["time"] == profile("slurm")["default-resources"]["runtime"]
    assert convert["partition"] == "main"
    assert convert["gpus"] is None
    assert convert["ntasks"] == "1"
    assert (cluster[2] / "converted.txt").read_text() == "2\n"


def test_gpu_job(cluster):
    """Breaks if `resources: gpu=1` does not become --gpus=1, or a rule's own partition is ignored."""
    train = cluster[1][1]
    assert train["gpus"] == "1"
    assert train["partition"] == "gpu"
    assert train["cpus_per_task"] == "1"


def test_retry_is_a_new_job_with_more(cluster):
    """Breaks if a failed job is not submitted anew, or memory and run time do not grow with the attempt."""
    first, second = cluster[1][1:]
    assert first["job"] != second["job"]
    assert (first["mem"], second["mem"]) == (4000, 8000)
    assert second["time"] == 2 * first["time"]
    assert "no memory left" in cluster[0].stderr  # show-failed-logs of the default profile


def test_console_counts_a_retried_job_once(cluster):
    """Breaks if the console counts the failed attempt, or also speaks in the nested processes on the nodes."""
    done, _, folder = cluster
    lines = done.stderr.splitlines()
    assert sum(line.startswith("[1/3] FAILED: train after ") for line in lines) == 1
    assert any(line.startswith("[3/3] ") for line in lines)
    assert any(line.startswith("3 of 3 jobs done, in ") for line in lines)
    # of the nodes, the plugin keeps the log of the attempt that failed
    (log,) = (folder / ".snakemake" / "slurm_logs").rglob("*.log")
    assert "Error in rule train:" in log.read_text() and "jobs done" not in log.read_text()


def test_jobs_can_be_found(cluster):
    """Breaks if `scancel` by the name in the run's log, as docs/cluster.md says it, would miss jobs."""
    logs = "\n".join(path.read_text() for path in (cluster[2] / ".snakemake" / "log").glob("*.log"))
    (name,) = set(re.findall(r"SLURM run ID: (aeflow_\S+)$", logs, flags=re.MULTILINE))
    assert {s["job_name"] for s in cluster[1]} == {name}
    assert all(s["requeue"] for s in cluster[1])


def test_profiles_do_not_meet():
    """Breaks if a key stands in both profiles: the default one would win, silently."""
    assert not set(profile("default")) & set(profile("slurm"))


def test_rules_of_the_profile_exist():
    """Breaks if a rule is renamed but not in the profile, where it would just lose its resources."""
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    known = set(re.findall(r"^rule (\w+):", rules, flags=re.MULTILINE))
    assert set(profile("slurm")["set-resources"]) <= known

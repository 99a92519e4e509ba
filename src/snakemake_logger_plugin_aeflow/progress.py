"""How far a run is: what Snakemake's log events tell, as counts, durations and an estimate of the time left.

Nothing here reads a clock. Every method is given the time, in seconds since any fixed moment.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunningJob:
    """A job that was started (on a cluster: submitted) at `start` seconds."""

    rule: str
    label: str
    start: float


@dataclass(frozen=True)
class FailedJob:
    """A job that ended with an error, and the paths of its logs."""

    label: str
    logs: Sequence[str]


def job_label(rule: str, wildcards: Mapping[str, object]) -> str:
    """Return rule and wildcards in one short line; a bare number keeps the name of its wildcard.

    >>> job_label("train", {"dataset": "mnist", "view": "all", "model": "vae", "seed": "0"})
    'train mnist/all/vae/seed0'
    """
    parts = [f"{name}{value}" if str(value).isdigit() else str(value) for name, value in wildcards.items()]
    return f"{rule} {'/'.join(parts)}".rstrip()


def duration(seconds: float) -> str:
    """Return a duration for people: tenths of seconds below 10 s, two units above a minute.

    >>> duration(3.21), duration(62), duration(7500)
    ('3.2 s', '1 min 02 s', '2 h 05 min')
    """
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def rough_duration(seconds: float) -> str:
    """Return an estimated duration, no more precise than an estimate is: rounded up to minutes.

    >>> rough_duration(20), rough_duration(130), rough_duration(7500)
    ('1 min', '3 min', '2 h 05 min')
    """
    minutes = max(math.ceil(seconds / 60), 1)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass
class Progress:
    """Jobs of one run. `planned` counts them by rule; jobs are known by Snakemake's job number."""

    planned: dict[str, int]
    total: int
    start: float
    running: dict[int, RunningJob] = field(default_factory=dict)
    failed: dict[int, FailedJob] = field(default_factory=dict)
    durations: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    n_done: int = 0

    def job_started(self, jobid: int, rule: str, label: str, now: float) -> None:
        """Note a start; a job that had failed is being tried again."""
        self.failed.pop(jobid, None)
        self.running[jobid] = RunningJob(rule, label, now)

    def job_finished(self, jobid: int, now: float) -> tuple[str, float]:
        """Return label and duration in seconds of a job that succeeded; KeyError where it was never started."""
        job = self.running.pop(jobid)
        seconds = max(now - job.start, 0.0)
        self.durations[job.rule].append(seconds)
        self.n_done += 1
        return job.label, seconds

    def job_failed(self, jobid: int, label: str, logs: Sequence[str], now: float) -> float | None:
        """Note a failure and return the seconds the job ran, None where its start is not known."""
        job = self.running.pop(jobid, None)
        self.failed[jobid] = FailedJob(label, logs)
        return None if job is None else max(now - job.start, 0.0)

    def seconds_left(self, now: float) -> float | None:
        """Estimate how long the rest takes; None before the first job has finished.

        A job to come takes the mean of its rule's finished jobs (of all, for a rule without one), a running one what
        is left of that. As much work is done at a time as was on average since the start.
        """
        finished = [seconds for of_rule in self.durations.values() for seconds in of_rule]
        if not finished:
            return None
        overall = sum(finished) / len(finished)
        mean = {rule: sum(of_rule) / len(of_rule) for rule, of_rule in self.durations.items()}
        work = 0.0
        for rule, n_planned in self.planned.items():
            n_running = sum(job.rule == rule for job in self.running.values())
            n_waiting = n_planned - len(self.durations.get(rule, ())) - n_running
            work += max(n_waiting, 0) * mean.get(rule, overall)
        for job in self.running.values():
            work += max(mean.get(job.rule, overall) - (now - job.start), 0.0)
        spent = sum(finished) + sum(now - job.start for job in self.running.values())
        at_a_time = spent / max(now - self.start, 1e-9)
        return work / at_a_time if at_a_time > 0 else None

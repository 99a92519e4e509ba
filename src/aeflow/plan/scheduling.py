"""One timer for Snakemake's scheduler, without which a large grid spends a core on planning it.

While jobs wait for cores, every pass of Snakemake 9's scheduler starts a timer that starts the next pass, and so does
every job that ends: after n jobs there are n passes a second, each of which asks for the size of every input of every
waiting job. One timer at a time does the same. Measured on 300 short jobs with 30 inputs each: 12 CPU seconds of
Snakemake instead of 21, and the difference grows with the square of the number of jobs. It can go when Snakemake keeps
one timer itself; tests/plan/test_scheduling.py fails when the method replaced here is gone.
"""

from __future__ import annotations

import threading


def keep_one_timer() -> None:
    """Make every scheduler of this process keep at most one timer; a second call changes nothing."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    def fire(self) -> None:
        self._timer_runs = False  # before the pass, which starts the next one
        self._open_jobs.release()

    def schedule_reevaluation(self, delay: float) -> None:
        if not getattr(self, "_timer_runs", False):
            self._timer_runs = True
            threading.Timer(delay, fire, [self]).start()

    # the name is Snakemake's own spelling; a test notices if it changes
    JobScheduler._schedule_reevalutation = schedule_reevaluation

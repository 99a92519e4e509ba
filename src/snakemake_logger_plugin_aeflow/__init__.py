"""What Snakemake's runs show: how far they are, what runs, what failed; a logger plugin on Snakemake's own interface.

The Snakefile calls `attach`, so that every `snakemake` in a clone has it. `--logger aeflow` does the same wherever the
package is on Python's path. Snakemake's full log stays in .snakemake/log; `--verbose` shows it on the console, too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from logging import WARNING, LogRecord
from typing import TYPE_CHECKING, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface

from snakemake_logger_plugin_aeflow.progress import Progress, duration, job_label, rough_duration
from snakemake_logger_plugin_aeflow.screen import Footer, can_be_drawn_on

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

N_LOG_LINES = 30  # of a failed job's log; a traceback of Python fits
N_RUNNING_ROWS = 8
N_FAILED_ROWS = 3
SECONDS_BETWEEN_DRAWINGS = 0.5
BOLD, RED, GREEN, DIM, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"

# said by this plugin in its own way, or nothing about this run; .snakemake/log has them
NOT_SHOWN = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.GROUP_INFO,
    LogEvent.RULEGRAPH,
    LogEvent.DEBUG_DAG,
}
NOT_SHOWN_STARTS = (
    "Using shell: ",
    "Conda environments: ",
    "Singularity containers: ",
    "Select jobs to execute...",
    "Elapsed time: ",
)


def shows_everything(settings: OutputSettingsLoggerInterface) -> bool:
    """Whether Snakemake was asked for its plan or its inner workings, which are for it to print."""
    return settings.dryrun or settings.verbose or settings.debug_dag


def attach(workflow: Workflow) -> None:
    """Let a `LogHandler` take the place of Snakemake's own output to the terminal; call it in the Snakefile.

    Does nothing in the processes of jobs, and where the user chose another output (`--logger`, `--dry-run`,
    `--verbose`). A profile cannot do this: its key `logger` stops every `snakemake` that does not find the plugin.
    """
    from snakemake.logging import logger

    if not workflow.is_main_process or shows_everything(workflow.output_settings):
        return
    for default in list(logger.handlers):
        if default.name == "DefaultStreamHandler":
            handler = LogHandler(workflow.output_settings, None)
            handler.setFormatter(default.formatter)
            for quiet in default.filters:
                handler.addFilter(quiet)
            logger.removeHandler(default)
            logger.addHandler(handler)


class LogHandler(LogHandlerBase):
    """Prints one line an event, and on a terminal keeps the state of the run below them."""

    # Snakemake then sets its own: the filter knows --quiet and --printshellcmds, the formatter the other messages
    has_filter = False
    has_formatter = False
    writes_to_stream = True
    writes_to_file = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self.everything = shows_everything(self.common_settings)
        self.progress: Progress | None = None  # None until Snakemake has planned the run
        self.labels: dict[int, str] = {}
        self.now = 0.0  # time of the last record
        self.footer: Footer | None = None
        self.coloured = False
        if not self.everything and can_be_drawn_on(self.stream):
            self.footer = Footer(self.stream)
            self.coloured = not self.common_settings.nocolor
        self.ended = threading.Event()

    def emit(self, record: LogRecord) -> None:
        """Show one record. What goes wrong here is printed and never stops the run."""
        try:
            self.now = record.created
            self._show(record)
            self._draw(record.created)
        except BrokenPipeError:  # the reader has gone (`| head`); Snakemake ends then
            raise
        except Exception:
            self.handleError(record)

    def _show(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if self.everything:
            self._print(self.format(record))
        elif event == LogEvent.RUN_INFO:
            self._run_planned(record)
        elif event == LogEvent.JOB_INFO:
            # a rule's `message:` is what its author wants to be shown; kept even where --quiet hides the progress
            words = (record.rule_msg or job_label(record.rule_name, record.wildcards)).split()
            self.labels[record.jobid] = " ".join(words)
            if self.progress is not None:
                label = self.labels[record.jobid]
                self.progress.job_started(record.jobid, record.rule_name, label, record.created)
        elif event == LogEvent.JOB_FINISHED:
            self._job_finished(record)
        elif event == LogEvent.JOB_ERROR:
            self._job_failed(record)
        elif event == LogEvent.PROGRESS:
            if self.progress is not None:
                self.progress.total = record.total  # grows after a checkpoint
        elif event == LogEvent.SHELLCMD:
            if getattr(record, "shellcmd", None):
                self._print(record.shellcmd)
        elif event not in NOT_SHOWN and not (event is None and record.getMessage().startswith(NOT_SHOWN_STARTS)):
            # the errors of a workflow (a missing input, a lock, a wrong configuration) and all that is said in words
            self._print(self.format(record), RED if record.levelno > WARNING else "")

    def _run_planned(self, record: LogRecord) -> None:
        planned = {rule: count for rule, count in record.stats.items() if rule != "total"}
        self.progress = Progress(planned, record.stats["total"], record.created)
        counts = ", ".join(f"{rule} {count}" for rule, count in planned.items())
        self._print(f"{record.stats['total']} jobs: {counts}")
        if self.footer is not None:
            threading.Thread(target=self._keep_drawing, daemon=True).start()

    def _job_finished(self, record: LogRecord) -> None:
        if self.progress is None or record.job_id not in self.progress.running:
            return
        label, seconds = self.progress.job_finished(record.job_id, record.created)
        if self.footer is None:
            self._print(f"{self._count()}{label} ({duration(seconds)})")

    def _job_failed(self, record: LogRecord) -> None:
        label = self.labels.get(record.jobid, record.rule_name)
        seconds = None
        if self.progress is not None:
            seconds = self.progress.job_failed(record.jobid, label, record.log, record.created)
        after = "" if seconds is None else f" after {duration(seconds)}"
        self._print(f"{self._count()}FAILED: {label}{after}", BOLD + RED)
        if record.rule_msg:
            self._print(f"    message: {record.rule_msg}")
        for key in ("output", "log"):
            if getattr(record, key):
                self._print(f"    {key}: {', '.join(getattr(record, key))}")
        for key, value in record.aux.items():  # what the executor adds: a cluster's job number
            self._print(f"    {key}: {value}")
        if record.shellcmd:
            self._print(f"    shell: {record.shellcmd.strip()}")
        if self.common_settings.show_failed_logs:
            for path in record.log:
                self._print_end_of_log(path)

    def _print_end_of_log(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError as error:
            self._print(f"    {path} cannot be read: {error.strerror}")
            return
        part = "is empty" if not lines else "whole" if len(lines) <= N_LOG_LINES else f"last {N_LOG_LINES} lines"
        self._print(f"    {path}, {part}:" if lines else f"    {path} {part}")
        for line in lines[-N_LOG_LINES:]:
            self._print(f"    | {line}")

    def _count(self) -> str:
        if self.progress is None:
            return ""
        total = str(self.progress.total)
        return f"[{self.progress.n_done:>{len(total)}}/{total}] "

    def _print(self, text: str, style: str = "") -> None:
        if text and text != "None":
            self.stream.write(f"{self._styled(text, style)}\n")
            self.stream.flush()

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{PLAIN}" if style and self.coloured else text

    # the part of it that stays on a terminal

    def _keep_drawing(self) -> None:
        """Let the clock of the footer go on while no job ends."""
        import time

        while not self.ended.wait(SECONDS_BETWEEN_DRAWINGS):
            with self.lock:
                if not self.ended.is_set():
                    self._draw(time.time())

    def _draw(self, now: float) -> None:
        if self.footer is not None and self.progress is not None and not self.ended.is_set():
            width = self.footer.width()
            height = self.footer.height()
            self.footer.draw(self._footer_lines(self.progress, now, width - 1, height // 2))

    def _footer_lines(self, progress: Progress, now: float, width: int, n_rows: int) -> Sequence[str]:
        """At most `n_rows` lines of at most `width` characters: a bar, what runs, what failed."""
        n_failed = min(len(progress.failed), N_FAILED_ROWS, max(n_rows - 2, 0))
        n_running = min(len(progress.running), N_RUNNING_ROWS, max(n_rows - 1 - n_failed, 0))
        lines = [self._bar(progress, now, width)]
        oldest = sorted(progress.running.values(), key=lambda job: job.start)
        n_named = n_running if n_running == len(oldest) else n_running - 1  # the last row says how many more
        for job in oldest[:n_named]:
            # whole seconds: tenths would only flicker
            since = duration(float(int(now - job.start))).replace(".0 s", " s")
            lines.append(f"  {shorten(job.label, width - len(since) - 4)}  {self._styled(since, DIM)}")
        if n_named < n_running:
            lines.append(f"  and {len(oldest) - n_named} more")
        for job in list(progress.failed.values())[len(progress.failed) - n_failed :]:
            log = f", log: {', '.join(job.logs)}" if job.logs else ""
            lines.append(self._styled(shorten(f"  FAILED: {job.label}{log}", width), RED))
        return lines

    def _bar(self, progress: Progress, now: float, width: int) -> str:
        count = f"{progress.n_done}/{progress.total} jobs"
        times = duration(float(int(now - progress.start))).replace(".0 s", " s")
        left = progress.seconds_left(now)
        if left is not None:
            # what needs a failed job will not run
            times += f", {'at most' if progress.failed else 'about'} {rough_duration(left)} left"
        if progress.failed:
            times += f", {len(progress.failed)} failed"
        n_cells = min(width - len(count) - len(times) - 4, 40)
        if n_cells < 5:
            return shorten(f"{count}  {times}", width)
        unicode = (getattr(self.stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
        full, empty = ("━", "─") if unicode else ("#", "-")
        n_full = n_cells * progress.n_done // max(progress.total, 1)
        bar = self._styled(full * n_full, GREEN) + self._styled(empty * (n_cells - n_full), DIM)
        return f"{self._styled(count, BOLD)}  {bar}  {times}"

    def close(self) -> None:
        """Take the footer away and say how the run ended."""
        with self.lock:
            if not self.ended.is_set():
                self.ended.set()
                if self.footer is not None:
                    self.footer.remove()
                if self.progress is not None:
                    self._print_summary(self.progress)
        super().close()

    def _print_summary(self, progress: Progress) -> None:
        took = duration(self.now - progress.start)
        failed = f", {len(progress.failed)} failed" if progress.failed else ""
        style = BOLD + RED if progress.failed else ""
        self._print(f"{progress.n_done} of {progress.total} jobs done{failed}, in {took}", style)
        for job in progress.failed.values():
            self._print(f"  FAILED: {job.label}" + (f", log: {', '.join(job.logs)}" if job.logs else ""), style)


def shorten(text: str, width: int) -> str:
    """Return `text` in at most `width` characters, the middle left out.

    >>> shorten("train mnist/all/vae/seed0", 15)
    'train .../seed0'
    """
    if len(text) <= width:
        return text
    if width < 5:
        return text[: max(width, 0)]
    side = (width - 3) // 2
    return f"{text[:side]}...{text[len(text) - side :]}"

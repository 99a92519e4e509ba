"""What a run shows on a terminal and in a file. About 25 s: Snakemake starts seven times."""

import errno
import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase
from waiting import HANG

from snakemake_logger_plugin_aeflow import LogHandler, shorten
from snakemake_logger_plugin_aeflow.progress import Progress, duration, job_label, rough_duration

SRC = Path(__file__).parents[2] / "src"
ROWS, COLUMNS = 24, 90
ATTACH = f"""
import sys
sys.path.insert(0, {str(SRC)!r})
from snakemake_logger_plugin_aeflow import attach
attach(workflow)
"""
# one core, and priorities: the order of jobs is fixed
RULES = """
rule all:
    input: "one.txt", "two.txt", "never.txt", "vae/seed0.txt"

rule first:
    output: "one.txt"
    priority: 3
    shell: "touch {output}"

rule fails:
    output: "never.txt"
    log: "logs/fails.log"
    priority: 2
    shell:
        "for i in $(seq 50); do echo line $i of the log; done > {log}; echo a line of the job itself >&2; exit 1"

rule second:
    input: "one.txt"
    output: "two.txt"
    shell: "touch {output}"

rule train:
    output: "{model}/seed{seed}.txt"
    shell: "touch {output}"

rule needs_what_is_not_there:
    input: "absent.txt"
    output: "unreachable.txt"
    shell: "touch {output}"
"""
RUN = ["--cores", "1", "--keep-going", "--show-failed-logs"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *arguments]


def to_a_pipe(folder: Path, *arguments: str, attached: bool = True, **variables: str) -> subprocess.CompletedProcess:
    (folder / "Snakefile").write_text(ATTACH * attached + RULES)
    return subprocess.run(
        command(*arguments), cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=HANG
    )


@pytest.fixture(scope="module")
def piped(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    folder = tmp_path_factory.mktemp("piped")
    return to_a_pipe(folder, *RUN), folder


def without_times(text: str) -> list[str]:
    """Lines of a console with every duration replaced, so that nothing depends on how long a job took."""
    return re.sub(r"\d+\.\d s\b|\d+ s\b|\d+ min \d+ s", "TIME", text).splitlines()


def test_a_line_for_every_job_in_a_file(piped):
    """Breaks if a file or CI log gets file names, control characters or no count."""
    done, _ = piped
    assert done.returncode == 1
    lines = without_times(done.stderr)
    (plan,) = (line for line in lines if line.startswith("5 jobs: "))
    assert sorted(plan.removeprefix("5 jobs: ").split(", ")) == ["all 1", "fails 1", "first 1", "second 1", "train 1"]
    assert "[1/5] first (TIME)" in lines
    assert "[3/5] train vae/seed0 (TIME)" in lines or "[2/5] train vae/seed0 (TIME)" in lines
    assert "3 of 5 jobs done, 1 failed, in TIME" in lines
    assert lines[-1] == "  FAILED: fails, log: logs/fails.log"
    assert "\x1b" not in done.stderr
    assert not re.search("one.txt|jobid|resources|Select jobs", done.stderr)


def test_a_failure_is_whole(piped):
    """Breaks if rule, outputs, log, command or the end of the log of a failed job are not shown."""
    lines = without_times(piped[0].stderr)
    start = lines.index("[1/5] FAILED: fails after TIME")
    assert lines[start + 1 : start + 3] == ["    output: never.txt", "    log: logs/fails.log"]
    assert lines[start + 3].startswith("    shell: for i in")
    assert lines[start + 4] == "    logs/fails.log, last 30 lines:"
    assert lines[start + 5 : start + 35] == [f"    | line {i} of the log" for i in range(21, 51)]
    assert "a line of the job itself" in lines
    assert any(line.startswith("CalledProcessError in file") for line in lines)
    assert "At least one job did not complete successfully." in lines


def test_the_full_log_is_kept(piped):
    """Breaks if what the console leaves out is nowhere."""
    (log,) = (piped[1] / ".snakemake" / "log").iterdir()
    assert re.search(r"rule first:\n    output: one.txt\n    jobid: ", log.read_text())


def test_errors_of_a_workflow_are_whole(tmp_path):
    """Breaks if a missing input or a target without a rule is not named as Snakemake names it."""
    missing = to_a_pipe(tmp_path, "--cores", "1", "unreachable.txt").stderr
    assert "MissingInputException in rule needs_what_is_not_there" in missing
    assert "affected files:\n        absent.txt" in missing
    assert "No rule to produce nosuch.gz" in to_a_pipe(tmp_path, "--cores", "1", "nosuch.gz").stderr


def test_a_dry_run_is_left_to_snakemake(tmp_path):
    """Breaks if `--dry-run` no longer lists jobs with their files and reasons."""
    own, other = (
        re.sub(r"\[.* \d{4}\]|(Date|Workflow ID): .*", "", to_a_pipe(tmp_path, "--dry-run", attached=attached).stdout)
        for attached in (True, False)
    )
    assert "rule first:\n    output: one.txt" in own
    # the order of jobs that are ready together, and of files in a reason, differs from call to call
    assert sorted(re.split(r"[,\s]+", own)) == sorted(re.split(r"[,\s]+", other))


def test_quiet_and_shell_commands(tmp_path):
    """Breaks if --quiet or --printshellcmds lose their meaning."""
    loud = to_a_pipe(tmp_path, "--cores", "1", "one.txt", "--printshellcmds", "--quiet", "progress")
    assert "touch one.txt" in loud.stderr and "jobs done" not in loud.stderr
    assert to_a_pipe(tmp_path, "--cores", "1", "two.txt", "--quiet", "all").stderr.count("\n") <= 1


def test_found_by_its_name(tmp_path):
    """Breaks if Snakemake does not find the plugin on Python's path, or it speaks twice where it was attached, too."""
    done = to_a_pipe(tmp_path, "--cores", "1", "one.txt", "--logger", "aeflow", PYTHONPATH=str(SRC))
    assert done.returncode == 0, done.stderr
    assert without_times(done.stderr).count("[1/1] first (TIME)") == 1


class TestByTheInterface(TestLogHandlerBase):
    """Snakemake's own tests of a logger plugin. They break if an event is not understood."""

    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return None

    @pytest.fixture(autouse=True)
    def _no_error_within(self, capsys):
        yield
        # logging prints what goes wrong in a handler and goes on
        assert "Logging error" not in capsys.readouterr().err


# a terminal


class Screen:
    """As much of a terminal as the console uses: rows, a region that scrolls, a cursor that can be saved."""

    def __init__(self) -> None:
        self.rows = [""] * ROWS
        self.row = self.column = 0
        self.saved = (0, 0)
        self.top, self.bottom = 0, ROWS - 1
        self.scrolled: list[str] = []
        self.n_unknown = 0

    def feed(self, text: str) -> None:
        pattern = r"\x1b\[(?P<numbers>[\d;]*)(?P<final>[A-Za-z])|\x1b(?P<cursor>.)|(?P<text>.)"
        for match in re.finditer(pattern, text, re.S):
            if match["text"]:
                self.write(match["text"])
            elif match["cursor"] == "7":
                self.saved = (self.row, self.column)
            elif match["cursor"] == "8":
                self.row, self.column = self.saved
            else:
                self.control(match["final"], [int(n) for n in (match["numbers"] or "").split(";") if n])

    def write(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            if self.row == self.bottom:
                self.scrolled.append(self.rows.pop(self.top))
                self.rows.insert(self.bottom, "")
            else:
                self.row = min(self.row + 1, ROWS - 1)
        else:
            if self.column == COLUMNS:
                self.column = 0
                self.write("\n")
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
            self.column += 1

    def control(self, final: str, numbers: list[int]) -> None:
        if final == "r":
            self.top, self.bottom = (numbers[0] - 1, numbers[1] - 1) if numbers else (0, ROWS - 1)
            self.row = self.column = 0
        elif final == "H":
            self.row, self.column = numbers[0] - 1, numbers[1] - 1
        elif final == "A":
            self.row = max(self.row - numbers[0], self.top)
        elif final == "K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif final == "J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            self.rows[self.row + 1 :] = [""] * (ROWS - self.row - 1)
        elif final != "m":
            self.n_unknown += 1

    def lines(self) -> list[str]:
        return [row.rstrip() for row in [*self.scrolled, *self.rows]]


@pytest.fixture(scope="module")
def on_a_terminal(tmp_path_factory) -> str:
    """All that Snakemake and its jobs write to a terminal of ROWS x COLUMNS."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "Snakefile").write_text(ATTACH + RULES)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm", "PYTHONUTF8": "1"}
    process = subprocess.Popen(
        command(*RUN), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
    )
    os.close(slave)
    written = b""
    try:
        while chunk := os.read(master, 65536):
            written += chunk
    except OSError as error:
        if error.errno != errno.EIO:  # Linux' way to say that the last writer has gone
            raise
    os.close(master)
    assert process.wait(timeout=HANG) == 1
    return written.decode()


def states(written: str) -> list[list[str]]:
    """The rows of the terminal after every drawing of the footer."""
    screen = Screen()
    found = []
    for part in re.split(r"(?<=\x1b8)", written):
        screen.feed(part)
        found.append([row.rstrip() for row in screen.rows])
    assert not screen.n_unknown
    return found


def test_the_footer_says_how_far_it_is(on_a_terminal):
    """Breaks if the last rows do not show the count, what runs and what failed, all at once."""
    feet = ["\n".join(without_times("\n".join(rows[-4:]))) for rows in states(on_a_terminal)]
    assert any(re.search(r"^0/5 jobs  ─+  TIME\n  first  TIME$", foot, re.M) for foot in feet)
    later = (
        r"^2/5 jobs  ━+─+  TIME, at most \d+ min left, 1 failed\n  \w+.*  TIME\n  FAILED: fails, log: logs/fails.log$"
    )
    assert any(re.search(later, foot, re.M) for foot in feet)


def test_what_scrolls_is_left_whole(on_a_terminal):
    """Breaks if the footer overwrites a line, of this process or of a job, or leaves a copy of itself behind."""
    screen = Screen()
    screen.feed(on_a_terminal)
    lines = without_times("\n".join(screen.lines()))
    assert "a line of the job itself" in lines
    start = lines.index("[1/5] FAILED: fails after TIME")
    assert lines[start + 1] == "    output: never.txt"
    assert [line for line in lines if line.startswith("    | ")] == [
        f"    | line {i} of the log" for i in range(21, 51)
    ]
    assert not any("━" in line or "─" in line for line in lines)
    assert "[1/5] first (TIME)" not in lines  # the footer has it


def test_the_terminal_is_given_back(on_a_terminal):
    """Breaks if rows stay reserved after the run, or the prompt would not follow the last line."""
    screen = Screen()
    screen.feed(on_a_terminal)
    assert (screen.top, screen.bottom) == (0, ROWS - 1)
    last = [i for i, row in enumerate(screen.rows) if row.strip()][-1]
    assert screen.rows[last] == "  FAILED: fails, log: logs/fails.log"
    assert (screen.row, screen.column) == (last + 1, 0)


# the arithmetic


def test_time_left_by_rule():
    """Breaks if the estimate ignores which rules are still to come, what runs already, or how many run at a time."""
    progress = Progress({"prepare": 1, "train": 4}, total=5, start=0.0)
    progress.job_started(0, "prepare", "prepare", 0.0)
    assert progress.seconds_left(5.0) is None
    assert progress.job_finished(0, 10.0) == ("prepare", 10.0)
    assert progress.seconds_left(10.0) == pytest.approx(4 * 10.0)  # nothing known of train: as all so far
    progress.job_started(1, "train", "train a", 10.0)
    progress.job_started(2, "train", "train b", 10.0)
    progress.job_finished(1, 40.0)
    progress.job_started(3, "train", "train c", 40.0)
    # 30 s each: b has had its share, c and the waiting one take 60 s; in 40 s, 10 + 30 + 30 s of work were done
    assert progress.seconds_left(40.0) == pytest.approx(60.0 / (70.0 / 40.0))
    assert progress.n_done == 2


def test_a_job_tried_again_has_not_failed():
    """Breaks if a retry leaves the first attempt among the failures."""
    progress = Progress({"train": 1}, total=1, start=0.0)
    progress.job_started(7, "train", "train a", 1.0)
    assert progress.job_failed(7, "train a", ["a.log"], 3.5) == 2.5
    assert [job.logs for job in progress.failed.values()] == [["a.log"]]
    progress.job_started(7, "train", "train a", 4.0)
    assert not progress.failed
    assert progress.job_failed(8, "never started", [], 5.0) is None


def test_labels_and_times_for_people():
    """Breaks if a label loses a wildcard, or a duration is not in the units of its size."""
    assert job_label("train", {"model": "vae", "seed": "0"}) == "train vae/seed0"
    assert job_label("all", {}) == "all"
    assert [duration(seconds) for seconds in (-0.1, 3.21, 9.96, 59.4, 62, 7500)] == [
        *("0.0 s", "3.2 s", "10 s", "59 s", "1 min 02 s", "2 h 05 min"),
    ]
    assert [rough_duration(seconds) for seconds in (0, 60, 61, 7500)] == ["1 min", "1 min", "2 min", "2 h 05 min"]
    assert shorten("train mnist/all/vae/seed0", 15) == "train .../seed0"
    assert all(len(shorten("train mnist/all/vae/seed0", width)) <= width for width in range(30))


@pytest.mark.parametrize("width", [40, 60, 79, 200])
def test_a_footer_fits_its_terminal(width):
    """Breaks if a line is wider than the terminal, where it would wrap into the next row, or rows are too many."""
    handler = TestByTheInterface()._create_handler()
    progress = Progress({"train": 300}, total=300, start=0.0)
    for jobid in range(40):
        progress.job_started(jobid, "train", f"train a_rather_long_dataset/normal/model/seed{jobid}", float(jobid))
    for jobid in range(5):
        progress.job_finished(jobid, 50.0)
    for jobid in range(5, 12):
        progress.job_failed(jobid, f"train long/seed{jobid}", [f"logs/train/long/seed{jobid}.log"], 60.0)
    lines = handler._footer_lines(progress, 100.0, width, 10)
    assert len(lines) <= 10 and max(len(line) for line in lines) <= width
    assert lines[0].startswith("5/300 jobs") and "more" in lines[-4]
    assert logging.Handler.close(handler) is None

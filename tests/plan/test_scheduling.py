"""One timer in Snakemake's scheduler, in a workflow whose jobs wait for one core."""

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import HANG

SRC = Path(__file__).parents[2] / "src"
SNAKEFILE = """
import sys, threading
sys.path.insert(0, {src!r})
from aeflow.plan.scheduling import keep_one_timer
if {kept}:
    keep_one_timer()
rule all:
    input: [f"out/{{i}}" for i in range(12)]
rule one:
    output: "out/{{i}}"
    shell: "touch {{output}}"
onsuccess:
    print("threads", threading.active_count(), file=sys.stderr)
"""


@pytest.mark.parametrize("kept", [True, False])
def test_timers_do_not_pile_up(tmp_path, kept):
    """Breaks if Snakemake renames what is kept, or no longer needs it (unkept: a thread for every job)."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(src=str(SRC), kept=kept))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0 and len(list((tmp_path / "out").iterdir())) == 12, done.stderr
    n_threads = int(done.stderr.rsplit("threads", 1)[1])
    assert n_threads <= 4 if kept else n_threads > 8

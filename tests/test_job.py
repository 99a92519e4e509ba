"""What every script gets from start_job: a log with the traceback, threads, and the device it was promised."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aeflow.job import Job

SCRIPT = """
from types import SimpleNamespace
from aeflow.job import start_job
wildcards = SimpleNamespace(items=lambda: [("model", "vae")])
snakemake = SimpleNamespace(threads=1, log=["logs/x.log"], rule="train", wildcards=wildcards, resources={}, output=[])
job = start_job(snakemake)
import torch
print(job.device(), torch.get_num_threads())
raise ValueError("key beta: found -1")
"""


def test_a_failure_reaches_log_and_terminal(tmp_path):
    """Breaks if a traceback is lost, or the terminal does not say which run failed and which log to open."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.strip() == "cpu 1"
    assert done.stderr.strip() == "train model=vae: ValueError: key beta: found -1\nlog: logs/x.log"
    log = (tmp_path / "logs" / "x.log").read_text()
    assert "rule train, threads 1, wildcards {'model': 'vae'}" in log
    assert "Traceback" in log
    assert "ValueError: key beta: found -1" in log


KILLED = """
import os, signal, sys
from contextlib import ExitStack
from pathlib import Path
from aeflow.files import atomic_path, temporary_path
writing = ExitStack()
for path in map(Path, sys.argv[1:]):
    writing.enter_context(atomic_path(path)).write_bytes(b"half")
folder = temporary_path(path.with_name("cohort")) / "truth"  # as a simulation writes, which makes a folder
folder.mkdir(parents=True)
(folder / "obs.parquet").write_bytes(b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_start_removes_what_a_kill_left(tmp_path):
    """Breaks if files of a killed job stay for ever, or if those of another job, which may be running, are taken."""
    mine = [tmp_path / "data" / name for name in ("X_val.parquet", "x*[1].json")]
    others = [tmp_path / "data" / name for name in ("val.parquet", "X_val.parquet.gz", "x11.json", "X_val_parquet")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", KILLED, *mine, *others], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "data").iterdir())) == 7
    outputs = [str(path.relative_to(tmp_path)) for path in [*mine, tmp_path / "data" / "cohort", tmp_path / "no" / "y"]]
    script = SCRIPT.replace("output=[]", f"output={outputs}")
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, check=False)
    left = [path.name for path in (tmp_path / "data").iterdir()]
    assert len(left) == 4
    for path in others:
        assert any(name.startswith(f".{path.name}.") for name in left)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this node has a GPU")
def test_a_gpu_asked_for_where_there_is_none_is_an_error():
    """Breaks if a GPU job falls back to the CPU in silence."""
    import logging

    with pytest.raises(RuntimeError, match=r"resources: gpu=1, but torch .* finds no CUDA device"):
        Job(logging.getLogger(), threads=1, gpu=1).device()


TRAINING = """
import sys
import torch
from aeflow.job import Job
Job(None, 1, 0).device()
from aeflow.models.build import build
from aeflow.training.fit import TrainingSettings, fit
x = torch.rand(50, 8)
fit(build("vae.VAE", 8, {}), x, x, TrainingSettings(max_epochs=2, batch_size=25), seed=0)
print([name for name in ("torch._dynamo", "sympy", "sklearn", "matplotlib", "mlflow") if name in sys.modules])
"""


def test_a_training_job_imports_only_what_it_uses():
    """Breaks if training imports a compiler, figures or tracking, seconds of every job."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", TRAINING], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

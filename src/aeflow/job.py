"""The one module that knows Snakemake: what every rule's script does before its work."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aeflow.files import remove_orphans

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Job:
    """What a script needs to know of the node it runs on."""

    log: logging.Logger
    threads: int
    gpu: int

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Log how long the block took, in seconds by the clock and of this process's CPU time."""
        clock = time.perf_counter()
        cpu = time.process_time()
        yield
        self.log.info("%s: %.2f s, %.2f s of CPU", what, time.perf_counter() - clock, time.process_time() - cpu)

    def device(self) -> torch.device:
        """Return the device `resources: gpu` asks for; RuntimeError where it is not there, never another one."""
        import torch

        torch.set_num_threads(self.threads)
        keep_freed_memory()
        spare_compiler()
        if not self.gpu:
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise RuntimeError(
                f"resources: gpu={self.gpu}, but torch {torch.__version__} finds no CUDA device on this node; "
                "set the key gpu to 0 for CPU"
            )
        torch.use_deterministic_algorithms(True)
        return torch.device("cuda")


def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB that were freed, instead of giving them back at once; does nothing elsewhere.

    Every step of training frees and asks for the same few MB: giving them back means faulting them in page by page.
    Measured on a network of 784-256-32-256-784 without it: 18 % more CPU time. It can go when torch keeps the memory of
    CPU tensors itself.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, 256 * 2**20)  # M_TRIM_THRESHOLD
        mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD, the largest there is


def spare_compiler() -> None:
    """Keep Adam from importing torch's compiler only to switch it off.

    Call it before the first optimiser is made. Results are the same: step runs without gradients, as it does anyway.
    Measured: 1.3 of 2.9 CPU seconds from start to the end of the first step. It can go when making and stepping an
    optimiser no longer imports torch._dynamo; tests/test_job.py fails when it no longer helps.
    """
    import torch
    from torch.optim import Adam, Optimizer

    # torch wraps these in decorators that import the compiler when called; another torch may not, and is left alone
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if method is not None:
            method.__dynamo_disable = method  # where the decorator keeps its answer
    step = getattr(Adam.step, "__wrapped__", None)
    if step is not None:
        Adam.step = torch.no_grad()(step)


def start_job(snakemake: Any) -> Job:
    """Send logging and the traceback of a failure to the rule's log, and limit threads to what the rule was given.

    What an earlier start of this job left half written, killed, is removed: Snakemake runs it once at a time.
    Call it before importing numpy or torch: thread pools read their limits once.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[name] = str(snakemake.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # needed for determinism on CUDA
    os.environ.setdefault("MPLBACKEND", "Agg")
    path = str(snakemake.log[0])
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    # warnings.simplefilter stays untouched: warnings go to the log, too
    logging.captureWarnings(True)
    logging.basicConfig(
        filename=path,
        filemode="w",
        level=os.environ.get("AEFLOW_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    log = logging.getLogger(f"aeflow.{snakemake.rule}")
    wildcards = dict(snakemake.wildcards.items())
    what = " ".join([snakemake.rule, *(f"{name}={value}" for name, value in wildcards.items())])

    def log_failure(kind, value, traceback):
        log.critical("%s failed", snakemake.rule, exc_info=(kind, value, traceback))
        # one write, so that two jobs that fail together do not mix their lines
        sys.stderr.write(f"{what}: {kind.__name__}: {value}\nlog: {path}\n")

    sys.excepthook = log_failure
    log.info("rule %s, threads %d, wildcards %s", snakemake.rule, snakemake.threads, wildcards)
    for output in snakemake.output:
        remove_orphans(output)
    return Job(log, snakemake.threads, int(snakemake.resources.get("gpu", 0)))

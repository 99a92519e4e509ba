"""Measure conversion of a gzipped matrix to Parquet side by side: aeflow, pandas and bare zcat.

    python tests/bench/convert.py [FILE] [--repetitions N] [--processes] [--threads N]

Without FILE, a matrix of 20,242 genes and 800 samples is made (two decimals, as in RNAseqDB). All three run in turn,
again and again, so that a slow moment of the machine meets all of them; what counts is the median of the ratios inside
a repetition. By default aeflow and pandas run in this process: imports are excluded, a first round is thrown away.
`--processes` starts a Python for each, so that imports are included, as in a job of the workflow.
pandas is `read_csv(path, sep="\\t")` and `to_parquet(out)`, as one would write it without thinking.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
TARGETS = {"pandas": ("at least 4 times as fast", 4.0), "zcat": ("at most 2.5 times its time", 2.5)}
N_GENES, N_SAMPLES = 20_242, 800


def make_matrix(path: Path, n_genes: int = N_GENES, n_samples: int = N_SAMPLES) -> None:
    """Write a matrix like RNAseqDB's expected counts: a tenth zeros, seven tenths whole numbers, up to 1e6."""
    import numpy as np

    rng = np.random.default_rng(0)
    level = rng.normal(8, 3.5, n_genes)
    names = [f"TCGA-{i // 36**2:02d}-{i:04d}-01A-11R-A000-07" for i in range(n_samples)]
    with gzip.open(path, "wt", compresslevel=6) as handle:
        handle.write("\t".join(["Hugo_Symbol", "Entrez_Gene_Id", *names]) + "\n")
        for gene in range(n_genes):
            values = np.exp2(level[gene] + rng.normal(0, 0.8, n_samples)) * (rng.random(n_samples) > 0.1)
            values = np.where(rng.random() < 0.7, np.round(values), values)
            handle.write(f"GENE{gene}\t{gene + 1:>9d}\t" + "\t".join(f"{v:.2f}" for v in values) + "\n")


def run_aeflow(path: Path, out: Path) -> None:
    from aeflow.sources.rnaseqdb import convert

    convert(path, out)


def run_pandas(path: Path, out: Path) -> None:
    import pandas as pd

    pd.read_csv(path, sep="\t").to_parquet(out)


def run_zcat(path: Path, out: Path) -> None:
    subprocess.run(["zcat", path], stdout=subprocess.DEVNULL, check=True)


RUNS: dict[str, Callable[[Path, Path], None]] = {"aeflow": run_aeflow, "pandas": run_pandas, "zcat": run_zcat}


def seconds(name: str, path: Path, out: Path, processes: bool) -> tuple[float, float]:
    """Return wall and CPU time (children included) of one run; its output file is deleted first."""
    out.unlink(missing_ok=True)
    start, used = time.perf_counter(), os.times()
    if processes and name != "zcat":
        subprocess.run([sys.executable, __file__, str(path), "--one", name, "--out", str(out)], check=True)
    else:
        RUNS[name](path, out)
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(used[:4])


def compare(path: Path, repetitions: int, processes: bool) -> dict[str, list[tuple[float, float]]]:
    """Return the (wall, CPU) seconds of each repetition, by what ran; the order rotates."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNS}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(repetitions + 1):
            names = list(RUNS)[repetition % 3 :] + list(RUNS)[: repetition % 3]
            for name in names:
                taken = seconds(name, path, Path(folder) / f"{name}.parquet", processes)
                if repetition:  # the first round imports and fills the file cache
                    found[name].append(taken)
    return found


def report(path: Path, found: dict[str, list[tuple[float, float]]], processes: bool) -> str:
    """Return the table of medians and ratios."""
    from statistics import median

    import pandas
    import polars

    n, wall = len(found["aeflow"]), {name: [w for w, _ in times] for name, times in found.items()}
    cpu = {name: median(c for _, c in times) for name, times in found.items()}
    ratios = {name: [t / a for t, a in zip(wall[name], wall["aeflow"], strict=True)] for name in TARGETS}
    size = path.stat().st_size / 1e6
    lines = [
        f"{path.name}, {size:.1f} MB gzipped; {n} repetitions in turn; imports {'in' if processes else 'ex'}cluded",
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {polars.thread_pool_size()} threads of polars "
        f"{polars.__version__}, pandas {pandas.__version__}, Python {platform.python_version()}",
        "",
        f"{'':10s}{'median s':>10s}{'best s':>10s}{'CPU s':>10s}",
        *(f"{name:10s}{median(times):10.3f}{min(times):10.3f}{cpu[name]:10.3f}" for name, times in wall.items()),
        "",
    ]
    for name, (goal, limit) in TARGETS.items():
        values = ratios[name] if name == "pandas" else [1 / r for r in ratios[name]]
        middle = median(values)
        met = middle >= limit if name == "pandas" else middle <= limit
        text = f"pandas / aeflow {middle:.2f}" if name == "pandas" else f"aeflow / zcat   {middle:.2f}"
        lines.append(f"{text} ({min(values):.2f} to {max(values):.2f}); wanted {goal}: {'met' if met else 'NOT met'}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--processes", action="store_true", help="a Python process for each run, imports included")
    parser.add_argument("--threads", type=int, help="of polars; default: all cores")
    parser.add_argument("--one", choices=list(RUNS), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(SRC))
    if options.threads:
        os.environ["POLARS_MAX_THREADS"] = str(options.threads)
    if options.one:
        RUNS[options.one](options.file, options.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.file
        if path is None:
            path = Path(folder) / "made.txt.gz"
            print(f"making {N_GENES} genes x {N_SAMPLES} samples ...", file=sys.stderr)
            make_matrix(path)
        print(report(path, compare(path, options.repetitions, options.processes), options.processes))


if __name__ == "__main__":
    main()

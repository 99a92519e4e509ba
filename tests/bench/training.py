"""Measure training on CPU: an epoch of `fit` beside its floor, Keras and pythae; its memory; a job's fixed cost.

    python tests/bench/training.py [--rows 150000] [--repetitions 3] [--threads N] [--only epoch|memory|job]

The model is a variational autoencoder 400 - 256 - latents - 256 - 400 with a Gaussian likelihood of variance 1, on
uniform noise, batches of 2,000. Its floor is the time of its matrix products alone, in float32 at the shapes of
training, measured before and after every epoch. Keras and pythae train the same network, loss and optimiser, in turn
with aeflow. They are an extra: pip install ".[bench]".
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
N_VARS, N_HIDDEN, BATCH = 400, 256, 2000
LATENTS = (2, 32)
LEARNING_RATE = 1e-3
SETTINGS = {"max_epochs": 1, "batch_size": BATCH, "learning_rate": LEARNING_RATE, "clip_norm": 0.0}
MEMORY = """
import resource, sys
import torch
from aeflow.job import keep_freed_memory, spare_compiler
from aeflow.models.build import build
from aeflow.training.fit import TrainingSettings, fit
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
rows, n_vars, n_hidden, n_latent, batch = map(int, sys.argv[1:])
keep_freed_memory(), spare_compiler()
x = torch.rand(rows, n_vars)
model = build("vae.VAE", n_vars, {"n_hidden": [n_hidden], "n_latent": n_latent, "likelihood": "gaussian"})
before = peak()
fit(model, x, x[:batch], TrainingSettings(max_epochs=2, batch_size=batch), seed=0)
print(x.numel() * 4 / 1e6, before, peak())
"""


def products(n_latent: int) -> list[tuple[int, int, int]]:
    """Return (m, k, n) of every matrix product (m, k) x (k, n) of one step: 2 m k n floating-point operations each."""
    layers = [(N_VARS, N_HIDDEN), (N_HIDDEN, 2 * n_latent), (n_latent, N_HIDDEN), (N_HIDDEN, N_VARS)]
    shapes = []
    for i, (n_in, n_out) in enumerate(layers):
        shapes += [(BATCH, n_in, n_out), (n_out, BATCH, n_in)]  # output, gradient of the weight
        if i:  # nobody asks for the gradient of the data
            shapes.append((BATCH, n_out, n_in))
    return shapes


def clock() -> tuple[float, float]:
    """Return wall and CPU seconds (of all threads)."""
    return time.perf_counter(), time.process_time()


def floor(n_latent: int, n_steps: int) -> tuple[float, float]:
    """Return wall and CPU seconds of the matrix products of `n_steps` steps, from 12 of each."""
    import torch

    total = [0.0, 0.0]
    for m, k, n in products(n_latent):
        a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
        torch.mm(a, b, out=out)
        begun = clock()
        for _ in range(12):
            torch.mm(a, b, out=out)
        total = [t + (now - then) / 12 * n_steps for t, now, then in zip(total, clock(), begun, strict=True)]
    return total[0], total[1]


def aeflow_epoch(x, n_latent: int) -> Callable[[], None]:
    from aeflow.models.build import build
    from aeflow.training.fit import TrainingSettings, fit

    keywords = {"n_hidden": [N_HIDDEN], "n_latent": n_latent, "likelihood": "gaussian", "variance": 1.0}
    model = build("vae.VAE", N_VARS, keywords)
    return lambda: fit(model, x, x[:BATCH], TrainingSettings(**SETTINGS), seed=0)


def keras_epoch(x, n_latent: int) -> Callable[[], None]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers, ops

    class Latents(layers.Layer):
        """Draws from the posterior, whose divergence is a loss."""

        def call(self, parameters):
            mu, logvar = ops.split(parameters, 2, axis=1)
            kl = 0.5 * ops.sum(ops.square(mu) + ops.exp(logvar) - 1 - logvar, axis=1)
            self.add_loss(ops.mean(kl))
            return mu + ops.exp(0.5 * logvar) * keras.random.normal(ops.shape(mu))

    inputs = keras.Input((N_VARS,))
    h = layers.Dense(N_HIDDEN, activation="relu")(inputs)
    z = Latents()(layers.Dense(2 * n_latent)(h))
    outputs = layers.Dense(N_VARS)(layers.Dense(N_HIDDEN, activation="relu")(z))
    model = keras.Model(inputs, outputs)
    loss = lambda y, y_hat: 0.5 * ops.sum(ops.square(y - y_hat), axis=1)  # noqa: E731
    model.compile(optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=0.0), loss=loss)
    data = x.numpy()
    return lambda: model.fit(data, data, batch_size=BATCH, epochs=1, verbose=0)


def pythae_epoch(x, n_latent: int) -> Callable[[], None]:
    import logging

    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from torch import nn

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(N_VARS, N_HIDDEN), nn.ReLU())
            self.posterior = nn.Linear(N_HIDDEN, 2 * n_latent)

        def forward(self, x):
            mu, logvar = self.posterior(self.hidden(x)).chunk(2, dim=1)
            return ModelOutput(embedding=mu, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(n_latent, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, N_VARS))

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z))

    logging.disable(logging.INFO)  # it says a lot
    config = VAEConfig(input_dim=(N_VARS,), latent_dim=n_latent, reconstruction_loss="mse")  # 0.5 times the sum
    training = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(prefix="pythae"), num_epochs=1, per_device_train_batch_size=BATCH,
        learning_rate=LEARNING_RATE, optimizer_cls="AdamW", optimizer_params={"weight_decay": 0.0}, no_cuda=True,
    )  # fmt: skip
    data = BaseDataset(x, torch.zeros(len(x)))
    trainer = BaseTrainer(VAE(config, Encoder(), Decoder()), data, training_config=training)
    trainer.prepare_training()
    shutil.rmtree(training.output_dir, ignore_errors=True)  # an epoch writes nothing
    trainer.callback_handler.callbacks = []  # no progress bar
    return lambda: trainer.train_step(1)


EPOCHS = {"aeflow": aeflow_epoch, "keras": keras_epoch, "pythae": pythae_epoch}


def measure_epochs(rows: int, repetitions: int) -> None:
    """Print, for each number of latents, floor / epoch of each program; medians of the ratios inside a repetition."""
    import torch

    from aeflow.job import keep_freed_memory

    keep_freed_memory()
    known = [name for name in EPOCHS if name == "aeflow" or importlib.util.find_spec(name)]
    for name in sorted(set(EPOCHS) - set(known)):
        print(f'{name} is not installed, so not compared (pip install ".[bench]")')
    x = torch.rand(rows, N_VARS)
    n_steps = -(-rows // BATCH)
    print(
        f"\n{rows} x {N_VARS} float32, {n_steps} steps, {torch.get_num_threads()} threads of torch {torch.__version__}"
    )
    print("latents  program    epoch s   CPU s  floor s  GFLOP/s  floor/epoch  of CPU time  time of aeflow's  load")
    for n_latent in LATENTS:
        torch.manual_seed(0)
        runs = {name: EPOCHS[name](x, n_latent) for name in known}
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in known}
        for repetition in range(repetitions + 1):
            for name in known[repetition % len(known) :] + known[: repetition % len(known)]:
                before = floor(n_latent, n_steps)
                begun = clock()
                runs[name]()
                taken = [now - then for now, then in zip(clock(), begun, strict=True)]
                bound = [(a + b) / 2 for a, b in zip(before, floor(n_latent, n_steps), strict=True)]
                if repetition:  # the first round fills caches
                    found[name].append((*taken, *bound))
        operations = sum(2 * m * k * n for m, k, n in products(n_latent)) * n_steps
        for name, times in found.items():
            wall, cpu, bound, _ = (median(column) for column in zip(*times, strict=True))
            ratio, ratio_cpu = (median(t[2 + i] / t[i] for t in times) for i in (0, 1))
            ours = median(t[0] / a[0] for t, a in zip(times, found["aeflow"], strict=True))
            print(
                f"{n_latent:7d}  {name:8s} {wall:9.2f} {cpu:7.2f} {bound:8.2f} {operations / bound / 1e9:8.0f}"
                f" {ratio:12.2f} {ratio_cpu:12.2f} {ours:17.2f} {os.getloadavg()[0]:5.1f}",
                flush=True,
            )
    print("wanted of aeflow: floor/epoch at least 0.85; of the others: time of aeflow's above 1")


def measure_memory(rows: int) -> None:
    """Print the peak memory of a process that trains."""
    command = [sys.executable, "-c", MEMORY, *map(str, (rows, N_VARS, N_HIDDEN, max(LATENTS), BATCH))]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    data, before, peak = map(float, done.stdout.split())
    print(f"\nmemory: data {data:.0f} MB, process before fit {before:.0f} MB, peak {peak:.0f} MB")
    print(f"fit adds {peak - before:.0f} MB; peak is the data plus {peak - data:.0f} MB (wanted: at most 500)")


def measure_job(repetitions: int) -> None:
    """Print what Snakemake's benchmark says of a training of one epoch on a few rows: all of it is fixed cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("Snakefile", "workflow", "src", "config"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        (folder / "short.yaml").write_text("training: {max_epochs: 1}\n")
        targets = [f"results/runs/simulated/normal/{model}/seed0/model.json" for model in ("pca", "ae")]
        snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "--configfile", "config/test.yaml",
                     "short.yaml"]  # fmt: skip
        seconds: dict[str, list[tuple[float, float]]] = {"pca": [], "ae": []}
        for _ in range(repetitions):
            done = subprocess.run([*snakemake, "--forcerun", "train", "--", *targets], cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"snakemake failed:\n{done.stdout[-4000:]}")
            for model, values in seconds.items():
                path = folder / f"benchmarks/train/simulated/normal/{model}/seed0.tsv"
                with open(path) as handle:
                    row = next(csv.DictReader(handle, delimiter="\t"))
                    values.append((float(row["s"]), float(row["cpu_time"])))
    print()
    for model, values in seconds.items():
        wall, cpu = (median(column) for column in zip(*values, strict=True))
        print(f"job of {model}: {wall:.1f} s, of which {cpu:.1f} s CPU; two at once, load {os.getloadavg()[0]:.1f}")
    print("wanted: at most 4 s on 2 idle cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--only", choices=("epoch", "memory", "job"))
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read once, when torch is imported
    sys.path.insert(0, str(ROOT / "src"))
    if options.only in (None, "epoch"):
        measure_epochs(options.rows, options.repetitions)
    if options.only in (None, "memory"):
        measure_memory(options.rows)
    if options.only in (None, "job"):
        measure_job(options.repetitions)


if __name__ == "__main__":
    main()

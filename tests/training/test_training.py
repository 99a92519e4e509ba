"""The training loop: resumption, stopping, weights of the loss parts, and its refusals."""

import logging
import multiprocessing
import os
import signal

import pytest
import torch
from waiting import kill_when_renaming_to

from aeflow.errors import ConfigError
from aeflow.models.base import AbstractAutoencoder, Batch, Losses
from aeflow.models.build import build
from aeflow.training.checkpoint import Checkpoint, save_tensors
from aeflow.training.fit import TrainingSettings, fit


def data(n=256, seed=0, n_vars=20):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 4, generator=generator) @ torch.rand(4, n_vars, generator=torch.Generator().manual_seed(9)) / 4


def train(folder=None, epochs=8, fingerprint="same", weights=None, seconds=0.0, dropout=0.0):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build("vae.VAE", 20, {"n_hidden": [16], "n_latent": 3, "dropout": dropout})
    settings = TrainingSettings(max_epochs=epochs, batch_size=50, warmup_epochs=2, checkpoint_seconds=seconds)
    checkpoint = Checkpoint(folder, fingerprint) if folder else None
    history, best = fit(model, data(), data(64, 1), settings, seed=3, checkpoint=checkpoint)
    if weights:
        save_tensors(model.state_dict(), weights)
    return history, best


def killed_training(**keywords):
    """Train in this process, which is killed when the state of epoch 5 is written but not in its place."""
    kill_when_renaming_to("epoch000005")
    train(**keywords)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_killed_run_resumes_to_the_same_bytes(tmp_path, caplog, dropout):
    """Breaks if anything that decides the next step is not in the checkpoint: optimiser, generators, best weights."""
    whole, best = train(weights=tmp_path / "whole.safetensors", dropout=dropout)
    child = multiprocessing.get_context("spawn").Process(
        target=killed_training,
        kwargs={"folder": tmp_path / "state", "weights": tmp_path / "x.safetensors", "dropout": dropout},
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "state").glob("epoch*")] == ["epoch000004"]
    assert not (tmp_path / "x.safetensors").exists()
    with caplog.at_level(logging.INFO):
        resumed, best_again = train(tmp_path / "state", weights=tmp_path / "resumed.safetensors", dropout=dropout)
    assert "resumed after epoch" in caplog.text
    assert resumed.equals(whole)
    assert best_again == best
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_checkpoint_of_another_run_is_not_used(tmp_path, caplog):
    """Breaks if an edited hyperparameter resumes from weights trained without it."""
    train(tmp_path, epochs=2, fingerprint="one")
    with caplog.at_level(logging.INFO):
        train(tmp_path, epochs=2, fingerprint="two")
    assert "resumed" not in caplog.text


def test_half_written_checkpoint_is_ignored(tmp_path):
    """Breaks if a state that a kill interrupted can be taken for a whole one."""
    train(tmp_path, epochs=2)
    whole, _ = train(epochs=4)
    half = tmp_path / ".epoch000003.1.tmp"
    same_number = tmp_path / f".epoch000003.{os.getpid()}.tmp"  # processes of a container often have one number
    for folder in (half, same_number):
        folder.mkdir()
        (folder / "state.safetensors").write_bytes(b"half")
    resumed, _ = train(tmp_path, epochs=4)
    assert resumed.equals(whole)
    assert not half.exists() and not same_number.exists()


def test_weights_of_the_best_epoch_are_kept():
    """Breaks if the last epoch's weights are returned instead of the best one's."""
    torch.manual_seed(0)
    model = build("ae.AE", 20, {"n_hidden": [64], "n_latent": 10})
    x_train, x_val = data(12), data(300, 5)
    history, best = fit(model, x_train, x_val, TrainingSettings(max_epochs=60, learning_rate=0.03, patience=60), seed=0)
    with torch.no_grad():
        loss = model.eval().losses(Batch(x_val)).reconstruction.mean().item()
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-5)
    assert history["val_loss"].idxmin() + 1 == best


def test_early_stopping_counts_patience():
    """Breaks if training goes on after `patience` epochs without a better validation loss."""
    torch.manual_seed(0)
    model = build("ae.AE", 20, {"n_hidden": [64], "n_latent": 10})
    settings = TrainingSettings(max_epochs=500, learning_rate=0.03, patience=3)
    history, best = fit(model, data(12), data(300, 5), settings, seed=0)
    assert len(history) == best + 3 < 500


class Constant(AbstractAutoencoder):
    """Loss parts that are their two parameters; `blow_up_at` makes the n-th training batch NaN."""

    n_latent = 1

    def __init__(self, blow_up_at=None):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))
        self.calls, self.blow_up_at = 0, blow_up_at

    def encode(self, batch):
        return batch.x[:, :1]

    def decode(self, z, batch):
        return batch.x

    def losses(self, batch):
        self.calls += self.training
        factor = float("nan") if self.calls == self.blow_up_at else 1.0
        ones = torch.ones(len(batch.x))
        return Losses(self.a * ones * factor, self.b * ones)


@pytest.mark.parametrize(("beta", "ratio"), [(0.5, 0.5), (0.0, 0.0), (2.0, 2.0)])
def test_penalty_moves_the_total_by_its_weight(beta, ratio):
    """Breaks if beta is lost, squared or applied to the wrong part: gradients of both parts are 1, so steps compare."""
    model = Constant()
    gradients = []
    step = torch.optim.AdamW.step

    def record(self, *args, **kwargs):
        gradients.append((model.a.grad.item(), model.b.grad.item()))
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", record)
        fit(model, data(8), data(8), TrainingSettings(max_epochs=1, beta=beta, clip_norm=0), seed=0)
    assert gradients[0] == (1.0, ratio)


def test_warmup_raises_the_weight_linearly_and_is_not_judged():
    """Breaks if warm-up is off by one or an epoch within it can be the best."""
    torch.manual_seed(0)
    model = build("vae.VAE", 20, {"n_hidden": [16], "n_latent": 3})
    settings = TrainingSettings(max_epochs=6, warmup_epochs=3, beta=2.0)
    history, best = fit(model, data(), data(64, 1), settings, seed=0)
    assert history["penalty_weight"].tolist() == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert best > 3


def test_nan_loss_names_epoch_and_batch():
    """Breaks if training goes on with a loss that is not a number."""
    model = Constant(blow_up_at=4 + 2)  # 3 batches an epoch: second epoch, third batch
    with pytest.raises(FloatingPointError, match="epoch 2, batch 3 of 3"):
        fit(model, data(90), data(8), TrainingSettings(max_epochs=3, batch_size=30), seed=0)


def test_extreme_learning_rate_raises():
    """Breaks if divergence of a real model ends in a silent NaN."""
    torch.manual_seed(0)
    model = build("vae.VAE", 20, {"n_hidden": [16], "likelihood": "gaussian"})
    with pytest.raises(FloatingPointError, match="not finite"):
        fit(model, data(), data(64, 1), TrainingSettings(max_epochs=20, learning_rate=1e30, clip_norm=0), seed=0)


def test_evaluation_sees_every_row():
    """Breaks if the last, smaller chunk of rows is dropped or weighs as much as a full one."""
    from aeflow.training.fit import EVAL_ROWS, evaluate

    model = build("ae.AE", 2, {"n_hidden": [2], "n_latent": 1})
    x = torch.zeros(EVAL_ROWS + 3, 2)
    x[-3:] = 100.0
    with torch.no_grad():
        expected = model.losses(Batch(x)).reconstruction.double().mean().item()
    assert evaluate(model, x, 0, beta=1.0)["val_reconstruction"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1e-2] * 13),
        ("stages", [1e-2] + [1e-2 * 10 ** (-1 / 7)] * 3 + [1e-2 * 10 ** (-2 / 7)] * 9),
        ("cosine", None),
    ],
)
def test_learning_rate_schedules(schedule, expected):
    """Breaks if a stage is an epoch too long, or the cosine does not end at 0."""
    torch.manual_seed(0)
    model = build("ae.AE", 20, {"n_latent": 3})
    settings = TrainingSettings(max_epochs=13, patience=13, learning_rate=1e-2, schedule=schedule, batch_size=32)
    rates = fit(model, data(64), data(64, 1), settings, seed=0)[0]["learning_rate"].tolist()
    if expected:
        assert rates == pytest.approx(expected)
    else:
        assert rates[0] > 0.98e-2 and rates == sorted(rates, reverse=True) and rates[-1] < 5e-4


def test_unknown_schedule_is_named():
    """Breaks if a misspelt schedule trains at a constant rate."""
    with pytest.raises(ConfigError, match="'cosin' does not exist"):
        fit(build("ae.AE", 20, {"n_latent": 3}), data(), data(), TrainingSettings(schedule="cosin"), seed=0)


def test_models_without_layers_refuse_pretraining():
    """Breaks if pretraining is skipped silently where there is nothing to pretrain."""
    with pytest.raises(ConfigError, match="LinearAE has no mirrored layers"):
        fit(
            build("linear_ae.LinearAE", 20, {"n_latent": 3}),
            data(),
            data(),
            TrainingSettings(pretrain_epochs=1),
            seed=0,
        )


def test_the_total_loss_stands_beside_its_parts():
    """Breaks if history holds the parts alone, or a total that is not what was optimised."""
    history, _ = train(epochs=5)
    total = history["train_reconstruction"] + history["penalty_weight"] * history["train_penalty"]
    assert history["train_loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-12)
    assert (history["penalty_weight"].iloc[0], history["penalty_weight"].iloc[-1]) == (pytest.approx(1 / 3), 1.0)
    assert history["val_loss"].to_numpy() == pytest.approx(history["val_reconstruction"] + history["val_penalty"])

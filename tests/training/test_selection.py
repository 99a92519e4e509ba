"""One hyperparameter, chosen on validation rows."""

import pytest
import torch

from aeflow.models.base import AbstractAutoencoder, Batch, Losses
from aeflow.models.build import build
from aeflow.training.checkpoint import Checkpoint, save_tensors
from aeflow.training.choose import fit_chosen
from aeflow.training.fit import TrainingSettings, evaluate

SETTINGS = TrainingSettings(max_epochs=4, batch_size=50, learning_rate=3e-3, checkpoint_seconds=0.0)
BASE = {"n_hidden": [16], "n_latent": 3, "noise": 0.7}


def rows(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 4, generator=generator) @ torch.rand(4, 20, generator=torch.Generator().manual_seed(9)) / 4


def make(chosen):
    return build("dae.DAE", 20, chosen)


def choose(folder, values):
    return fit_chosen(
        make, BASE, {"noise": values} if values else {}, Batch(rows(256, 0)), Batch(rows(64, 1)),
        SETTINGS, seed=3, checkpoint=lambda name: Checkpoint(folder / name, "same"),
    )  # fmt: skip


class Centred(AbstractAutoencoder):
    """Error (x - centre it was made with)^2, which no training changes."""

    n_latent = 1

    def __init__(self, centre: float):
        super().__init__()
        self.centre = centre
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("made_with", torch.tensor(centre))

    def encode(self, batch):
        return batch.x[:, :1]

    def decode(self, z, batch):
        return batch.x

    def losses(self, batch):
        error = (batch.x[:, 0] - self.made_with).square() + 0 * self.weight
        return Losses(error, torch.zeros_like(error))


def test_the_choice_is_made_on_validation_rows(tmp_path):
    """Breaks if training rows decide, which sit at 0: validation rows sit at 1."""
    fitted = fit_chosen(
        lambda chosen: Centred(**chosen), {"centre": 9.0}, {"centre": [0.0, 1.0]},
        Batch(torch.zeros(20, 2)), Batch(torch.ones(20, 2)), SETTINGS, seed=0,
        checkpoint=lambda name: Checkpoint(tmp_path / name, "same"),
    )  # fmt: skip
    assert fitted.choice == {"key": "centre", "values": [0.0, 1.0], "val_reconstruction": [1.0, 0.0], "chosen": 1.0}
    assert fitted.hyperparameters == {"centre": 1.0}
    assert fitted.model.made_with == 1.0


def test_every_candidate_is_judged_under_every_value(tmp_path):
    """Breaks if a denoiser is chosen for being given the least noise: each must meet the noise of all."""
    values = [0.05, 0.4]
    fitted = choose(tmp_path, values)
    assert fitted.model.noise == fitted.choice["chosen"] == fitted.hyperparameters["noise"]
    own = fitted.model.noise
    errors = []
    for value in values:
        fitted.model.noise = value
        errors.append(evaluate(fitted.model, rows(64, 1), 3, beta=1.0)["val_reconstruction"])
    fitted.model.noise = own
    position = values.index(own)
    assert fitted.choice["val_reconstruction"][position] == pytest.approx(sum(errors) / 2)
    assert min(fitted.choice["val_reconstruction"]) == fitted.choice["val_reconstruction"][position]


def test_a_candidate_equals_the_model_trained_alone(tmp_path):
    """Breaks if candidates share random draws: the chosen one would depend on which others were tried."""
    fitted = choose(tmp_path / "both", [0.1, 0.4])
    alone = choose(tmp_path / "one", [fitted.hyperparameters["noise"]])
    states = fitted.model.state_dict(), alone.model.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))
    assert fitted.history.equals(alone.history)


def test_without_a_choice_the_given_value_is_trained(tmp_path):
    """Breaks if the one model is not the one of the hyperparameters, or claims to have been chosen."""
    fitted = choose(tmp_path, None)
    assert fitted.hyperparameters == BASE
    assert fitted.choice == {}


def test_a_killed_choice_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    """Breaks if the second candidate, killed in its third epoch, or the first one, done by then, ends elsewhere."""
    whole = choose(tmp_path / "whole", [0.1, 0.4])
    save = Checkpoint.save
    saved = []

    class Killed(BaseException):
        pass

    def dies(self, epoch, tensors, content):
        save(self, epoch, tensors, content)
        saved.append(epoch)
        if len(saved) == SETTINGS.max_epochs + 3:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", dies)
    with pytest.raises(Killed):
        choose(tmp_path / "killed", [0.1, 0.4])
    assert saved == [1, 2, 3, 4, 1, 2, 3]
    resumed = choose(tmp_path / "killed", [0.1, 0.4])
    assert saved == [1, 2, 3, 4, 1, 2, 3, 4]
    assert resumed.choice == whole.choice
    assert resumed.history.equals(whole.history)
    for name, fitted in (("whole", whole), ("resumed", resumed)):
        save_tensors(fitted.model.state_dict(), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "resumed.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("architecture", "key", "values"),
    [
        ("ae.AE", "n_hidden", [[8], [16, 8]]),
        ("cae.CAE", "n_latent", [2, 6]),
        ("ae.AE", "dropout", [0.0, 0.5]),
        ("cae.CAE", "activation", ["tanh", "sigmoid"]),
    ],
)
def test_what_shapes_a_network_can_be_chosen(tmp_path, architecture, key, values):
    """Breaks if a trained model is asked for a width or a function that it does not have."""
    fitted = fit_chosen(
        lambda chosen: build(architecture, 20, chosen), {}, {key: values}, Batch(rows(256, 0)), Batch(rows(64, 1)),
        SETTINGS, seed=3, checkpoint=lambda name: Checkpoint(tmp_path / name, "same"),
    )  # fmt: skip
    own = evaluate(fitted.model, rows(64, 1), 3, beta=1.0)["val_reconstruction"]
    assert min(fitted.choice["val_reconstruction"]) == own
    assert fitted.hyperparameters == {key: fitted.choice["chosen"]}

"""What tells an interrupted training from another one, and what is written of a run."""

from pathlib import Path

from tiny import train_run, write_dataset

from aeflow.training.describe import fingerprint


def test_whatever_decides_a_result_is_in_the_fingerprint(tmp_path):
    """Breaks if a run resumes from weights of other code or settings, or anew because files came in another order."""
    code = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in code:
        path.write_text("x = 1\n")
    first = fingerprint(map(str, code), settings={"beta": 1.0, "batch_size": 5}, threads=1)
    assert first == fingerprint(map(str, code[::-1]), threads=1, settings={"batch_size": 5, "beta": 1.0})
    assert first != fingerprint(map(str, code), settings={"beta": 1.5, "batch_size": 5}, threads=1)
    code[1].write_text("x = 2\n")
    assert first != fingerprint(map(str, code), settings={"beta": 1.0, "batch_size": 5}, threads=1)


def test_a_specification_says_what_came_of_a_training(tmp_path: Path):
    """Breaks if a specification says what was asked for in the place of what is."""
    dataset = write_dataset(tmp_path / "tiny")
    train = dataset.rows("train", {"condition": ["normal"]})
    ae = train_run(tmp_path / "ae", dataset, "ae.AE", {"n_latent": 3, "n_hidden": []}, epochs=3)
    assert (ae.n_obs_train, ae.n_vars, ae.n_latent) == (train.n_obs, 16, 3) and ae.n_obs_train < 120
    assert ae.n_parameters == 2 * 16 * 3 + 16 + 3 and ae.outcome is None
    assert ae.n_epochs == 3 and 1 <= ae.best_epoch <= 3
    facts = (ae.data_hash, ae.origin, ae.unit, ae.unit_before_scale)
    assert facts == ("d" * 64, "simulated", "standardised", "log2_tpm1")
    pca = train_run(tmp_path / "pca", dataset, "pca.PCA", {"n_latent": 3})
    assert pca.outcome == "continuous" and pca.best_epoch == 0

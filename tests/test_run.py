"""Run: a trained model opened from its folder, applied to rows of its dataset and to new ones."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import N_VARS, NORMAL, tiny_table, train_run, write_dataset, write_gene_sets

from aeflow.dataset.dataset import Dataset
from aeflow.errors import DataError
from aeflow.files import read_json, write_json
from aeflow.models.base import Batch
from aeflow.run import RUN_FILES, Run
from aeflow.scoring.scores import ScoreSettings
from aeflow.training.specification import Specification

VAE = {"n_latent": 3, "n_hidden": [8], "likelihood": "gaussian"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset and one run each of a PCA, a VAE, a conditional VAE, an AE, and a model of gene sets."""
    folder = tmp_path_factory.mktemp("place")
    dataset = write_dataset(folder / "tiny")
    train_run(folder / "pca", dataset, "pca.PCA", {"n_latent": 3}, model="pca")
    train_run(folder / "vae", dataset, "vae.VAE", VAE, model="vae", seed=4)
    train_run(folder / "cvae", dataset, "cvae.CVAE", VAE, model="cvae", condition_on=("tissue", "study"))
    train_run(folder / "ae", dataset, "ae.AE", {"n_latent": 3, "n_hidden": [8]}, model="ae")
    gene_sets = write_gene_sets(folder / "sets.gmt")
    train_run(folder / "gsae", dataset, "gsae.GSAE", {"n_latent": 2}, model="gsae", gene_sets=gene_sets)
    return folder


def opened(place, name, **keywords) -> Run:
    return Run.open(place / name, dataset=Dataset.open(place / "tiny"), **keywords)


@pytest.mark.parametrize("name", ["pca", "vae", "cvae", "ae", "gsae"])
def test_a_run_gives_what_its_model_gives(place, name):
    """Breaks if weights, the mask of gene sets, codes of covariates or evaluation mode are lost on the way."""
    run = opened(place, name)
    test = run.dataset.rows("test")
    assert not run.model.training
    assert run.name == f"tiny/normal/{name}/seed{4 if name == 'vae' else 0}"
    z = run.encode(test)
    x_hat = run.reconstruct(test)
    assert z.shape == (test.n_obs, run.spec.n_latent) and z.dtype == np.float32
    assert x_hat.shape == test.X.shape and x_hat.dtype == np.float32
    with torch.no_grad():
        batch = run.batch(test)
        assert np.array_equal(z, run.model.encode(batch).numpy())
        assert np.allclose(x_hat, run.model.decode(torch.from_numpy(z), batch).numpy(), atol=1e-6)
    # rows alone or in company, the same; a second opening, too
    some = test.select(rows=np.array([5, 2]))
    assert np.allclose(Run.open(place / name).encode(some), z[[5, 2]], atol=1e-6)
    assert (run.loadings() is None) == (name != "pca")


def test_a_model_learnt_something(place):
    """Breaks if weights are those of a new model: rows of the view are then reconstructed no better than by 0."""
    run = opened(place, "pca")
    test = run.dataset.rows("test", NORMAL)
    assert np.square(run.reconstruct(test) - test.X).sum() < 0.2 * np.square(test.X - test.X.mean(0)).sum()
    assert run.loadings().shape == (N_VARS, 3)


def test_scores_are_of_the_view_and_whole(place):
    """Breaks if training rows of another view are the reference, or the settings of scores are forgotten."""
    settings = ScoreSettings(families=("deviation.Deviation", "baselines.Baselines"))
    run = opened(place, "ae", score_settings=settings)
    test = run.dataset.rows("test")
    found = run.scores(test)
    assert {name.split("/")[0] for name in found} == {"deviation", "baseline"}
    assert found["deviation/squared_error"] == pytest.approx(np.square(run.reconstruct(test) - test.X).sum(1), rel=1e-4)
    mean = run.dataset.rows("train", NORMAL).X.mean(0)
    expected = np.square(test.X - mean).sum(1)
    assert found["baseline/squared_distance_to_mean"] == pytest.approx(expected, rel=1e-4)
    assert all(values.shape == (test.n_obs,) for values in found.values())
    everything = opened(place, "vae").scores(test)
    assert {"density/elbo", "proximity/knn", "combined/max"} <= set(everything)


def test_scores_need_a_dataset(place):
    """Breaks if scores are fitted on the rows that are scored where nothing else is at hand."""
    run = Run.open(place / "ae")
    with pytest.raises(DataError, match="tiny/normal/ae/seed0: scores compare with training rows; open the run with"):
        run.scores(tiny_table())


def test_draws(place):
    """Breaks if draws depend on more than their seed, or a conditional model is not told its classes."""
    run = opened(place, "vae")
    draws = run.generate(30, seed=1)
    assert draws.shape == (30, N_VARS) and np.array_equal(draws, run.generate(30, seed=1))
    assert not np.array_equal(draws, run.generate(30, seed=2))
    assert run.generate(200, noise=False).std() < run.generate(200).std()
    conditional = opened(place, "cvae")
    like = conditional.dataset.rows("test").select(rows=np.arange(20))
    given = conditional.generate(20, noise=False, like=like)
    other = like.select(rows=np.arange(20))
    other.obs["tissue"] = other.obs["tissue"].map({"lung": "liver", "liver": "lung"})
    assert given.shape == (20, N_VARS)
    assert not np.allclose(given, conditional.generate(20, noise=False, like=other))
    for bad in (None, like.select(rows=np.arange(19))):
        with pytest.raises(DataError, match="is conditional: needs 20 rows to take conditions from"):
            conditional.generate(20, like=bad)
    with pytest.raises(DataError, match=r"tiny/normal/ae/seed0: ae\.AE cannot generate"):
        opened(place, "ae").generate(3)


@pytest.mark.parametrize("file", ["specification", "weights"])
def test_a_folder_without_a_file_is_no_run(place, tmp_path, file):
    """Breaks if half a run is opened, or the error does not say what is missing where."""
    folder = shutil.copytree(place / "pca", tmp_path / "half")
    (folder / RUN_FILES[file]).unlink()
    with pytest.raises(DataError, match=rf"half: no file {RUN_FILES[file]}, so it is not the folder of a trained run"):
        Run.open(folder)


def test_other_data_are_refused(place, tmp_path):
    """Breaks if a run is scored beside data that it was not trained on."""
    other = write_dataset(tmp_path / "tiny", data_hash="e" * 64)
    with pytest.raises(DataError, match=r"vae: trained on other data than 'tiny' holds now \(data_hash differs\)"):
        Run.open(place / "vae", dataset=other)


def test_other_variables_are_refused(place):
    """Breaks if rows of fewer variables reach the model, whose message names a matrix."""
    run = opened(place, "vae")
    rows = run.dataset.rows("test").select(columns=np.arange(N_VARS - 1))
    for ask in (run.encode, run.reconstruct, run.scores):
        with pytest.raises(DataError, match="run tiny/normal/vae/seed4: trained on 16 variables, given 15"):
            ask(rows)


def test_a_class_that_training_never_saw_is_named(place):
    """Breaks if a conditional model decodes an unknown class as a row of zeros."""
    run = opened(place, "cvae")
    rows = run.dataset.rows("test")
    rows = rows.select(rows=np.arange(5))
    rows.obs["tissue"] = "skin"
    with pytest.raises(DataError, match="tissue 'skin' was not among the training rows"):
        run.encode(rows)


@pytest.mark.parametrize("name", ["pca", "vae", "cvae", "gsae"])
def test_a_specification_is_its_file(place, name):
    """Breaks if a key is lost or added between model.json and the specification."""
    path = place / name / RUN_FILES["specification"]
    spec = Specification.read(path)
    content = read_json(path)
    assert json.loads(json.dumps(spec.as_json())) == content
    assert ("gene_sets" in content) == ("gene_set_coverage" in content) == (name == "gsae")
    assert set(spec.covariates) == ({"tissue", "study"} if name == "cvae" else set())
    if name == "gsae":
        assert spec.gene_sets == ["LOW", "MIDDLE", "HIGH"]
    assert Run.open(path.parent).spec == spec


def test_a_file_that_is_no_specification_is_named(place, tmp_path):
    """Breaks if a misspelt, missing or foreign key is ignored, or the error does not name the file."""
    path = tmp_path / "model.json"
    content = read_json(place / "pca" / RUN_FILES["specification"])
    write_json(content | {"sead": 1}, path)
    with pytest.raises(DataError, match=r"model\.json: is no specification of a run: .*'sead'"):
        Specification.read(path)
    write_json({key: value for key, value in content.items() if key != "seed"}, path)
    with pytest.raises(DataError, match=r"model\.json: is no specification of a run: .*'seed'"):
        Specification.read(path)
    path.write_text("[1]")
    with pytest.raises(DataError, match=r"model\.json: is no specification of a run"):
        Specification.read(path)
    path.write_text('{"dataset": "tiny"')
    with pytest.raises(DataError, match=r"model\.json: not JSON.*line 1"):
        Specification.read(path)


def test_a_run_made_in_memory(place):
    """Breaks if only a folder can make a run: a model that was just trained is one, too."""
    on_disk = opened(place, "vae")
    run = Run(replace(on_disk.spec, model="other"), on_disk.model, torch.device("cpu"), dataset=on_disk.dataset)
    test = run.dataset.rows("test")
    assert run.name == "tiny/normal/other/seed4" and np.array_equal(run.encode(test), on_disk.encode(test))
    assert isinstance(run.batch(test), Batch)

"""What a failed workflow could not finish: which runs, why, and which files of other jobs."""

from types import SimpleNamespace

import pytest

from aeflow.plan import unfinished
from aeflow.plan.grid import Cell
from aeflow.plan.unfinished import VARIABLE, Unfinished, reason_of, unfinished_of

START = "2026-11-27 16:12:04,294 INFO aeflow.train: rule train, threads 1\n"
FAILED = START + "2026-11-27 16:12:05,746 CRITICAL aeflow.train: train failed\nTraceback (most recent call last):\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            FAILED + '  File "x.py", line 3, in <module>\nFloatingPointError: epoch 1: loss is nan\n',
            "FloatingPointError: ",
        ),
        (FAILED + "aeflow.errors.DataError: a.gz: line 3: not a number, found 'x'\n", "DataError: a.gz: line 3"),
        (FAILED + "KeyError: 'study'\n\nThe above ...\n\naeflow.errors.DataError: obs: no study\n", "DataError: obs"),
        (FAILED + "torch.OutOfMemoryError: CUDA out of memory.\n", "OutOfMemoryError: CUDA"),
        (FAILED + "ConfigError: first fault\nsecond fault\n", "ConfigError: first fault"),
        (FAILED + "MemoryError\n", "MemoryError"),
        (START, "ended without an error of its own: killed, "),
        ("", "ended without an error of its own: killed, "),
    ],
)
def test_a_log_tells_why_a_job_failed(tmp_path, log, reason):
    """Breaks if a leaderboard says nothing of a run that failed, or takes a killed job for another error."""
    path = tmp_path / "train.log"
    path.write_text(log)
    assert reason_of([str(path)]).startswith(reason)
    assert reason_of([str(tmp_path / "absent.log")]).startswith("ended without")


class Job(SimpleNamespace):
    """Stands in for a job of Snakemake."""

    __hash__ = object.__hash__


def job(rule, tmp_path, error=None, output=(), **wildcards):
    log = tmp_path / f"{rule}-{'-'.join(wildcards.values())}.log"
    log.write_text(FAILED + f"{error}\n" if error else START)
    return Job(rule=SimpleNamespace(name=rule), wildcards_dict=wildcards, log=[str(log)], output=list(output))


def ended(dependencies, failed, finished=()):
    """Return a workflow that has ended: job -> jobs it needs."""
    jobs = [one for one in dependencies if one not in finished]
    return SimpleNamespace(
        scheduler=SimpleNamespace(failed=set(failed)),
        dag=SimpleNamespace(needrun_jobs=lambda: iter(jobs), dependencies=dependencies),
    )


def run(dataset, model):
    return {"dataset": dataset, "view": "all", "model": model, "seed": "0"}


def test_runs_and_files_are_told_apart(tmp_path):
    """Breaks if a failing figure or table takes runs with it, or what waited for it is asked for again."""
    bad = job("train", tmp_path, "FloatingPointError: nan", **run("a", "ae"))
    waiting = job("assess", tmp_path, **run("a", "ae"))
    good = job("assess", tmp_path, **run("a", "pca"))
    compare = job("compare", tmp_path, output=["a/leaderboard.csv"], dataset="a")
    probe = job("probe", tmp_path, "DataError: no study", output=["b/probes.csv"], dataset="b")
    broken = job("compare", tmp_path, "KeyError: 'x'", output=["b/leaderboard.csv"], dataset="b")
    figure = job("draw_leaderboard", tmp_path, output=["b/leaderboard.png"], dataset="b")
    dependencies = {
        bad: [],
        waiting: [bad],
        good: [],
        compare: [waiting, good],
        probe: [],
        broken: [],
        figure: [broken],
    }
    workflow = ended(dependencies, [bad, probe, broken], finished=[good])
    planned = [Cell("a", "all", "pca", 0), Cell("a", "all", "ae", 0), Cell("b", "all", "pca", 0)]
    found = unfinished_of(workflow, planned, "pca")
    assert found.runs == {"a/all/ae/0": "train: FloatingPointError: nan"}
    assert found.files == {"b/probes.csv", "b/leaderboard.csv", "b/leaderboard.png"}
    assert found.without(["a/leaderboard.csv", "b/leaderboard.png"]) == ["a/leaderboard.csv"]


def test_a_run_needs_its_baseline(tmp_path):
    """Breaks if runs whose baseline diverged are compared with nothing, or the reason names the wrong run."""
    bad = job("train", tmp_path, "DataError: rank", **run("a", "pca"))
    linear = job("assess", tmp_path, **run("a", "linear"))
    planned = [Cell("a", "all", model, 0) for model in ("pca", "linear", "ae")] + [Cell("b", "all", "ae", 0)]
    found = unfinished_of(ended({bad: [], linear: [bad]}, [bad]), planned, "pca")
    assert found.runs == {
        "a/all/pca/0": "train: DataError: rank",
        "a/all/linear/0": "train a all pca 0: DataError: rank",
        "a/all/ae/0": "its baseline, pca, did not finish",
    }
    assert [row["model"] for row in found.rows("a")] == ["ae", "linear", "pca"]
    assert found.rows("b") == []


def test_the_second_pass_reads_what_the_first_wrote(tmp_path, monkeypatch):
    """Breaks if the second pass, or one of its jobs, plans what the first could not finish."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Unfinished.read() == Unfinished()
    left = Unfinished({"a/all/ae/0": "train: nan"}, frozenset({"b/probes.csv"}))
    left.write(tmp_path / "unfinished.json")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "unfinished.json"))
    assert Unfinished.read() == left


def test_a_dataset_without_runs_says_so(tmp_path, monkeypatch, capsys):
    """Breaks if a dataset whose baseline failed leaves no trace, and older tables pass for those of this run."""
    monkeypatch.chdir(tmp_path)
    older = tmp_path / "results/comparison/b/leaderboard.txt"
    older.parent.mkdir(parents=True)
    older.touch()
    left = Unfinished(
        {"a/all/ae/0": "train: nan", "b/all/ae/0": "its baseline failed", "b/all/pca/0": "train: rank, 4"}
    )
    unfinished.tell_of_datasets_without_runs(left, [Cell("a", "all", "pca", 0)])
    assert (older.parent / "unfinished.csv").read_text().splitlines() == [
        "dataset,view,model,seed,reason",
        "b,all,ae,0,its baseline failed",
        'b,all,pca,0,"train: rank, 4"',
    ]
    assert (
        "dataset b: no run is left to compare, see results/comparison/b/unfinished.csv: the other"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "results/comparison/a").exists()

"""Metrics: declared once, with a direction, and the same after their file."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import one

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation import metric as module
from aeflow.evaluation.metric import (
    METRIC_COLUMNS,
    Interval,
    Metric,
    declarations,
    declare,
    declared,
    defined,
    measured,
    metric_frame,
    metric_text,
    read_metrics,
    write_metrics,
)
from aeflow.files import write_frame


@pytest.fixture(autouse=True)
def _own_declarations(monkeypatch):
    """What a test declares must not reach another one, nor the tables of docs/evaluation.md."""
    monkeypatch.setattr(module, "_DECLARED", dict(module._DECLARED))


def test_a_number_without_a_declaration_is_an_error():
    """Breaks if a number enters the tables without anybody having said which way it is better."""
    with pytest.raises(DataError, match=r"metric 'acuracy' of 'representation' is not declared.*accuracy"):
        measured("representation", {"acuracy": 0.5}, subject="tissue")
    with pytest.raises(DataError, match="metric 'mse' of 'nowhere' is not declared; declared there: none"):
        declared("nowhere", "mse")


def test_a_metric_is_declared_once():
    """Breaks if two evaluations give one name two meanings, or the same module cannot be imported twice."""
    first = declare("mine", "speed", "higher", "Rows a second.")
    assert declare("mine", "speed", "higher", "Rows a second.") == first and declared("mine", "speed") == first
    assert declarations().count(first) == 1
    for direction, meaning in (("lower", "Rows a second."), ("higher", "Seconds a row.")):
        with pytest.raises(DataError, match=r"metric mine/speed is declared twice.*Rows a second"):
            declare("mine", "speed", direction, meaning)
    assert declared("mine", "speed") == first
    declare("yours", "speed", "lower", "The same word of another part.")


def test_a_declaration_says_something():
    """Breaks if a misspelt direction, which no verdict knows, or an empty meaning is taken."""
    with pytest.raises(DataError, match=r"metric mine/x: direction must be one of .*, found 'up'"):
        declare("mine", "x", "up", "Rises.")
    with pytest.raises(DataError, match=r"metric mine/x: direction must be one of .*, found 'down'"):
        declare("mine", "x", "lower", "Falls.", of_batch="down")
    with pytest.raises(DataError, match="metric mine/x: a declaration needs a meaning"):
        declare("mine", "x", "lower", "  ")
    assert not [about for about in declarations() if about.part == "mine"]


def test_direction_of_a_batch_column():
    """Breaks if finding the study counts as finding the tissue, or a metric silent about batch columns takes one."""
    declare("mine", "found", "higher", "Read off latents.", of_batch="lower")
    declare("mine", "majority", "none", "The floor.", of_batch="none")
    declare("mine", "sparse", "higher", "Of latents, whatever the column.")
    values = {"found": 0.9, "majority": 0.5}
    assert [m.direction for m in measured("mine", values, subject="tissue")] == ["higher", "none"]
    assert [m.direction for m in measured("mine", values, subject="study", batch=True)] == ["lower", "none"]
    with pytest.raises(DataError, match="metric mine/sparse: declares no direction for a batch column such as 'study'"):
        measured("mine", {"sparse": 0.5}, subject="study", batch=True)


def test_numbers_and_intervals():
    """Breaks if bounds are lost, or a number without an interval gets one."""
    values = {"auroc": Interval(0.8, 0.7, 0.9), "n_normal": 12}
    with_interval, plain = measured("anomaly", values, subject="tumour", score="deviation/sap", baseline=True)
    assert (with_interval.value, with_interval.low, with_interval.high) == (0.8, 0.7, 0.9)
    assert plain.value == 12.0 and isinstance(plain.value, float) and math.isnan(plain.low) and math.isnan(plain.high)
    assert with_interval.baseline and with_interval.text == "anomaly/tumour/deviation/sap/auroc"
    assert metric_text("generation", "", "", "mmd2") == "generation/mmd2"


word = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
number = st.floats(width=64)
some_metrics = st.lists(
    st.builds(
        Metric,
        part=word,
        subject=word,
        score=word,
        name=word,
        value=number,
        low=number,
        high=number,
        direction=st.sampled_from(["higher", "lower", "none"]),
        baseline=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda m: (m.part, m.subject, m.score, m.name),
)


@given(metrics=some_metrics)
@settings(max_examples=40)
def test_metrics_survive_their_file(tmp_path_factory, metrics):
    """Breaks if order, a digit, an infinity or an empty word is lost, or a run without metrics cannot be read."""
    path = tmp_path_factory.mktemp("metrics") / "metrics.parquet"
    write_metrics(metrics, path)
    again = read_metrics(path)
    assert [repr(metric) for metric in again] == [repr(metric) for metric in metrics]  # NaN equals nothing
    assert tuple(pd.read_parquet(path).columns) == METRIC_COLUMNS


def test_a_metric_that_is_there_twice_is_an_error(tmp_path):
    """Breaks if one of two values of the same metric is taken at random."""
    twice = [one("representation/tissue/logistic/accuracy", value) for value in (0.8, 0.9)]
    with pytest.raises(DataError, match="'representation/tissue/logistic/accuracy' is there twice"):
        metric_frame(twice)
    with pytest.raises(DataError, match="is there twice"):
        write_metrics(twice, tmp_path / "metrics.parquet")
    assert not list(tmp_path.iterdir())


def test_another_table_is_no_metrics(tmp_path):
    """Breaks if a file of other columns, directions or types is read as metrics, or the error hides which one."""
    path = tmp_path / "metrics.parquet"
    good = metric_frame([one("reconstruction/test/mse", 0.5)])
    for bad, message in (
        (good[list(METRIC_COLUMNS[::-1])], r"metrics\.parquet: columns must be"),
        (good.assign(direction="upwards"), r"metrics\.parquet: direction must be one of .*found 'upwards'"),
        (good.assign(low="none"), r"metrics\.parquet: column 'low' must hold numbers, found 'none'"),
    ):
        write_frame(bad, path)
        with pytest.raises(DataError, match=message):
            read_metrics(path)


def test_what_is_undefined_is_left_out_and_named(caplog):
    """Breaks if NaN reaches the tables, or a metric disappears without a word."""
    values = {"mse": 1.0, "explained_variance": math.nan}
    assert [m.name for m in measured("reconstruction", values, subject="test")] == ["mse"]
    assert "reconstruction/test/explained_variance is undefined on these rows and left out" in caplog.text


def test_one_undefined_number_takes_no_other_with_it(caplog):
    """Breaks if an answer that the data do not allow ends the evaluation, or another fault passes as such a one."""

    def undefined():
        raise UndefinedError("all 7 rows are equal")

    def wrong():
        raise DataError("row 3: not finite")

    assert defined("frechet", undefined, {}) == {}
    assert "frechet: left out: all 7 rows are equal" in caplog.text
    assert defined("frechet", lambda: {"frechet": 1.0}, {}) == {"frechet": 1.0}
    with pytest.raises(DataError, match="row 3"):
        defined("frechet", wrong, {})

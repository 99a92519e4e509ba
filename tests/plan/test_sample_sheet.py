"""What a configuration asks is held against the sample sheet before anything is fitted."""

import copy

import numpy as np
import pandas as pd
import pytest

from aeflow.dataset.split import split_rows
from aeflow.errors import ConfigError
from aeflow.plan.sample_sheet import check_sheet

NORMAL = {"condition": ["normal"]}
CONFIG = {
    "datasets": {"own": {"labels": ["sex", "tissue"], "generate": {"judge": "tissue"}}},
    "views": {"normal": NORMAL, "liver": {"tissue": ["liver"]}, "unused": {"tissue": ["nowhere"]}},
    "models": {"pca": {}, "cvae": {"condition_on": ["study"]}},
    "experiments": {"e": {"datasets": ["own"], "views": ["normal", "liver"], "models": ["pca"], "seeds": [0]}}
    | {"c": {"datasets": ["own"], "views": ["normal"], "models": ["cvae"], "seeds": [0, 1]}},
    "tasks": {
        "tumour": {
            "datasets": ["own"],
            "views": ["normal", "unused"],
            "anomaly": {"condition": ["tumour"]},
            "control": {"negative": {"study": ["GTEx"], **NORMAL}, "positive": {"study": ["TCGA"], **NORMAL}},
        },
        "of_another": {"datasets": ["other"], "views": ["normal"], "anomaly": {"tissue": ["nowhere"]}},
    },
}
SPLIT = {"by": "donor", "fractions": {"train": 0.5, "val": 0.2, "test": 0.3}, "stratify": ["tissue", "condition"]}


def sheet(n=80):
    i = np.arange(n)
    obs = pd.DataFrame(
        {
            "sample_id": [f"s{j}" for j in i],
            "donor_id": [f"d{j // 2}" for j in i],
            "tissue": np.where(i % 4 < 2, "liver", "lung"),
            "condition": np.where(i % 20 < 6, "tumour", "normal"),
            "study": np.where(i < 40, "GTEx", "TCGA"),
            "sex": np.where(i < 40, "female", ""),
            "centre": np.where(i % 2, "07", "13"),
            "grade": i % 3,
            "dose": i / 10,
            "same": "x",
        }
    )
    return obs.assign(split=split_rows(obs, SPLIT, 0))


def configuration(**changes):
    found = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        node = found
        *parents, last = path.split("__")
        for key in parents:
            node = node[key]
        node[last] = value
    return found


def test_everything_that_is_asked_is_counted():
    """Breaks if the counts a person reads before a long run are not those of the rows."""
    rows = check_sheet(sheet(), "own", configuration())
    assert sum(rows["n_obs"].values()) == 80
    assert sum(rows["views"]["normal"].values()) == (sheet()["condition"] == "normal").sum()
    task = rows["tasks"]["tumour, view normal"]
    assert task["normal"] + task["anomaly"] == rows["n_obs"]["test"]
    assert task["control_negative"] + task["control_positive"] == task["normal"]
    assert sum(rows["unlabelled"]["sex"].values()) == 40
    assert sum(rows["unlabelled"]["tissue"].values()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"views__liver": {"tissue": ["liver", "Lung"]}},
            r"views.liver.tissue: no row has 'Lung' \(did you mean 'lung'",
        ),
        ({"views__liver": {"tissue": ["Liver "]}}, r"views.liver.tissue: no row has 'Liver ' \(did you mean 'liver'"),
        ({"views__liver": {"grade": [True]}}, r"views.liver.grade: no row has True \(YAML reads yes, no, on and off"),
        ({"views__liver": {"grade": ["1"]}}, r"no row has '1' \(quotes make .*found: 0 \(27 rows\), 1 \(27 rows\)"),
        ({"views__liver": {"centre": [7]}}, r"views.liver.centre: no row has 7.*found: '07' \(40 rows\), '13'"),
        ({"tasks__tumour__anomaly": {"condition": ["tumor"]}}, r"tasks.tumour.anomaly.condition: no row has 'tumor'"),
        ({"tasks__tumour__normal": {"condition": ["healthy"]}}, r"tasks.tumour.normal.condition: no row has 'healthy'"),
        (
            {"tasks__tumour__control__positive": {"study": ["tcga"]}},
            r"tasks.tumour.control.positive.study: no row has 'tcga' \(did you mean 'TCGA'",
        ),
        ({"views__liver": {"donor_id": ["d0"]}}, r"views.liver: .* leaves \d test rows|leaves \d (train|val) rows"),
        ({"tasks__tumour__anomaly": {"condition": ["normal"]}}, r"task tumour: \d+ test rows are normal and anomaly"),
        ({"tasks__tumour__control__positive": NORMAL}, r"task tumour: \d+ test rows are in both groups of the control"),
        ({"tasks__tumour__anomaly": {"donor_id": ["d0", "d11"]}}, r"task tumour: no test row is anomaly"),
        (
            {"datasets__own__generate__judge": "same"},
            r"generate.judge: same has 1 classes among .* rows, \['x'\]",
        ),
        (
            {"models__cvae__condition_on": ["sex"]},
            r"models.cvae.condition_on, view normal: training rows of the view: .* rows have no sex \(found ''\)",
        ),
        (
            {"models__cvae__condition_on": ["tissue"], "experiments__c__views": ["liver"]},
            r"models.cvae.condition_on, view liver: test rows: tissue 'lung' was not among the training rows",
        ),
    ],
)
def test_what_cannot_be_answered_is_named(changes, message):
    """Breaks if a filter selects nothing without a word, or a model fails on a row only after its training."""
    with pytest.raises(ConfigError, match=f"^dataset own: .*{message}"):
        check_sheet(sheet(), "own", configuration(**changes))


def test_all_faults_are_told_at_once():
    """Breaks if a person has to start once for every misspelt value."""
    changed = configuration(views__liver={"tissue": ["Liver"]}, tasks__tumour__anomaly={"condition": ["tumor"]})
    with pytest.raises(ConfigError) as caught:
        check_sheet(sheet(), "own", changed)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "views.liver.tissue",
        "tasks.tumour.anomaly.condition",
    ]


@pytest.mark.parametrize("column", ["grade", "dose", "tissue"])
def test_a_sound_condition_passes(column):
    """Breaks if classes or quantities that every row has are refused."""
    assert check_sheet(sheet(), "own", configuration(models__cvae__condition_on=[column]))

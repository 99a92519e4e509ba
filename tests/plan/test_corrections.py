"""Corrections named in a configuration are checked before any job, inside chains, too."""

from pathlib import Path

import pytest
from plan.test_configuration import check, load

from aeflow.errors import ConfigError
from aeflow.plan.corrections import correction_modules, known_methods

ROOT = Path(__file__).parents[2]


def chain(*steps):
    """The entry `correct` of a chain."""
    return {"method": "chain.Chain", "options": {"steps": list(steps)}}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"datasets__simulated__correct": {"method": "combat.ComBat", "options": {"referense": "TCGA"}}},
            r"did you mean 'reference'",
        ),
        (
            {"datasets__mnist__correct": {"method": "combat.ComBat"}},
            r"datasets.mnist.correct.method: 'combat.ComBat' needs a column 'study'",
        ),
        (
            {"datasets__simulated__correct": {"method": "combat"}},
            r"datasets.simulated.correct.method: 'combat' does not exist .did you mean 'combat.ComBat'",
        ),
        (
            {"datasets__simulated__correct": {"method": "none.NoCorrection"}},
            r"'none.NoCorrection' does not exist .did you mean 'none'",
        ),
        (
            {"datasets__simulated__correct": chain({"method": "support.Support"}, {"method": "align"})},
            r"datasets.simulated.correct.options.steps\[1\].method: 'align' does not .*'alignment.Align'",
        ),
        (
            {"datasets__simulated__correct": chain({"method": "support.Support", "limt": 2})},
            r"correct.options.steps\[0\], of support.Support: 'limt' does not exist .did you mean 'limit'",
        ),
        ({"datasets__simulated__correct": chain({"limit": 2})}, r"steps\[0\]: needs the key method, found .*limit"),
        (
            {"datasets__simulated__correct": chain()},
            r"options.steps, of chain.Chain: needs a list of steps, found \[\]",
        ),
        (
            {
                "datasets__simulated__correct": {
                    "method": "per_tissue.PerTissue",
                    "options": {"method": "chain.Chain", "options": {"steps": [{"method": "ruv"}]}},
                }
            },
            r"datasets.simulated.correct.options.options.steps\[0\].method: 'ruv' does not .*'ruv.RUV'",
        ),
    ],
)
def test_a_wrong_correction_is_named(overlay, message):
    """Breaks if a job has to start before the mistake is found, or the message does not name it."""
    with pytest.raises(ConfigError, match=message):
        check(load(**overlay))


def test_modules_of_a_correction_are_those_of_every_step():
    """Breaks if a changed file of an inner correction does not make preprocess run again."""
    inner = chain({"method": "support.Support"}, {"method": "zscore.ZScore"}, {"method": "support.Support"})
    entry = {"method": "per_tissue.PerTissue", "options": inner}
    files = ["per_tissue", "chain", "support", "zscore"]
    found = correction_modules({"method": "per_tissue.PerTissue", "options": inner | {"single_study": "keep"}})
    assert found == correction_modules(entry) == [f"aeflow.correction.{file}" for file in files]
    assert correction_modules({"method": "none"}) == ["aeflow.correction.none"]


def test_corrections_read_from_source_are_those_that_can_be_imported():
    """Breaks if the check before the start and the job disagree on which corrections or options there are."""
    from aeflow.correction import correction_class
    from aeflow.plan.source_code import keywords_of

    methods = known_methods()
    assert methods[0] == "none" and {"combat.ComBat", "alignment.Align", "wang2018.Wang2018"} < set(methods)
    for method in methods[1:]:
        kind = correction_class(method)
        assert kind.method() == method
        assert list(keywords_of(kind.__module__, kind.__name__, "fit")) == kind.option_names()


def test_no_two_files_of_the_package_have_the_same_name():
    """Breaks if a traceback or a message that names a file by its stem could mean another one."""
    stems = [path.stem for path in (ROOT / "src" / "aeflow").rglob("*.py") if path.stem != "__init__"]
    assert sorted(stems) == sorted(set(stems))

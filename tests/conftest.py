"""Fixtures shared by the test suite."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# before torch and scikit-learn start their threads: idle ones spin, and where two processes share the cores they do
# so for minutes. As jobs do, which take one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a person's own MLflow is no place for the runs of tests
os.environ.pop("MLFLOW_TRACKING_URI", None)

# an example, and the drawing of many, may take any time: a slow or busy machine is no fault of the code
settings.register_profile("aeflow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aeflow")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real excerpts beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"real files are not at hand: {folder}/data does not exist")
    return folder

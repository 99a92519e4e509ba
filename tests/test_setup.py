"""Set-up: one set of pins, and a Makefile that says what it does."""

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # PyPI name -> conda name, where they differ
CONDA_ONLY = {"python", "make", "nodejs", "pip"}


def direct() -> dict[str, str]:
    """Direct dependency -> version in requirements.in, "" where it is left to the lock."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    return {name: version for name, _, version in (line.partition("==") for line in lines if line)}


def lock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().split()
    return dict(line.split("==") for line in lines)


def test_lock_is_plain_pins():
    """Breaks if the lock names a host, a path or a local build, which other machines cannot install."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line), line


def test_lock_holds_every_direct_dependency():
    """Breaks if requirements.in was edited without `make lock`."""
    for name, version in direct().items():
        assert name in lock()
        assert version in ("", lock()[name])


def test_conda_environment_has_the_same_pins():
    """Breaks if environment.yml and requirements.lock name different versions, or one misses a package."""
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = dict(re.fullmatch(r"([a-z0-9-]+)=?([\d.]*).*", line).groups() for line in lines)
    expected = {CONDA_NAMES.get(name, name): lock()[name] for name in direct()}
    assert {name: version for name, version in conda.items() if name not in CONDA_ONLY} == expected


def test_the_environment_is_the_locked_one():
    """Breaks if tests run with other versions than users get."""
    from importlib.metadata import version

    for name in direct():
        assert version(name).split("+")[0] == lock()[name], name


def test_help_lists_the_targets():
    """Breaks if a target that README names has no line in `make help`."""
    output = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "ui", "lock", "clean"):
        assert re.search(rf"^make {target} +\S", output, re.M), target


def test_ui_without_results_says_what_to_do(tmp_path):
    """Breaks if the UI starts over an empty database."""
    command = ["make", "ui", f"DB={tmp_path}/mlflow.db"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "run `make demo` first" in done.stderr


def test_top_level_is_the_stated_one():
    """Breaks if something is tracked at the top that README does not describe."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    expected = {
        *("Snakefile", "workflow", "src", "config", "tests", "results", "profiles", "docs", "environment.yml"),
        *("Makefile", "pyproject.toml", "requirements.in", "requirements.lock"),
        *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".ci", ".gitignore"),
    }
    assert {path.split("/")[0] for path in tracked} == expected

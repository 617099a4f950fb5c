"""Checkpoints of a training that is not over: written whole or not at all, few in number, free of code.

    <folder>/step-000000400/arrays.npz    numbers only; nothing in it is executed when it is read
    <folder>/step-000000400/state.json    step, history, identity, and the digest of arrays.npz
    <folder>/aside-1/…                    what another model, other settings or other data left behind

A checkpoint goes on only with what it was begun with: its identity is the settings, the data files, the code and the
initial weights, a digest each.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from pipeline.push.versions import sync

_LOG = logging.getLogger(__name__)
_STEP = re.compile(r"step-(\d{9})")
_ASIDE = re.compile(r"aside-(\d+)")
_ASIDE_KEPT = 2
_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
      state: plain values.
      groups: name -> arrays.
    """

    state: dict[str, Any]
    groups: dict[str, list[np.ndarray]]


class Checkpoints:
    """The checkpoints of one training."""

    def __init__(self, folder: Path, identity: Mapping[str, str], kept: int) -> None:
        """Nothing is read or written yet.

        Args:
          folder: of this training alone.
          identity: what -> digest of it.
          kept: how many are kept, the newest.
        """
        self._folder, self._identity, self._kept = folder, dict(identity), kept

    def newest(self, *, clear: bool = True) -> Saved | None:
        """The newest that is whole and of this training; None where there is none.

        Args:
          clear: whether what is damaged or half written is removed, and what is of another training set aside.
        """
        if clear and self._folder.is_dir():
            for path in self._folder.glob(".step-*"):
                shutil.rmtree(path, ignore_errors=True)
        for path in self._paths():
            try:
                saved = _read(path)
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                _LOG.warning("checkpoint %s is damaged and passed over: %s", path, error)
                if clear:
                    shutil.rmtree(path, ignore_errors=True)
                continue
            differing = [what for what, own in self._identity.items() if saved.state["identity"].get(what) != own]
            if not differing:
                _LOG.info("training goes on from %s", path)
                return saved
            if clear:
                aside = self._set_aside()
                _LOG.warning(
                    "checkpoints of another training were set aside in %s: other %s", aside, ", ".join(differing)
                )
            return None
        return None

    def save(self, state: Mapping[str, Any], groups: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Writes one, named by `state["step"]`, and removes the oldest."""
        self._folder.mkdir(parents=True, exist_ok=True)
        final = self._folder / f"step-{state['step']:09d}"
        temporary = self._folder / f".{final.name}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        arrays, narrow = {}, []
        for group, values in groups.items():
            for index, value in enumerate(values):
                name = f"{group}.{index:05d}"
                if value.dtype == _BFLOAT16:
                    narrow.append(name)
                arrays[name] = value.view(np.uint16) if value.dtype == _BFLOAT16 else value
        with (temporary / "arrays.npz").open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        about = {"identity": self._identity, "bfloat16": narrow, "digest": _digest(temporary / "arrays.npz")}
        with (temporary / "state.json").open("w", encoding="utf-8") as stream:
            json.dump({**state, **about, "groups": {name: len(values) for name, values in groups.items()}}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        sync(self._folder)
        for path in self._paths()[self._kept :]:
            shutil.rmtree(path, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """Of the whole ones, the newest first."""
        if not self._folder.is_dir():
            return []
        return sorted((path for path in self._folder.iterdir() if _STEP.fullmatch(path.name)), reverse=True)

    def _set_aside(self) -> Path:
        numbers = sorted(int(found[1]) for p in self._folder.iterdir() if (found := _ASIDE.fullmatch(p.name)))
        aside = self._folder / f"aside-{numbers[-1] + 1 if numbers else 1}"
        aside.mkdir()
        for path in self._paths():
            path.rename(aside / path.name)
        for number in numbers[: max(0, len(numbers) + 1 - _ASIDE_KEPT)]:
            shutil.rmtree(self._folder / f"aside-{number}", ignore_errors=True)
        return aside


def remove(folder: Path) -> None:
    """Removes the checkpoints of a training whose result is safe, and what was written of them by halves."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith(("step-", ".step-")):
                shutil.rmtree(path, ignore_errors=True)


def digest_of(arrays: Sequence[np.ndarray]) -> str:
    """Tells initial weights apart."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.shape}{array.dtype}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _read(path: Path) -> Saved:
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if _digest(path / "arrays.npz") != state["digest"]:
        raise ValueError("arrays.npz is not what was written")
    narrow = set(state["bfloat16"])
    with np.load(path / "arrays.npz", allow_pickle=False) as arrays:
        groups = {
            group: [
                arrays[name].view(_BFLOAT16) if name in narrow else arrays[name]
                for name in (f"{group}.{index:05d}" for index in range(count))
            ]
            for group, count in state["groups"].items()
        }
    return Saved(state, groups)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

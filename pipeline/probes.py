"""Rows that a served model is asked, with the answers that the trained model gave before it was exported.

Real rows; one of them with each column missing in turn, and with all; and with values that training has not seen. The
Trainer writes them, the export proof and the serving check ask them.

    probes = make(rows, spec, features)
    save(folder, probes, answers)
    probes, answers = read(folder)
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.io import fileio

from pipeline.features.base import Feature

NAME = "probes.npz"
_UNSEEN_TEXT = b"a value that training has not seen"
_UNSEEN_INT = 999_999_937


@dataclass(frozen=True)
class Probe:
    """One row.

    Attributes:
      what: is special about it, in words.
      example: a serialised tf.Example, with the label where the row has it.
    """

    what: str
    example: bytes


def make(rows: Sequence[bytes], spec: Mapping[str, Any], features: Sequence[Feature]) -> list[Probe]:
    """The probes.

    Args:
      rows: serialised tf.Examples; the first is the one that is varied.
      spec: parsing spec of the raw columns that are there at serving.
      features: the task's.
    """
    probes = [Probe(f"row {number} of the eval split", row) for number, row in enumerate(rows)]
    optional = [name for name, column in spec.items() if isinstance(column, tf.io.VarLenFeature)]
    probes += [Probe(f"a row without {name}", _without(rows[0], [name])) for name in optional]
    if len(optional) > 1:
        probes.append(Probe(f"a row without any of {', '.join(optional)}", _without(rows[0], optional)))
    images = {feature.name for feature in features if feature.modality == "image"}
    for name, column in spec.items():
        if column.dtype == tf.string and name not in images:
            probes.append(Probe(f"a row with an unseen {name}", _with(rows[0], name, _UNSEEN_TEXT)))
        if column.dtype == tf.int64:
            probes.append(Probe(f"a row with an unseen {name}", _with(rows[0], name, _UNSEEN_INT)))
    return probes


def _without(row: bytes, columns: Sequence[str]) -> bytes:
    example = tf.train.Example.FromString(row)
    for column in columns:
        example.features.feature.pop(column, None)
    return bytes(example.SerializeToString(deterministic=True))


def _with(row: bytes, column: str, value: bytes | int) -> bytes:
    example = tf.train.Example.FromString(row)
    example.features.feature[column].Clear()
    if isinstance(value, bytes):
        example.features.feature[column].bytes_list.value.append(value)
    else:
        example.features.feature[column].int64_list.value.append(value)
    return bytes(example.SerializeToString(deterministic=True))


def save(folder: str, probes: Sequence[Probe], answers: Mapping[str, np.ndarray]) -> None:
    """Writes the probes and what the trained model answers.

    Args:
      folder: that the file is in.
      probes: the rows.
      answers: output -> [rows, …], numbers or UTF-8 strings.
    """
    columns: dict[str, Any] = {
        "what": np.array([probe.what for probe in probes]),
        "sizes": np.array([len(probe.example) for probe in probes], np.int64),
        "examples": np.frombuffer(b"".join(probe.example for probe in probes), np.uint8),
        **{f"answer {name}": _plain(values) for name, values in answers.items()},
    }
    content = io.BytesIO()
    np.savez_compressed(content, **columns)
    fileio.makedirs(folder)
    with fileio.open(f"{folder}/{NAME}", "wb") as file:
        file.write(content.getvalue())


def _plain(values: np.ndarray) -> np.ndarray:
    """Strings as unicode: arrays of objects would be pickled."""
    return np.char.decode(values.astype(np.bytes_), "utf-8") if values.dtype == object else values


def read(folder: str | Path) -> tuple[list[Probe], dict[str, np.ndarray]]:
    """What `save` has written; strings are unicode."""
    with fileio.open(f"{folder}/{NAME}", "rb") as file:
        content = io.BytesIO(file.read())
    with np.load(content, allow_pickle=False) as stored:
        ends = np.cumsum(stored["sizes"])
        whole = stored["examples"].tobytes()
        probes = [
            Probe(str(what), whole[end - size : end])
            for what, end, size in zip(stored["what"], ends, stored["sizes"], strict=True)
        ]
        answers = {key.removeprefix("answer "): stored[key] for key in stored.files if key.startswith("answer ")}
    return probes, answers

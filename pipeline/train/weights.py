"""A trained model's weights, stored beside its export with what each of their rows stands for.

    <model artifact>/Format-Serving/      the export; all that is pushed and served
    <model artifact>/weights/
      weights.npz                         an array a weight, in the manifest's order: w0, w1, …
      manifest.json                       task, run, model, label and its scale, features, and for each weight its name,
                                          shape, dtype and the names of its rows and columns

The names are what a later model takes the weights by, see `warm_start`: a term of a vocabulary has its own vector,
whatever its rank is today. Both files hold plain values: nothing in them is executed when they are read.
"""

import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow_transform as tft

from pipeline.errors import MillraceError
from pipeline.features import Bucketized, Categorical, Feature, Hashed, Text, Vocabulary
from pipeline.labels import Label, Scale
from pipeline.task import Task
from pipeline.train import provenance
from pipeline.train.provenance import Names

FOLDER = "weights"
_ARRAYS = "weights.npz"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Weight:
    """One array and what it is.

    Attributes:
      value: the array.
      names: of its rows and columns.
    """

    value: np.ndarray
    names: Names


@dataclass(frozen=True)
class Stored:
    """The weights of a trained model, in memory.

    Attributes:
      task: the name of its task.
      run: id of the run that trained it, or "".
      model: family and settings, as text.
      label: kind and settings, as text.
      scale: of the label in its training.
      features: name -> kind and settings, as text, in the task's order.
      weights: by path, in the model's order.
    """

    task: str
    run: str
    model: str
    label: str
    scale: Scale
    features: dict[str, str]
    weights: dict[str, Weight]


def describe(task: Task, model: keras.Model, scale: Scale, transform: tft.TFTransformOutput, run: str = "") -> Stored:
    """A model's weights with their names.

    Args:
      task: its task.
      model: transformed columns to scores.
      scale: of the label in its training.
      transform: what its features were prepared with.
      run: id of the run that trains it.
    """
    ids = {f.name: id_names(f, transform) for f in task.features if f.modality in ("ids", "text")}
    names = provenance.of(model, task.features, ids, class_names(task.label))
    return Stored(
        task=task.name,
        run=run,
        model=repr(task.model),
        label=repr(task.label),
        scale=scale,
        features={feature.name: repr(feature) for feature in task.features},
        weights={
            path: Weight(np.asarray(keras.ops.convert_to_numpy(variable)), names[path])
            for path, variable in provenance.keyed(model).items()
        },
    )


def id_names(feature: Feature, transform: tft.TFTransformOutput) -> list[str]:
    """What each id of a feature stands for, from id 0 on; ids beyond the last are in no use.

    Buckets that values are hashed to mean the same as long as there are as many of them, quantiles what they are the
    n-th of.
    """
    size = feature.cardinality or 0
    if isinstance(feature, Vocabulary | Text):
        terms = [term.decode("utf-8", "surrogateescape") for term in transform.vocabulary_by_name(feature.transformed)]
        oov = [f"unknown {bucket}/{feature.oov_buckets}" for bucket in range(feature.oov_buckets)]
        return ["missing", *(f"term {term}" for term in terms), *oov]
    if isinstance(feature, Categorical):
        return [*(f"value {value}" for value in range(size - 1)), "missing"]
    if isinstance(feature, Hashed | Bucketized):
        return [*(f"bucket {bucket}/{size - 1}" for bucket in range(size - 1)), "missing"]
    return [f"id {number}/{size}" for number in range(size)]


def class_names(label: Label) -> tuple[str, ...]:
    """What each score of a label with classes is of; nothing for other labels."""
    return tuple(str(name) for name in getattr(label, "classes", None) or ())


def beside(export: str) -> Path:
    """Where the weights of a model are, given its `Format-Serving`."""
    return Path(export).parent / FOLDER


def save(stored: Stored, folder: Path) -> None:
    """Writes the folder; it is there whole or not at all."""
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    arrays = [weight.value for weight in stored.weights.values()]
    named: dict[str, Any] = {f"w{number}": array for number, array in enumerate(arrays)}
    np.savez(temporary / _ARRAYS, **named)
    lists: list[list[str]] = []
    manifest = {field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)}
    manifest["scale"] = list(stored.scale)
    manifest["weights"] = [
        {
            "path": path,
            "shape": list(weight.value.shape),
            "dtype": str(weight.value.dtype),
            "rows": _listed(weight.names.rows, lists),
            "columns": _listed(weight.names.columns, lists),
            "head": weight.names.head,
        }
        for path, weight in stored.weights.items()
    ]
    manifest["names"] = lists
    (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _listed(names: list[str] | None, lists: list[list[str]]) -> int | None:
    """Index of a list of names among `lists`, which it joins; several weights share one."""
    if names is None:
        return None
    if names not in lists:
        lists.append(names)
    return lists.index(names)


def load(folder: Path) -> Stored:
    """Reads what `save` wrote.

    Raises:
      MillraceError: there is none, or it is damaged.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            values = [arrays[f"w{number}"] for number in range(len(manifest["weights"]))]
        return _stored(manifest, values)
    except FileNotFoundError as error:
        raise MillraceError(
            f"warm start: the model has no stored weights. Expected: {folder}. "
            "Next: train it again, or start from another run"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise MillraceError(
            f"warm start: the stored weights are damaged: {folder}: {type(error).__name__}: {error}. "
            "Next: start from another run"
        ) from error


def _stored(manifest: Mapping[str, Any], values: Sequence[np.ndarray]) -> Stored:
    weights = {}
    for entry, value in zip(manifest["weights"], values, strict=True):
        if list(value.shape) != entry["shape"] or str(value.dtype) != entry["dtype"]:
            raise ValueError(
                f"{entry['path']}: expected {entry['shape']} {entry['dtype']}. "
                f"Received: {list(value.shape)} {value.dtype}"
            )
        rows, columns = (None if entry[k] is None else manifest["names"][entry[k]] for k in ("rows", "columns"))
        weights[entry["path"]] = Weight(value, Names(rows, columns, entry["head"]))
    plain = {name: manifest[name] for name in ("task", "run", "model", "label", "features")}
    return Stored(**plain, scale=Scale(*manifest["scale"]), weights=weights)

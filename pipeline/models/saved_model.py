"""A SavedModel that others made, such as those of TF Hub, as the lower part of a network.

    model=SavedModelFeatures(path="https://tfhub.dev/google/nnlm-en-dim50/2")   # strings -> [rows, 50]
    model=SavedModelFeatures(path="s3://models/encoder", endpoint="embed", output="vector")

It is loaded by `tf.saved_model.load` through Keras's own layer for it, and exported with the model: serving needs neither
the path nor the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import MillraceError
from pipeline.features.base import Feature, Modality
from pipeline.models import starts
from pipeline.models.base import Network, of_modality, scaled

if TYPE_CHECKING:
    from pipeline.models.reloaded import Reloaded


@dataclass(frozen=True, kw_only=True)
class SavedModelFeatures(Network):
    """Texts (`RawText`: strings of shape [rows]) or images (float32 in [0, 1]) as what a SavedModel makes of them.

    Attributes:
      path: of the SavedModel: a folder, or a .tar.gz behind a link; local, s3://, gs://, https://, or a handle of
        tfhub.dev. What is remote is fetched once, into `~/.keras/millrace`.
      endpoint: a method or a signature of it, of one argument; None for `__call__` where it has one, else
        `serving_default`.
      output: which of its outputs, where it gives several: of shape [rows, numbers], or more, which are laid flat.
      size: side of the images that it takes; None for the feature's own.
      trainable: whether its variables are trained too.
    """

    path: str = ""
    endpoint: str | None = None
    output: str | None = None
    size: int | None = None
    trainable: bool = False
    reads: ClassVar[frozenset[Modality]] = frozenset({"number", "ids", "text", "image", "string"})
    needs: ClassVar[frozenset[Modality]] = frozenset({"string", "image"})

    def check(self) -> None:
        super().check()
        self.require(bool(self.path), "path: expected a SavedModel's", path=self.path)
        self.require(self.size is None or self.size > 0, "size: expected at least 1", size=self.size)

    def problems(self, features: Sequence[Feature]) -> list[str]:
        found = super().problems(features)
        kinds = {feature.modality for feature in of_modality(features, *self.needs)}
        if len(kinds) > 1:
            found.append("model SavedModelFeatures: one SavedModel reads texts or images. Received: both")
        return found

    @property
    def starts_from(self) -> str | None:
        return self.path

    @property
    def origin(self) -> str:
        return starts.state(self.path)

    def prepare(self) -> None:
        self._layer("prepared")

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        name = feature.transformed
        if feature.modality == "image":
            values = scaled(values)
            if self.size and feature.shape[:2] != (self.size, self.size):
                values = keras.layers.Resizing(self.size, self.size)(values)
        try:
            vectors = self._layer(f"{name}_saved_model")(values)
        except (TypeError, ValueError, KeyError) as error:
            raise MillraceError(
                f"model SavedModelFeatures: {self.path} does not take {feature.name!r} "
                f"({feature.modality}, {feature.shape}): {' '.join(str(error).split())[:400]}. "
                "Next: check endpoint, output and size"
            ) from error
        return keras.layers.Flatten()(vectors) if len(vectors.shape) > 2 else vectors

    def _layer(self, name: str) -> "Reloaded":
        from pipeline.models.reloaded import Reloaded

        folder = _saved_model_in(starts.local(self.path))
        if folder is None:
            raise MillraceError(
                f"model SavedModelFeatures: {self.path} holds no saved_model.pb. Expected a SavedModel's folder"
            )
        try:
            return Reloaded(str(folder), self.endpoint, self.output, trainable=self.trainable, name=name)
        except (ValueError, OSError) as error:
            raise MillraceError(
                f"model SavedModelFeatures: {self.path}: {' '.join(str(error).split())[:400]}"
            ) from error


def _saved_model_in(folder: Path) -> Path | None:
    """The folder itself, or the only one in it that is a SavedModel, as archives have them."""
    inner = sorted(path.parent for path in folder.glob("*/saved_model.pb"))
    if (folder / "saved_model.pb").exists():
        return folder
    return inner[0] if len(inner) == 1 else None

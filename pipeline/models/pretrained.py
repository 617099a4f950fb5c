"""Image networks of keras.applications, trained by others on ImageNet, with a head of our own.

model=Pretrained(backbone="mobilenet_v2", trainable="top")                # weights from Keras's server, once
model=Pretrained(backbone="resnet50", weights="resnet50_notop.weights.h5")  # or from a file
"""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

from pipeline.errors import MillraceError, nearest
from pipeline.features.base import Feature, Modality
from pipeline.models import starts
from pipeline.models.base import Network, Phase

if TYPE_CHECKING:
    import keras

Backbone = Literal[
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "resnet50",
    "resnet50_v2",
    "vgg16",
    "vgg19",
    "xception",
]


class _Application(NamedTuple):
    """Where keras.applications has it, and the smallest side of an image that it takes."""

    module: str
    constructor: str
    least: int = 32


_APPLICATIONS = {
    "densenet121": _Application("densenet", "DenseNet121"),
    "efficientnet_b0": _Application("efficientnet", "EfficientNetB0"),
    "efficientnet_v2_b0": _Application("efficientnet_v2", "EfficientNetV2B0"),
    "inception_v3": _Application("inception_v3", "InceptionV3", 75),
    "mobilenet": _Application("mobilenet", "MobileNet"),
    "mobilenet_v2": _Application("mobilenet_v2", "MobileNetV2"),
    "resnet50": _Application("resnet50", "ResNet50"),
    "resnet50_v2": _Application("resnet_v2", "ResNet50V2"),
    "vgg16": _Application("vgg16", "VGG16"),
    "vgg19": _Application("vgg19", "VGG19"),
    "xception": _Application("xception", "Xception", 71),
}
_WITH_ALPHA = ("mobilenet", "mobilenet_v2")
_TIMEOUT = 20.0


@dataclass(frozen=True, kw_only=True)
class Pretrained(Network):
    """A network of keras.applications under our head: frozen, or frozen first and then fine-tuned.

    Its own preprocessing is part of the model; images are brought to `size`, and shades of grey to three channels.
    Batch norm stays as it came with the weights, also while the backbone is fine-tuned: it is in inference mode.

    Attributes:
      backbone: which network.
      weights: "imagenet", which Keras downloads into `~/.keras` when it is not there; a path, local, s3:// or gs://, of a
        .weights.h5, .h5 or .keras file of the backbone without its top; or None, to train it from scratch.
      trainable: what of the backbone is trained: "frozen" nothing, "top" its last layers, "all" everything.
      top_layers: of the backbone, that "top" trains.
      head_first: share of the steps in which only the head is trained, before what `trainable` says, in [0, 1).
      fine_tune_rate: what the learning rate is multiplied by afterwards.
      size: side of the images that the backbone sees, in pixels; None for the feature's own, or the least that it takes.
      alpha: width of the network, of the two MobileNets; the ImageNet weights are for 0.35, 0.5, 0.75, 1 and others.
    """

    backbone: Backbone = "mobilenet_v2"
    weights: str | None = "imagenet"
    trainable: Literal["frozen", "top", "all"] = "frozen"
    top_layers: int = 20
    head_first: float = 0.5
    fine_tune_rate: float = 0.1
    size: int | None = None
    alpha: float = 1.0
    needs: ClassVar[frozenset[Modality]] = frozenset({"image"})

    def check(self) -> None:
        super().check()
        known = get_args(Backbone)
        choices = f"backbone: not known.{nearest(self.backbone, known)}".removesuffix(".")
        self.require(self.backbone in known, choices, backbone=self.backbone)
        self.require(
            self.trainable in ("frozen", "top", "all"),
            "trainable: expected 'frozen', 'top' or 'all'",
            trainable=self.trainable,
        )
        self.require(
            self.weights is not None or self.trainable == "all",
            "trainable: without weights a backbone that is not trained knows nothing. Expected 'all'",
            weights=self.weights,
            trainable=self.trainable,
        )
        self.require(self.top_layers > 0, "top_layers: expected at least 1", top_layers=self.top_layers)
        self.require(0 <= self.head_first < 1, "head_first: expected a share in [0, 1)", head_first=self.head_first)
        self.require(self.fine_tune_rate > 0, "fine_tune_rate: expected above 0", fine_tune_rate=self.fine_tune_rate)
        least = _APPLICATIONS[self.backbone].least
        self.require(
            self.size is None or self.size >= least, f"size: {self.backbone} takes {least} and more", size=self.size
        )
        self.require(
            self.alpha == 1 or (self.backbone in _WITH_ALPHA and self.alpha > 0),
            f"alpha: expected 1, or above 0 with {' or '.join(_WITH_ALPHA)}",
            alpha=self.alpha,
            backbone=self.backbone,
        )

    @property
    def starts_from(self) -> str | None:
        return None if self.weights == "imagenet" else self.weights

    @property
    def origin(self) -> str:
        return starts.state(self.starts_from) if self.starts_from else ""

    def prepare(self) -> None:
        if self.weights is not None:
            side = self.size or _APPLICATIONS[self.backbone].least
            self._loaded(side, side, "backbone")

    @property
    def phases(self) -> tuple[Phase, ...]:
        if self.weights is None or self.trainable == "frozen":
            return (Phase(),)
        tuned = Phase(1 - self.head_first, self.fine_tune_rate)
        return (Phase(self.head_first), tuned) if self.head_first else (tuned,)

    def enter(self, model: "keras.Model", phase: int) -> None:
        for layer in model.layers:
            if layer.name.endswith("_backbone"):
                self._free(layer, phase)

    def _free(self, backbone: Any, phase: int) -> None:
        """Sets what of the backbone a phase trains."""
        import keras

        tuned = self.trainable != "frozen" and phase == len(self.phases) - 1
        backbone.trainable = tuned or self.weights is None
        if tuned and self.weights is not None:
            first = len(backbone.layers) - self.top_layers if self.trainable == "top" else 0
            for position, layer in enumerate(backbone.layers):
                if position < first or isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        height, width, channels = feature.shape
        least = _APPLICATIONS[self.backbone].least
        sides = (self.size, self.size) if self.size else (max(height, least), max(width, least))
        pixels = keras.layers.Rescaling(1.0)(values)
        if sides != (height, width):
            pixels = keras.layers.Resizing(*sides)(pixels)
        if channels == 1:
            pixels = keras.layers.Concatenate()([pixels] * 3)
        backbone = self._loaded(*sides, f"{feature.transformed}_backbone")
        self._free(backbone, 0)
        pixels = getattr(keras.applications, _APPLICATIONS[self.backbone].module).preprocess_input(pixels)
        return backbone(pixels)

    def _loaded(self, height: int, width: int, name: str) -> "keras.Model":
        """The backbone, its filters averaged over the image, with the weights asked for."""
        import keras

        application = _APPLICATIONS[self.backbone]
        constructor = getattr(getattr(keras.applications, application.module), application.constructor)
        settings = {"include_top": False, "pooling": "avg", "input_shape": (height, width, 3), "name": name}
        settings |= {"alpha": self.alpha} if self.backbone in _WITH_ALPHA else {}
        if self.weights == "imagenet":
            with _explained(self.backbone):
                return constructor(weights="imagenet", **settings)
        backbone = constructor(weights=None, **settings)
        if self.weights is not None:
            _load(backbone, self.weights, self.backbone)
        return backbone


@contextmanager
def _explained(backbone: str) -> Iterator[None]:
    """A download of Keras's that fails, in our words; it gives up after 20 s without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    except Exception as error:
        raise MillraceError(
            f"model Pretrained: the ImageNet weights of {backbone} can't be had: {' '.join(str(error).split())[:300]}. "
            f"Looked first in {starts.keras_home()}/models. Next: name a file of them, "
            "--set model.weights=<path of a .weights.h5, .h5 or .keras file>, or train without, "
            "--set model.weights=null with model.trainable=all in the task"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _load(backbone: "keras.Model", address: str, name: str) -> None:
    """Sets a backbone's weights from a file that Keras wrote.

    Raises:
      MillraceError: there is no such file, or it is of another network.
    """
    import keras

    path = starts.local(address)
    try:
        if path.suffix == ".keras":
            backbone.set_weights(keras.saving.load_model(path, compile=False).get_weights())
        else:
            with warnings.catch_warnings():
                # Where layers lack, Keras warns a hundred times before it raises.
                warnings.simplefilter("ignore")
                backbone.load_weights(path)
    except Exception as error:
        raise MillraceError(
            f"model Pretrained: {address} does not hold the weights of {name} without its top: "
            f"{' '.join(str(error).split())[:300]}. Expected a .weights.h5, .h5 or .keras file of "
            f"{_APPLICATIONS[name].constructor}(include_top=False), with the same alpha"
        ) from error

"""A plain convolutional network for images."""

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.features.base import Feature
from pipeline.models.image import ImageNetwork


@dataclass(frozen=True, kw_only=True)
class Cnn(ImageNetwork):
    """Stages of convolutions, each followed by max pooling, then dense layers.

    Attributes:
      filters: of each stage; a stage halves height and width.
      convolutions: in a stage: each a convolution, batch norm and ReLU.
      kernel: side of a filter, in pixels.
      pooling: what becomes of the last stage's pixels: "flatten" keeps each, "average" and "max" keep one a filter.
      stage_dropout: share of pixels dropped after each stage in training, in [0, 1); `dropout` is for the dense layers.
    """

    filters: tuple[int, ...] = (32, 64)
    convolutions: int = 1
    kernel: int = 3
    pooling: Literal["flatten", "average", "max"] = "flatten"
    stage_dropout: float = 0.0
    hidden_units: tuple[int, ...] = (128,)
    batch_norm: bool = True

    def check(self) -> None:
        super().check()
        self.check_widths("filters", self.filters)
        self.require(self.convolutions > 0, "convolutions: expected at least 1", convolutions=self.convolutions)
        self.require(self.kernel > 0, "kernel: expected at least 1", kernel=self.kernel)
        self.require(
            self.pooling in ("flatten", "average", "max"),
            "pooling: expected 'flatten', 'average' or 'max'",
            pooling=self.pooling,
        )
        self.require(
            0 <= self.stage_dropout < 1,
            "stage_dropout: expected a share in [0, 1)",
            stage_dropout=self.stage_dropout,
        )

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        name, pixels = feature.transformed, self.scaled(values)
        for stage, filters in enumerate(self.filters):
            for layer in range(self.convolutions):
                part = f"{name}_{stage}_{layer}"
                pixels = self.convolved(pixels, filters, self.kernel, f"{part}_conv")
                if layer == self.convolutions - 1:
                    # Before the norm and ReLU, which then have a quarter of the pixels to do.
                    pixels = keras.layers.MaxPooling2D(2, padding="same", name=f"{name}_{stage}_pool")(pixels)
                pixels = self.activated(pixels, part)
            if self.stage_dropout:
                pixels = keras.layers.Dropout(self.stage_dropout, name=f"{name}_{stage}_dropout")(pixels)
        last = {
            "flatten": keras.layers.Flatten,
            "average": keras.layers.GlobalAveragePooling2D,
            "max": keras.layers.GlobalMaxPooling2D,
        }[self.pooling]
        return last(name=f"{name}_vector")(pixels)

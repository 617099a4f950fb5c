"""What the convolutional families for images share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.features.base import Feature, Modality
from pipeline.models.base import Network, of_modality, scaled


@dataclass(frozen=True, kw_only=True)
class ImageNetwork(Network):
    """A network whose lower part reads images by convolutions.

    Attributes:
      mean: of the pixels of each channel, on a scale of 0 to 1; one for all channels, or none for zero.
      deviation: standard deviation of the pixels of each channel, likewise; none for one.
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    needs: ClassVar[frozenset[Modality]] = frozenset({"image"})

    def check(self) -> None:
        super().check()
        self.require(all(0 <= value <= 1 for value in self.mean), "mean: expected values from 0 to 1", mean=self.mean)
        self.require(
            all(value > 0 for value in self.deviation), "deviation: expected values above 0", deviation=self.deviation
        )

    def problems(self, features: Sequence[Feature]) -> list[str]:
        found = super().problems(features)
        for image in of_modality(features, "image"):
            channels = image.shape[-1]
            found += [
                f"model {type(self).__name__}: {name}: expected one value, or {channels} for the channels of "
                f"{image.name!r}. Received: {name}={values}"
                for name, values in (("mean", self.mean), ("deviation", self.deviation))
                if len(values) not in (0, 1, channels)
            ]
        return found

    def scaled(self, pixels: Any) -> Any:
        """An image's bytes as numbers, standardised where asked for."""
        return scaled(pixels, self.mean, self.deviation)

    def convolved(self, pixels: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
        """A convolution that keeps height and width, or divides them by the stride; no bias where a norm follows."""
        import keras

        return keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=not self.batch_norm,
            kernel_initializer="he_normal",
            kernel_regularizer=self.penalty(),
            name=name,
        )(pixels)

    def activated(self, values: Any, name: str) -> Any:
        """Normalised by batch, where asked for, and ReLU."""
        import keras

        from pipeline.models.layers import BatchNorm

        if self.batch_norm:
            values = BatchNorm(name=f"{name}_norm")(values)
        return keras.layers.ReLU(name=f"{name}_relu")(values)

"""A residual network for small images (He et al., 2016, "Identity mappings in deep residual networks")."""

from dataclasses import dataclass
from typing import Any

from pipeline.features.base import Feature
from pipeline.models.image import ImageNetwork


@dataclass(frozen=True, kw_only=True)
class ResNet(ImageNetwork):
    """Stages of residual blocks of two 3x3 convolutions, then the average of each filter.

    Attributes:
      filters: of each stage; each but the first halves height and width.
      blocks: in a stage. (16, 32, 64) with 3 blocks is the ResNet-20 of the CIFAR-10 experiments.
    """

    filters: tuple[int, ...] = (16, 32, 64)
    blocks: int = 2
    batch_norm: bool = True

    def check(self) -> None:
        super().check()
        self.check_widths("filters", self.filters)
        self.require(self.blocks > 0, "blocks: expected at least 1", blocks=self.blocks)

    def vector(self, feature: Feature, values: Any) -> Any:
        import keras

        name = feature.transformed
        pixels = self.convolved(self.scaled(values), self.filters[0], 3, f"{name}_stem_conv")
        for stage, filters in enumerate(self.filters):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                pixels = self._block(pixels, filters, stride, f"{name}_{stage}_{block}")
        pixels = self.activated(pixels, f"{name}_last")
        return keras.layers.GlobalAveragePooling2D(name=f"{name}_vector")(pixels)

    def _block(self, pixels: Any, filters: int, stride: int, name: str) -> Any:
        """The input, or a 1x1 convolution of it where the shape changes, and what two convolutions add to it."""
        import keras

        active = self.activated(pixels, f"{name}_0")
        changes = stride > 1 or pixels.shape[-1] != filters
        shortcut = self.convolved(active, filters, 1, f"{name}_shortcut_conv", stride) if changes else pixels
        inner = self.activated(self.convolved(active, filters, 3, f"{name}_0_conv", stride), f"{name}_1")
        return keras.layers.Add(name=f"{name}_add")([shortcut, self.convolved(inner, filters, 3, f"{name}_1_conv")])

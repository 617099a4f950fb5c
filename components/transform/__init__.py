"""TFX's Transform, with the rows materialised in columns on one machine."""

from components.transform.component import Transform

__all__ = ["Transform"]

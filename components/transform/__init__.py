"""TFX's Transform, with analysis and rows made from columns on one machine."""

from components.transform.component import Transform

__all__ = ["Transform"]

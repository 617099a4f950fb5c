"""Custom TFX components, one folder each."""

from typing import Any

_ARTIFACTS = ("Quarantine", "Findings", "DataVerdict", "LiteModel")


def __getattr__(name: str) -> Any:
    """The artifact types, imported when asked for: `components.Quarantine` is what ML Metadata and Kubeflow know."""
    if name in _ARTIFACTS:
        from components import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

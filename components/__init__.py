"""Our TFX components, one folder each."""

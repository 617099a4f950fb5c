"""Millrace: a production machine-learning pipeline on TFX.

Read in this order: `features`, `labels` and `task` (what a task says), `transform`, `train` and `export` (what is
derived from it), `dag` (how the components are wired), `runners` (how the graph is run).
"""

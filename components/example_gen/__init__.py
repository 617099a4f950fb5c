"""Reads the task's rows, checks each, and writes those that pass as tf.Examples; the others go to the quarantine."""

from components.example_gen.component import ExampleGen

__all__ = ["ExampleGen"]

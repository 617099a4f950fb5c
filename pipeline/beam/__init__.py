"""Where the Beam jobs of a pipeline run: in the node's process, or on a Flink, a Spark or Dataflow.

engines.py     the engines, and what each has to be told     known.py    the options that Beam itself knows
settings.py    flags and a profile -> RunConfig              place.py    where an engine's workers are
choice.py      which engine runs a node, and why             arguments.py   a node's Beam arguments
checks.py      what is told before anything starts           versions.py    of Flink and of Beam, there and here
leftovers.py   jobs of a run that was killed
"""

NODES = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator", "BulkInferrer")
"""The nodes that hand work to Beam."""

"""Runs a compiled pipeline spec on this machine, the way a backend runs it on its own.

A spec is the only thing that a backend sees. Between it and a command in a container lies an interpreter: it decides the
order, resolves the inputs, builds the `ExecutorInput`, fills the placeholders, reads the outputs back, judges conditions,
retries, and runs the exit handlers. Open-source Kubeflow Pipelines (KFP) has one, Vertex AI another, and they differ. This
package is a third one that follows either (`profiles`), so that a spec can be tried before anybody pays for a cluster.

What it follows is KFP's backend (backend/src/v2: driver, launcher, compiler, expression) and the proto of the spec.

- `documents` reads a spec, `checks` says what is wrong with it, `parameters` what it is run with.
- `engine` runs the graph; `resolve` gives a task its inputs, `conditions` judges them.
- `containers` runs one command, with `executor_input` and `placeholders` going in and coming out;
  `environment` is what the command finds around it.
- `importers` and `resolvers` are the two executors without a container.
"""

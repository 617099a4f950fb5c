"""A preprocessing_fn as functions of TensorFlow, traced as TFT traces it, in memory.

TFT writes a SavedModel for each phase of the analysis and loads it again. Here the function that was traced is called
directly, and only the last one is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import wrap_function
from tensorflow_transform import graph_context, graph_tools, impl_helper, schema_inference, tf2_utils
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata import dataset_metadata

Preprocess = Callable[[Mapping[str, Any]], dict[str, Any]]
_NAME = "transform_fn"


@dataclass(frozen=True)
class Traced:
    """A preprocessing_fn that was traced.

    Attributes:
      function: raw columns -> transformed columns, or the intermediate tensors that were asked for.
      inputs: raw column -> its placeholders in the function's graph.
      module: holds the tables and variables that the function reads.
    """

    function: Any
    inputs: dict[str, Any]
    module: tf.Module

    def part(self, outputs: Mapping[str, tf.Tensor]) -> tuple[list[str], Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """A function of this graph.

        Args:
          outputs: name -> tensor of the graph.

        Returns:
          The raw columns that these depend on, and a function of them.
        """
        graph = self.function.graph
        needed = graph_tools.get_dependent_inputs(graph, self.inputs, dict(outputs)) or dict(
            list(self.inputs.items())[:1]
        )
        whole = wrap_function.WrappedFunction(graph, variable_holder=wrap_function.VariableHolder(share_variables=True))
        feeds = [part for name in sorted(needed) for part in tf.nest.flatten(needed[name], expand_composites=True)]
        pruned = whole.prune(feeds, dict(outputs))

        def run(raw: Mapping[str, Any]) -> dict[str, Any]:
            fed = [part for name in sorted(needed) for part in tf.nest.flatten(raw[name], expand_composites=True)]
            made: dict[str, Any] = pruned(*fed)
            return made

        return sorted(needed), run


class Tracer:
    """Traces one preprocessing_fn, with more and more of its analyses known."""

    def __init__(self, preprocess: Preprocess, specs: Mapping[str, tf.TypeSpec], folder: str) -> None:
        """See the class.

        Args:
          preprocess: the preprocessing_fn.
          specs: raw column -> what its tensors look like.
          folder: for TFT's temporary files; to be kept as long as any function is called.
        """
        self._preprocess = preprocess
        self._specs = dict(specs)
        self._folder = folder

    def trace(self, known: Mapping[str, tf.Tensor] | None = None) -> Traced:
        """Traces, with what analyses are known to have given.

        Args:
          known: placeholder's name -> value; None where nothing was analysed.
        """
        context = self._context(known)
        function = saved_transform_io_v2.trace_and_update_module(
            context.module_to_export, self._function(context), _NAME, strip_control_dependencies=False
        )
        return _traced(function, context)

    def write(self, known: Mapping[str, tf.Tensor], path: str) -> Traced:
        """Traces with everything known, and writes the SavedModel that TFT's `TransformFn` is."""
        context = self._context(known)
        function = saved_transform_io_v2.write_v2_saved_model(
            context.module_to_export, self._function(context), _NAME, path
        )
        return _traced(function, context)

    def metadata(self, traced: Traced, known: Mapping[str, tf.Tensor]) -> dataset_metadata.DatasetMetadata:
        """The schema of the transformed rows, with the ranges of ids that the analyses gave."""
        annotated = schema_inference.get_traced_metadata_fn(
            self._preprocess, traced.inputs, self._context(known), evaluate_schema_overrides=True
        )
        schema = schema_inference.infer_feature_schema_v2(
            traced.function.structured_outputs, annotated, evaluate_schema_overrides=True
        )
        return dataset_metadata.DatasetMetadata(schema=schema)

    def _context(self, known: Mapping[str, tf.Tensor] | None) -> graph_context.TFGraphContext:
        return graph_context.TFGraphContext(
            tf.Module(), temp_dir=self._folder, evaluated_replacements=None if known is None else dict(known)
        )

    def _function(self, context: graph_context.TFGraphContext) -> Any:
        return impl_helper.get_traced_transform_fn(self._preprocess, self._specs, context)


def _traced(function: Any, context: graph_context.TFGraphContext) -> Traced:
    inputs = tf2_utils.get_structured_inputs_from_func_graph(function.graph)
    return Traced(function, inputs, context.module_to_export)


def numpy(tensors: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    """Some of the tensors as arrays."""
    return tuple(tensors[name].numpy() for name in names)

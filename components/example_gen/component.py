"""ExampleGen: TFX's file-based one, with our executor, windows of spans and a quarantine."""

import json
from typing import Any

from tfx import types
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import component_spec, standard_artifacts
from tfx.types.standard_component_specs import EXAMPLES_KEY, SCHEMA_KEY, FileBasedExampleGenSpec

from components.artifacts import Quarantine
from components.example_gen.driver import Driver
from components.example_gen.executor import Executor


class ExampleGenSpec(component_spec.ComponentSpec):
    """TFX's parameters and two more; rows come out, and what was kept out."""

    PARAMETERS = {  # noqa: RUF012
        **FileBasedExampleGenSpec.PARAMETERS,
        "window": component_spec.ExecutionParameter(type=int),
        "settings": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True)
    }
    OUTPUTS = {  # noqa: RUF012
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": component_spec.ChannelParameter(type=Quarantine),
    }


class ExampleGen(FileBasedExampleGen):
    """Files of any of the task's formats, one span or a window of them, to gzipped TFRecords of tf.Examples."""

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        input_base: str,
        patterns: dict[str, str],
        split_names: tuple[str, ...],
        settings: dict[str, Any],
        schema: types.BaseChannel | None = None,
        span: int | None = None,
        window: int = 1,
    ) -> None:
        """Wires the component.

        Args:
          input_base: the folder that the patterns start from.
          patterns: input split -> pattern in that folder, with TFX's placeholders. One for all splits, or one for each.
          split_names: the splits that come out.
          settings: what the executor makes its job of: task, overrides, source, needed, images, code.
          schema: types and rules of the values; None infers the types.
          span: the newest to read; None takes the newest that is there.
          window: how many spans to read, up to and with the newest.
        """
        splits = [example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in patterns.items()]
        named = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=1) for name in split_names]
        fixed = range_config_pb2.StaticRange(start_span_number=span or 0, end_span_number=span or 0)
        spec = ExampleGenSpec(
            input_base=input_base,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(splits=named) if len(patterns) == 1 else None
            ),
            range_config=None if span is None else range_config_pb2.RangeConfig(static_range=fixed),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            window=window,
            settings=json.dumps(settings, sort_keys=True),
            examples=types.Channel(type=standard_artifacts.Examples),
            quarantine=types.Channel(type=Quarantine),
            **({} if schema is None else {SCHEMA_KEY: schema}),
        )
        super(FileBasedExampleGen, self).__init__(spec=spec)

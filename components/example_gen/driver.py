"""Resolves which files are read: TFX's driver for the newest span, and the same once more for each of a window."""

import json
from typing import Any

from tfx.components.example_gen import driver, input_processor, utils
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_component_specs as keys
from tfx.utils import proto_utils

from components import remote_files
from pipeline import sources
from pipeline.errors import UsageError
from pipeline.ingest import selection

INPUTS = "inputs"
"""Execution property: JSON list of {span, version, split, pattern}, oldest span first; what the executor reads."""
GAPS = "gaps"
"""Execution property: JSON list of the spans of the window of which there is no file, though there are older ones."""


class Driver(driver.FileBasedDriver):
    """TFX's driver, whose fingerprint covers every span of the window."""

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """See TFX's driver; adds `inputs` and `gaps`.

        Raises:
          UsageError: no file matches.
        """
        remote_files.register()
        asked = exec_properties[keys.INPUT_CONFIG_KEY]
        base = exec_properties[keys.INPUT_BASE_KEY]
        try:
            resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        except ValueError as error:
            raise UsageError(f"data: nothing to read in {base}: {error}") from error
        span = resolved[utils.SPAN_PROPERTY_NAME]
        newest = _inputs(resolved[keys.INPUT_CONFIG_KEY], span, resolved[utils.VERSION_PROPERTY_NAME])
        inputs, prints = [], []
        for number in range(max(span - resolved["window"] + 1, 0), span):
            found = _span(base, asked, number)
            if found:
                inputs += found[0]
                prints.append(f"span:{number}\n{found[1]}")
        gaps = []
        if resolved["window"] > 1:
            source = sources.of_settings(json.loads(resolved["settings"])["source"])
            patterns = [split.pattern for split in proto_utils.json_to_proto(asked, example_gen_pb2.Input()).splits]
            gaps = selection.gaps(source, base, patterns, span, resolved["window"])
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = "\n".join([*prints, resolved[utils.FINGERPRINT_PROPERTY_NAME]])
        resolved[INPUTS] = json.dumps([*inputs, *newest])
        resolved[GAPS] = json.dumps(gaps)
        return resolved


def _span(base: str, input_config: str, span: int) -> tuple[list[dict[str, Any]], str] | None:
    """The inputs of one span and their fingerprint, or None where there is no file."""
    config = proto_utils.json_to_proto(input_config, example_gen_pb2.Input())
    fixed = range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    )
    processor = input_processor.FileBasedInputProcessor(base, config.splits, fixed)
    try:
        _, version = processor.resolve_span_and_version()
    except ValueError:
        return None
    for split in config.splits:
        split.pattern = processor.get_pattern_for_span_version(split.pattern, span, version)
    return _inputs(proto_utils.proto_to_json(config), span, version), str(
        processor.get_input_fingerprint(span, version)
    )


def _inputs(input_config: str, span: int, version: int | None) -> list[dict[str, Any]]:
    config = proto_utils.json_to_proto(input_config, example_gen_pb2.Input())
    return [{"span": span, "version": version, "split": s.name, "pattern": s.pattern} for s in config.splits]

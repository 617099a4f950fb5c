"""A stock TFX pipeline, compiled by TFX's own runner and run by TFX's own entrypoint, as either backend would run it.

This is tensorflow/tfx#7768. CsvExampleGen can run without its driver; it does so without span and fingerprint, and says
nothing. The next task is the first to be handed an artifact, and fails on its empty type.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

_COMPILE = """
import sys
from tfx import v1 as tfx
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner

data, output = sys.argv[1:]
for name in ("stock.yaml", "stock.json"):
    examples = tfx.components.CsvExampleGen(input_base=data)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="stock", pipeline_root="s3://bucket/root", components=[examples, statistics], enable_cache=False
    )
    config = runner.KubeflowV2DagRunnerConfig(use_pipeline_spec_2_1=True)
    runner.KubeflowV2DagRunner(config=config, output_dir=output, output_filename=name).run(pipeline)
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Path:
    """Folder with the pipeline as KFP's YAML and as a PipelineJob."""
    folder = tmp_path_factory.mktemp("stock")
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text("a,b\n" + "".join(f"{n},{'xyz'[n % 3]}\n" for n in range(20)))
    command = [sys.executable, "-c", _COMPILE, str(folder / "data"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_stock_tfx_fails_on_open_source_kubeflow_pipelines(stock, run) -> None:
    result = run(stock / "stock.yaml")
    assert {name: task.state for name, task in result.tasks.items()} == {
        "CsvExampleGen": "done",
        "StatisticsGen": "failed",
    }
    (examples,) = result.tasks["CsvExampleGen"].outputs["artifacts"]["examples"]
    assert json.loads(examples["metadata"]["split_names"]) == ["train", "eval"]
    assert not {"span", "custom:span", "input_fingerprint"} & set(examples["metadata"])
    log = Path(result.tasks["StatisticsGen"].log).read_text()
    assert "AttributeError: 'NoneType' object has no attribute 'get'" in log
    assert "_retrieve_class_path" in log


def test_the_same_pipeline_succeeds_on_vertex(stock, run, root) -> None:
    result = run(stock / "stock.json", profile="vertex")
    assert result.exit_code == 0, {name: task.error for name, task in result.tasks.items()}
    (examples,) = result.tasks["CsvExampleGen"].outputs["artifacts"]["examples"]
    assert examples["metadata"]["custom:span"] == 0
    assert "num_files:1" in examples["metadata"]["input_fingerprint"]
    (statistics,) = result.tasks["StatisticsGen"].outputs["artifacts"]["statistics"]
    assert statistics["type"] == "tfx.ExampleStatistics"
    assert (root / "stock" / "job-1" / "StatisticsGen" / "statistics" / "Split-train" / "FeatureStats.pb").is_file()

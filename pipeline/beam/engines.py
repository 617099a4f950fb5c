"""The engines: one entry each, and nothing about them elsewhere but what only one of them does."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Engine:
    """What runs Beam jobs.

    Attributes:
      name: of `--beam-runner`.
      runner: Beam's class, by its name or its full path.
      by_size: whether only large data goes there; else every node does.
      places: options that say where it is; one of them is needed. Empty where it is this process.
      needed: options without which it can't begin, with an example each.
      own: options that its job server knows beside those of Beam's Python SDK.
      jar: the option that names a job server's jar, where it has one.
    """

    name: str
    runner: str
    by_size: bool = False
    places: tuple[str, ...] = ()
    needed: tuple[tuple[str, str], ...] = ()
    own: frozenset[str] = frozenset()
    jar: str | None = None


_ALL = (
    # By this very name components work in threads on columns, without a Beam job where they can.
    Engine("local", "FnApiRunner"),
    # The same runner by its path, so that it gets Beam jobs. Beam's DirectRunner comes to it in the end, but first asks
    # the network for another one's binary.
    Engine("direct", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"),
    Engine(
        "flink",
        "FlinkRunner",
        by_size=True,
        places=("job_endpoint", "flink_master"),
        own=frozenset(
            "attached_mode auto_balance_write_files_sharding_enabled checkpoint_timeout_millis checkpointing_interval "
            "checkpointing_mode disable_metrics enable_stable_input_drain execution_mode_for_batch "
            "execution_retry_delay externalized_checkpoints_enabled faster_copy file_input_split_max_size_m_b "
            "finish_bundle_before_checkpointing flink_conf_dir force_slot_sharing_group "
            "force_unaligned_checkpoint_enabled job_check_interval_in_secs latency_tracking_interval "
            "max_bundle_size max_bundle_time_mills min_pause_between_checkpoints num_concurrent_checkpoints "
            "number_of_execution_retries object_reuse operator_chaining re_iterable_group_by_key_result "
            "reuse_key_value savepoint_path state_backend state_backend_storage_path "
            "tolerable_checkpoint_failure_number unaligned_checkpoint_enabled use_data_stream_for_batch".split()
        ),
        jar="flink_job_server_jar",
    ),
    Engine(
        "spark",
        "SparkRunner",
        by_size=True,
        places=("job_endpoint", "spark_master_url", "spark_rest_url"),
        own=frozenset(
            "batch_interval_millis bundle_size cache_disabled checkpoint_dir checkpoint_duration_millis "
            "enable_spark_metric_sinks event_log_enabled max_records_per_batch min_read_time_millis "
            "prefer_group_by_key_to_handle_huge_values read_time_percentage spark_history_dir spark_master "
            "storage_level".split()
        ),
        jar="spark_job_server_jar",
    ),
    Engine(
        "dataflow",
        "DataflowRunner",
        by_size=True,
        needed=(("project", "my-project"), ("region", "europe-west4"), ("temp_location", "gs://bucket/temp")),
    ),
)
ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _ALL})

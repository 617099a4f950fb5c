"""RunConfig: what a run is told, apart from the task."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunConfig:
    """One run of one task.

    Attributes:
      task: its name.
      root: folder of all runs, or a place in a bucket, such as `s3://bucket/runs`; this task's are in `<root>/<task>/`.
      mirror: the local folder that stands for a root in a bucket; see pipeline/remote. None where the root is local.
      data: path of the rows, in place of the task's own.
      span: the newest span to read where the path has `{SPAN}` or a date; None takes the newest that is there.
      window: how many spans to read, up to and with the newest.
      serving_log: file, folder or pattern of logged requests, which the data is compared with.
      beam_runner: where Beam jobs run: local, direct, flink, spark or dataflow; see pipeline/beam.
      beam_options: Beam's options, `key=value`, and those of pipeline/beam/settings.py.
      beam_nodes: of one node or `all`: `NODE=local|cluster`, or an option, `NODE.key=value`.
      overrides: `section.field=value`, applied to the task.
      cache: whether results of earlier runs are reused.
      from_nodes: start here, with the earlier nodes' results of the latest run.
      to_nodes: stop after these.
      tune: whether to search for better settings, as the task's `tuning` says.
      tuned: whether values that an earlier search found are used.
      predict: file, folder or pattern of rows that the model answers once it is pushed, or None.
      predict_out: folder that gets a copy of these answers, or None.
      force: why the model is promoted though a gate on it fails, or it was withdrawn; None: it is not.
      metadata_service: `host:port` of an ML Metadata service that has the records of a root in a bucket; None: the root.
      only_structure: the nodes are wanted, not what they would read: no file of the data is looked at.
    """

    task: str
    root: str = "runs"
    data: str | None = None
    span: int | None = None
    window: int = 1
    serving_log: str | None = None
    beam_runner: str = "local"
    beam_options: tuple[str, ...] = ()
    beam_nodes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    cache: bool = True
    from_nodes: tuple[str, ...] = ()
    to_nodes: tuple[str, ...] = ()
    tune: bool = False
    tuned: bool = True
    predict: str | None = None
    predict_out: str | None = None
    force: str | None = None
    mirror: str | None = None
    metadata_service: str | None = None
    only_structure: bool = False

    @property
    def home(self) -> Path:
        """Folder of the task's runs, artifacts, metadata and served models, on this machine."""
        return Path(self.mirror or self.root).absolute() / self.task

    @property
    def home_url(self) -> str:
        """The same as the user names it: in the bucket, where the root is in one."""
        return f"{self.root.rstrip('/')}/{self.task}" if self.mirror else str(self.home)

    def named(self, path: Path) -> str:
        """A path below `home` as the user names it: what goes into parameters of nodes, whose cache key it is part of.

        `pipeline.mirrored.local` leads back.
        """
        return f"{self.home_url}/{path.relative_to(self.home)}"

    @property
    def metadata(self) -> Path:
        """The ML Metadata store."""
        return self.home / "metadata.db"

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.home / "artifacts"

    @property
    def training(self) -> Path:
        """Checkpoints and progress of a training that is not over, and its job for other machines."""
        return self.home / "training"

    @property
    def analyses(self) -> Path:
        """What Transform and StatisticsGen found out about each span, for later windows that hold it."""
        return self.home / "analyses"

    @property
    def serving(self) -> Path:
        """The folder that a model server watches: a subfolder a version."""
        return self.home / "serving" / self.task

"""The files of the request log: one that grows, under a hidden name, and complete ones, the oldest of which go."""

import logging
import os
import time
from pathlib import Path

import tensorflow as tf

_log = logging.getLogger(__name__)
_MEBIBYTE = 1 << 20
_FILES = 10
_AGE_SECONDS = 300.0
_SUFFIX = ".tfrecord"


class LogFiles:
    """Writes records to files that a reader can trust to be whole."""

    def __init__(self, folder: Path, max_mb: int) -> None:
        """Makes the folder and completes what a server that was killed has left there.

        Args:
          folder: of the files.
          max_mb: what all files may take, in MiB; a file is completed at a tenth of it, or after five minutes.

        Raises:
          OSError: the folder can't be made or read.
        """
        self._folder = folder
        self._max_bytes = max_mb * _MEBIBYTE
        self._writer: tf.io.TFRecordWriter | None = None
        self._file = folder
        self._bytes = 0
        self._opened = 0.0
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    def write(self, record: bytes) -> None:
        """Adds a record.

        Raises:
          tf.errors.OpError: the disk is full, or the folder has gone.
        """
        try:
            writer = self._writer or self._open()
            writer.write(record)
            writer.flush()
        except Exception:
            self._abandon()
            raise
        self._bytes += len(record) + 16  # TFRecord's length and two checksums.
        if self._bytes >= self._max_bytes // _FILES:
            self.complete()
        else:
            self.complete_if_old()

    def complete_if_old(self) -> None:
        """Completes a file that was begun five minutes ago, so that what it holds can be read."""
        if self._writer is not None and time.monotonic() - self._opened >= _AGE_SECONDS:
            self.complete()

    def complete(self) -> None:
        """Gives the file its name, and deletes the oldest ones beyond the limit."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._publish(self._file)
        self._delete_oldest()

    def _open(self) -> tf.io.TFRecordWriter:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self._file = self._folder / f".requests-{stamp}-{os.getpid()}-{self._count}{_SUFFIX}"
        self._count += 1
        self._bytes = 0
        self._opened = time.monotonic()
        self._writer = tf.io.TFRecordWriter(str(self._file))
        return self._writer

    def _abandon(self) -> None:
        """After an error: keeps the records that are whole, and goes on with a new file."""
        if self._writer is not None:
            try:
                self._writer.close()
            except tf.errors.OpError as error:
                _log.debug("closing %s: %s", self._file, error)
            self._writer = None
        if self._file.is_file():
            self._salvage(self._file)

    def _publish(self, file: Path) -> None:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
        file.rename(file.with_name(file.name.removeprefix(".")))

    def _delete_oldest(self) -> None:
        files = sorted(self._folder.glob(f"requests-*{_SUFFIX}"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= self._max_bytes:
                return
            total -= file.stat().st_size
            file.unlink()

    def _recover(self) -> None:
        for file in self._folder.glob(f".requests-*{_SUFFIX}"):
            owner = file.name.split("-")[2]
            if not Path("/proc", owner).exists():
                self._salvage(file)

    def _salvage(self, file: Path) -> None:
        """Cuts a file off behind its last whole record."""
        whole = 0
        try:
            for record in tf.compat.v1.io.tf_record_iterator(str(file)):
                whole += len(record) + 16
        except tf.errors.OpError as error:
            _log.debug("%s ends within a record: %s", file, error)
        if not whole:
            file.unlink()
            return
        os.truncate(file, whole)
        self._publish(file)

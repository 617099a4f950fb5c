"""The model server as a plain process: `python -m serving --model-name taxi_tips --model-base-path /models/taxi_tips`.

Exit codes: 0 after SIGTERM or SIGINT; 2 where a flag, a file that it names or a port is wrong, with one sentence.
"""

import logging
import os
import sys

import typer

from serving import flags
from serving.errors import ServingError
from serving.settings import Limits, Settings

_L = Limits()


def main(
    model_name: flags.ModelName = None,
    model_base_path: flags.ModelBasePath = None,
    model_config: flags.ModelConfigFile = None,
    model_config_poll_seconds: flags.ConfigPoll = 0.0,
    poll_seconds: flags.Poll = 1.0,
    host: flags.Host = "127.0.0.1",
    rest_port: flags.RestPort = 8501,
    grpc_port: flags.GrpcPort = 8500,
    token_file: flags.TokenFile = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    max_body_mb: flags.MaxBodyMb = _L.body_mb,
    max_rows: flags.MaxRows = _L.rows,
    queue: flags.Queue = _L.queue,
    batch_rows: flags.BatchRows = _L.batch_rows,
    timeout_seconds: flags.Timeout = _L.timeout_seconds,
    request_log: flags.RequestLogDir = None,
    request_log_rate: flags.RequestLogRate = 0.01,
    request_log_redact: flags.RequestLogRedact = None,
    request_log_max_mb: flags.RequestLogMaxMb = 100,
    ready_file: flags.ReadyFile = None,
) -> None:
    """Serves SavedModels over TF Serving's REST and gRPC API."""
    given = dict(locals())
    try:
        serve(flags.settings(**given))
    except (ServingError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from error


def serve(settings: Settings) -> None:
    """Serves until it is told to end.

    Raises:
      ServingError: the configuration is wrong.
      OSError: a port is taken, or a file can't be read or written.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if flags.open_to_all(settings):
        logging.getLogger("serving").warning("%s is open to the network, and no token is asked", settings.host)
    from serving import server  # TensorFlow is imported when the flags are right.

    server.run(settings)


if __name__ == "__main__":
    typer.run(main)

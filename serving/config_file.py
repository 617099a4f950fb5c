"""TF Serving's ModelServerConfig, from a file in text form or from a request, to the models to serve.

    model_config_list {
      config {
        name: "taxi_tips" base_path: "/models/taxi_tips" model_platform: "tensorflow"
        model_version_policy { specific { versions: 1 versions: 2 } }
        version_labels { key: "stable" value: 1 }
      }
    }

Rules and messages are those of TF Serving's server_core.cc.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import Code, ServingError
from serving.settings import ModelConfig, VersionPolicy

_PLATFORM = "tensorflow"


def read(path: Path) -> model_server_config_pb2.ModelServerConfig:
    """Reads a file.

    Raises:
      ServingError: it is not there, or is no ModelServerConfig in text form; the message says where it breaks.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"{path}: is not text in UTF-8") from error


def parse(text: str, name: str) -> model_server_config_pb2.ModelServerConfig:
    """Parses the text form.

    Args:
      text: of the file.
      name: of the file, for messages.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    try:
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        raise ServingError(Code.INVALID_ARGUMENT, f"{name}: is no ModelServerConfig in text form: {error}") from error


def models_of(config: model_server_config_pb2.ModelServerConfig) -> tuple[ModelConfig, ...]:
    """The models of a configuration.

    Raises:
      ServingError: INVALID_ARGUMENT: no list of models, a name twice or none, a path that is not absolute, another
        platform than TensorFlow.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported",
        )
    models = tuple(_model(one) for one in config.model_config_list.config)
    check(models)
    return models


def check(models: Sequence[ModelConfig]) -> None:
    """Raises ServingError where models can't be served together."""
    seen = set()
    for model in models:
        if not model.name:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Expected a name for the model at {model.base_path}. It has none."
            )
        if model.name in seen:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Illegal to list model {model.name} multiple times in config list"
            )
        seen.add(model.name)
        if not PurePosixPath(model.base_path).is_absolute():
            hint = " Only folders of this machine can be served." if "://" in model.base_path else ""
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}{hint}",
            )


def _model(one: model_server_config_pb2.ModelConfig) -> ModelConfig:
    platform = one.model_platform
    if not platform and one.model_type == model_server_config_pb2.TENSORFLOW:
        platform = _PLATFORM
    if platform != _PLATFORM:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"Model {one.name} requests unsupported platform {platform}"
            if platform
            else "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {one.name}",
        )
    return ModelConfig(one.name, one.base_path, _policy(one), dict(one.version_labels))


def _policy(one: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    policy = one.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy("all")
        case "specific":
            return VersionPolicy("specific", versions=tuple(policy.specific.versions))
        case _:
            return VersionPolicy("latest", count=max(policy.latest.num_versions, 1))

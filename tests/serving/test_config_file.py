import pytest

from serving.config_file import models_of, parse, read
from serving.errors import Code, ServingError
from serving.settings import ModelConfig, VersionPolicy

ONE = 'config { name: "a" base_path: "/a" model_platform: "tensorflow" %s }'


def made(*models):
    return models_of(parse(f"model_config_list {{ {' '.join(models)} }}", "test"))


def test_models():
    policy = "model_version_policy { specific { versions: 1 versions: 4 } }"
    assert made(ONE % (policy + 'version_labels { key: "stable" value: 4 }')) == (
        ModelConfig("a", "/a", VersionPolicy("specific", versions=(1, 4)), {"stable": 4}),
    )
    assert made(ONE % "")[0].policy == VersionPolicy("latest", 1)
    assert made(ONE % "model_version_policy { latest { num_versions: 3 } }")[0].policy == VersionPolicy("latest", 3)
    assert made(ONE % "model_version_policy { all {} }")[0].policy == VersionPolicy("all")
    assert made('config { name: "a" base_path: "/a" model_type: TENSORFLOW }')[0].base_path == "/a"
    assert made() == ()


@pytest.mark.parametrize(
    "models, message",
    [
        ((ONE % "", ONE % ""), "Illegal to list model a multiple times in config list"),
        (('config { base_path: "/a" model_platform: "tensorflow" }',), "Expected a name for the model at /a"),
        (
            ('config { name: "a" base_path: "/a" model_platform: "onnx" }',),
            "Model a requests unsupported platform onnx",
        ),
        (('config { name: "a" base_path: "/a" }',), "Illegal setting neither ModelServerConfig::model_type"),
        (
            ('config { name: "a" base_path: "b/c" model_platform: "tensorflow" }',),
            "Expected model a to have an absolute path or URI; got base_path()=b/c",
        ),
        (
            ('config { name: "a" base_path: "gs://b/c" model_platform: "tensorflow" }',),
            "Only folders of this machine can be served",
        ),
    ],
)
def test_refused(models, message):
    with pytest.raises(ServingError) as raised:
        made(*models)
    assert raised.value.code is Code.INVALID_ARGUMENT and message in raised.value.message


def test_files(tmp_path):
    file = tmp_path / "models.config"
    with pytest.raises(ServingError, match="can't be read: No such file"):
        read(file)
    file.write_text("model_config_list {\n  confg {}\n}")
    with pytest.raises(ServingError, match=r"models.config: is no ModelServerConfig in text form: 2:\d+"):
        read(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ServingError, match="is not text in UTF-8"):
        read(file)
    with pytest.raises(ServingError, match="Only ModelConfigList is currently supported"):
        models_of(parse("custom_model_config {}", ""))

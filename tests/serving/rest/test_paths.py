import pytest

from serving.errors import Code, ServingError
from serving.rest.paths import Asked, parse


@pytest.mark.parametrize(
    "method, target, expected",
    [
        ("POST", "/v1/models/m:predict", Asked("predict", "m", None, None)),
        ("POST", "/v1/models/m/versions/07:classify", Asked("classify", "m", 7, None)),
        ("POST", "/V1/Models/m%20n/labels/a%2Fb:regress", Asked("regress", "m n", None, "a/b")),
        ("GET", "/v1/models/m", Asked("status", "m", None, None)),
        ("GET", "/v1/models/m/versions/7", Asked("status", "m", 7, None)),
        ("GET", "/v1/models/m/labels/stable/metadata", Asked("metadata", "m", None, "stable")),
        ("GET", "/v1/models/m/metadata", Asked("metadata", "m", None, None)),
    ],
)
def test_asked(method, target, expected):
    assert parse(method, target) == expected


@pytest.mark.parametrize(
    "method, target",
    [
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:Predict"),
        ("POST", "/v1/models/m/versions/x:predict"),
        ("POST", "/v1/models/m/versions/1/labels/a:predict"),
        ("POST", "/v1/models/:predict"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/other"),
        ("PUT", "/v1/models/m:predict"),
        ("HEAD", "/v1/models/m"),
    ],
)
def test_malformed(method, target):
    with pytest.raises(ServingError) as error:
        parse(method, target)
    assert (error.value.code, error.value.message) == (Code.INVALID_ARGUMENT, f"Malformed request: {method} {target}")


def test_no_model():
    with pytest.raises(ServingError, match="Missing model name in request"):
        parse("GET", "/v1/models")


@pytest.mark.parametrize("version", [str(2**63), "9" * 5000])
def test_versions_are_64_bits(version):
    assert parse("GET", f"/v1/models/m/versions/{'0' * 30}{2**63 - 1}").version == 2**63 - 1
    with pytest.raises(ServingError, match=f"Failed to convert version: {version[:19]}.* to numeric"):
        parse("GET", f"/v1/models/m/versions/{version}")

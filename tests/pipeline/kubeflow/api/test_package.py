from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.kubeflow.api import package as packages


def test_the_file_tells_its_target(kfp_file, vertex_file):
    of_kfp, of_vertex = packages.read(kfp_file()), packages.read(vertex_file())
    assert (of_kfp.target, of_kfp.name, of_kfp.task, of_kfp.root) == ("kfp", "taxi-tips", "taxi_tips", "s3://ml/runs")
    assert of_kfp.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-trainer"] == {
        "nodeSelector": {}
    }
    assert (of_vertex.target, of_vertex.name, of_vertex.root) == ("vertex", "taxi-tips", "gs://ml/runs")
    assert of_vertex.job["serviceAccount"] == "file@acme.iam.gserviceaccount.com"
    assert packages.check(of_kfp, "kfp") == packages.check(of_vertex, "vertex") == []


def test_executors_are_the_containers_at_any_depth(kfp_file):
    found = packages.executors(packages.read(kfp_file()).spec)
    assert found == {"example-gen", "data-gate", "trainer", "finish"}


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "nothing"),
        ("- 1\n", "no mapping"),
        ("a: b\n", "the keys a"),
        ("{", "line 1"),
        ("a:\n  b: [\n", "line 3"),
    ],
)
def test_what_is_no_pipeline_is_said(tmp_path, text, received):
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"is not a compiled pipeline.*Next: python kubeflow_runner.py compile"
    ) as caught:
        packages.read(str(path))
    assert received in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(
        UsageError, match=r"can't be read: No such file or directory. Next: python kubeflow_runner.py compile"
    ):
        packages.read(str(tmp_path / "none.yaml"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not text"):
        packages.read(str(tmp_path / "binary"))


def test_a_file_of_the_other_server_is_refused_with_the_command(kfp_file, vertex_file):
    with pytest.raises(UsageError) as caught:
        packages.check(packages.read(kfp_file()), "vertex")
    assert "compile --task taxi_tips --target vertex --root gs://… --output taxi-tips.json" in str(caught.value)
    with pytest.raises(UsageError) as caught:
        packages.check(packages.read(vertex_file()), "kfp")
    assert "compile --task taxi_tips --target kfp --root gs://ml/runs --output taxi-tips.yaml" in str(caught.value)


@pytest.mark.parametrize("root", ["runs", "/srv/runs", "", "minio://ml/runs"])
def test_a_local_root_is_refused(kfp_file, root):
    with pytest.raises(UsageError, match=r"root: a cluster can't reach .*Next: compile with --root s3://…"):
        packages.check(packages.read(kfp_file(root=root)), "kfp")


def test_vertex_takes_google_storage_only(vertex_file):
    with pytest.raises(UsageError, match=r"Expected: gs://bucket/prefix. Received: root='s3://ml/runs'"):
        packages.check(packages.read(vertex_file(root="s3://ml/runs")), "vertex")


def test_another_version_is_a_warning_that_names_both(kfp_file):
    (warning,) = packages.check(packages.read(kfp_file(sdk="millrace-0.0.1")), "kfp")
    assert "compiled by millrace-0.0.1" in warning
    assert f"this is millrace-{version('millrace')}" in warning


@pytest.mark.parametrize("image", ["", "<your image>", "IMAGE:{{tag}}", "registry/your-image:1", "${IMAGE}"])
def test_a_missing_or_placeholder_image_is_refused_by_step(kfp_file, image):
    path = Path(kfp_file())
    spec, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    spec["deploymentSpec"]["executors"]["exec-trainer"]["container"] = {"image": image}
    path.write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"image: .*Next: make image push") as caught:
        packages.check(packages.read(str(path)), "kfp")
    assert f"exec-trainer: Expected: the image of this project. Received: image={image!r}" in str(caught.value)
    assert "exec-finish" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "warned"),
    [("millrace:0.1", True), ("acme/millrace:0.1", True), ("kind.local/m:1", False), ("localhost:5000/m", False)],
)
def test_an_image_without_a_registry_is_a_warning(kfp_file, image, warned):
    path = Path(kfp_file())
    path.write_text(path.read_text(encoding="utf-8").replace("ghcr.io/acme/millrace:0.1.0", image), encoding="utf-8")
    warnings = packages.check(packages.read(str(path)), "kfp")
    assert warnings == (
        [f"image {image} names no registry: the nodes would look for it on Docker Hub"] if warned else []
    )


def test_labels_are_held_to_googles_rule():
    packages.check_labels({"team": "ml", "a-b_c": "1"})
    with pytest.raises(UsageError) as caught:
        packages.check_labels({"Team": "ml", "team": "M L"})
    assert "--labels Team=ml" in str(caught.value)
    assert "--labels team=M L" in str(caught.value)

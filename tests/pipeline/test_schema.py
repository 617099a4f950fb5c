"""Curated schemas: what does not fit is said with column and type, what does not parse with file and line."""

from dataclasses import replace
from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline import schema, tasks
from pipeline.errors import TaskError, UsageError
from pipeline.expressions import Column
from pipeline.features import Bucketized, Categorical, Date, Hashed, Image, Numeric, Text, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Label, MultiClass, MultiLabel
from pipeline.models.linear import Linear
from pipeline.rows import Matches, RowRules, Rule
from pipeline.sources import Csv
from pipeline.task import Task

TYPES = {"miles": "FLOAT", "hour": "INT", "company": "BYTES", "tips": "FLOAT", "fare": "FLOAT"}
LABEL = Binary.where("tips", greater_than=0.2 * Column("fare"))
FITTING = (Numeric("miles"), Categorical("hour", size=24), Vocabulary("company"))


def proto(types: dict[str, str]) -> schema_pb2.Schema:
    made = schema_pb2.Schema()
    for name, kind in types.items():
        made.feature.add(name=name, type=schema_pb2.FeatureType.Value(kind))
    return made


def task(*features: object, label: Label = LABEL, slices: tuple[str, ...] = ()) -> Task:
    gates = (Gate("auc", at_least=0.5),)
    return Task(
        name="trips",
        question="?",
        source=Csv("rows.csv"),
        label=label,
        features=features,  # type: ignore[arg-type]
        model=Linear(),
        evaluation=Evaluation(metrics=("auc",), slices=slices, gates=gates),
    )


def misfit(checked: Task, types: dict[str, str] = TYPES) -> list[str]:
    with pytest.raises(TaskError) as caught:
        schema.check(checked, proto(types))
    title, *problems = str(caught.value).splitlines()
    assert title == "task 'trips' does not fit its schema:"
    return problems


def test_a_task_that_fits() -> None:
    schema.check(task(*FITTING, slices=("hour",)), proto(TYPES))


def test_rules_of_a_kind_that_the_column_can_not_meet() -> None:
    rules = (Rule("more than none", Column("company") > 0), Matches("hour", "[0-9]+"), Matches("company", ".+"))
    assert misfit(replace(task(*FITTING), rows=RowRules(rules=rules))) == [
        "  - rule 'more than none': expected 'company' to be FLOAT or INT. Received: type=BYTES",
        "  - rule 'hour matches [0-9]+': expected 'hour' to be BYTES. Received: type=INT",
    ]


def test_a_column_that_the_schema_lacks() -> None:
    assert misfit(task(Numeric("mile"))) == [
        "  - column 'mile' is not in the schema. Did you mean 'miles'? Known: company, fare, hour, miles, tips."
    ]


def test_a_slice_and_a_label_that_the_schema_lacks() -> None:
    problems = misfit(task(*FITTING, slices=("day",), label=Binary("tipped")))
    assert [problem.split(" is not")[0] for problem in problems] == ["  - column 'day'", "  - column 'tipped'"]


@pytest.mark.parametrize(
    ("feature", "takes", "received"),
    [
        (Numeric("company"), "FLOAT or INT", "BYTES"),
        (Bucketized("company", buckets=3), "FLOAT or INT", "BYTES"),
        (Categorical("miles", size=3), "INT", "FLOAT"),
        (Vocabulary("miles"), "BYTES or INT", "FLOAT"),
        (Hashed("miles", buckets=3), "BYTES or INT", "FLOAT"),
    ],
)
def test_a_kind_that_can_not_take_the_columns_type(feature: object, takes: str, received: str) -> None:
    (problem,) = misfit(task(feature))
    assert problem.endswith(f"{type(feature).__name__} takes {takes}. Received: type={received}")


def test_a_label_of_text() -> None:
    assert misfit(task(Numeric("miles"), label=Binary("company"))) == [
        "  - label column 'company': expected FLOAT or INT. Received: type=BYTES"
    ]


def test_a_label_of_classes_may_be_text_or_integers() -> None:
    gates = (Gate("macro_f1", at_least=0.5),)
    evaluation = Evaluation(metrics=("macro_f1",), gates=gates)

    def labelled(label: Label) -> Task:
        return replace(task(Numeric("miles")), label=label, evaluation=evaluation)

    for column in ("company", "hour"):
        schema.check(labelled(MultiClass(column, 3)), proto(TYPES))
    schema.check(labelled(MultiLabel("company", ("a", "b"))), proto(TYPES))
    assert misfit(labelled(MultiClass("fare", 3))) == [
        "  - label column 'fare': expected BYTES or INT. Received: type=FLOAT"
    ]
    assert misfit(labelled(MultiLabel("hour", ("a", "b")))) == [
        "  - label column 'hour': expected BYTES. Received: type=INT"
    ]


def test_read_says_file_and_line_of_what_does_not_parse(tmp_path: Path) -> None:
    file = tmp_path / "schema.pbtxt"
    file.write_text('feature {\n  name: "a"\n  typo: FLOAT\n}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"schema\.pbtxt does not parse at line:column 3:3 .*typo"):
        schema.read(file)


def test_read_says_what_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.pbtxt can't be read"):
        schema.read(tmp_path / "none.pbtxt")
    (tmp_path / "latin.pbtxt").write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match=r"latin\.pbtxt can't be read"):
        schema.read(tmp_path / "latin.pbtxt")


def test_path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMAS", tmp_path)
    assert schema.path_of("trips") is None
    (tmp_path / "trips").mkdir()
    (tmp_path / "trips" / "schema.pbtxt").touch()
    assert schema.path_of("trips") == tmp_path / "trips" / "schema.pbtxt"


def test_curated_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMAS", tmp_path)
    with pytest.raises(
        UsageError, match=r"task 'trips' has no curated schema: .* Next: millrace schema init --task trips"
    ):
        schema.curated("trips")


def test_write_keeps_newlines_and_permissions_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "trips" / "schema.pbtxt"
    schema.write(file, "# a\r\n# b\n")
    assert file.read_bytes() == b"# a\r\n# b\n"
    assert file.stat().st_mode & 0o777 == 0o644
    before = schema.digest(file)
    file.chmod(0o600)
    schema.write(file, "# ü\n")
    assert (schema.text_of(file), file.stat().st_mode & 0o777) == ("# ü\n", 0o600)
    assert schema.digest(file) != before
    assert [entry.name for entry in file.parent.iterdir()] == ["schema.pbtxt"]


def test_write_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "trips").touch()
    with pytest.raises(UsageError, match=r"schema\.pbtxt can't be written: .* Next: check the disk"):
        schema.write(tmp_path / "trips" / "schema.pbtxt", "")


@pytest.mark.parametrize("name", [name for name in tasks.names() if schema.path_of(name)])
def test_each_curated_schema_fits_its_task(name: str) -> None:
    path = schema.path_of(name)
    assert path is not None
    read = schema.read(path)
    schema.check(tasks.load(name), read)
    label = tasks.load(name).label.name
    (labelled,) = (feature for feature in read.feature if feature.name == label)
    assert list(labelled.not_in_environment) == ["SERVING"]


def test_columns_of_images_are_marked_for_the_statistics() -> None:
    features = (Image("photo", height=8, width=8), Numeric("miles"))
    given = proto({"photo": "BYTES", "company": "BYTES", "miles": "FLOAT"})
    marked = schema.with_images(given, features)
    assert [column.WhichOneof("domain_info") for column in marked.feature] == ["image_domain", None, None]
    assert not given.feature[0].HasField("image_domain")
    assert schema.with_images(marked, features) == marked
    assert schema.of_images(features) == schema.with_images(proto({"photo": "BYTES"}), features)
    assert schema.of_images((Numeric("miles"),)) is None


def test_an_image_or_a_text_takes_bytes() -> None:
    fitting = task(Image("photo", height=8, width=8), Text("words"), Date("day"))
    schema.check(fitting, proto(TYPES | {"photo": "BYTES", "words": "BYTES", "day": "INT"}))
    with pytest.raises(TaskError, match=r"Image takes BYTES\. Received: type=FLOAT"):
        schema.check(task(Image("miles", height=8, width=8)), proto(TYPES))

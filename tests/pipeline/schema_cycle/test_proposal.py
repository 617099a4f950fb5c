"""Proposals: the diff that people read is the least one, and the changes survive the file."""

from pathlib import Path

import pytest

from pipeline import schema
from pipeline.errors import MillraceError
from pipeline.schema_cycle.changes import Change
from pipeline.schema_cycle.proposal import Proposal, changed, diff, load, save

FEATURE = 'feature {{\n  name: "c{}"\n  type: INT\n  value_count {{\n    min: 1\n    max: 1\n  }}\n}}\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(schema, "SCHEMAS", tmp_path / "schemas")
    file = tmp_path / "schemas" / "trips" / "schema.pbtxt"
    schema.write(file, "# Head.\n" + "".join(FEATURE.format(number) for number in range(40)))
    return file


def test_the_diff_is_the_least_one(path: Path) -> None:
    optional = Change("c7", "optional", "", 1, 2, settings={"min_fraction": 0.5})
    lines = diff(path, changed(path, [optional])).splitlines()
    assert lines[:3] == [f"--- {path}", f"+++ {path}", "@@ -59,8 +59,10 @@"]
    assert [line for line in lines[3:] if not line.startswith(" ")] == [
        "-    min: 1",
        "+  }",
        "+  presence {",
        "+    min_fraction: 0.5",
    ]
    assert diff(path, path.read_text()) == ""


def test_what_is_saved_is_what_is_loaded(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trips" / "runs" / "r1"
    sound = Change("c1", "presence", "less", 1, 2, ("a", "b"), (), {"min_fraction": 0.5})
    doubtful = Change("c2", "missing", "none", 2, 2, (), ("seldom",), {"min_fraction": 0.0})
    proposal = Proposal("trips", "r1", schema.digest(path), 2, 1, (sound, doubtful), ({"what": "x", "rows": 1},))
    save(folder, proposal)
    assert load(folder, "propose") == proposal
    assert (folder / "schema_proposal.pbtxt").read_text() == changed(path, [sound])
    save(folder, Proposal("trips", "r1", "", 2, 0, ()))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change("nope", "presence", "", 1, 2, settings={"min_fraction": 0.5}), "has no column 'nope'"),
        (Change("c1", "presence", "", 1, 2), r"change of 'c1' can't be made: .*Next: propose again"),
        (Change("c1", "magic", "", 1, 2), r"change of 'c1' can't be made: .*magic"),
        (Change("new", "new", "", 1, 2, settings={"feature": "oops", "domain": None}), "change of 'new' can't be made"),
    ],
)
def test_a_change_that_can_not_be_made(path: Path, change: Change, message: str) -> None:
    with pytest.raises(MillraceError, match=message):
        changed(path, [change])

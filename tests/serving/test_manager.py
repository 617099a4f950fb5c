import asyncio
import shutil

import pytest

from serving.config_file import parse
from serving.errors import Code, ServingError
from serving.settings import ModelConfig, VersionPolicy


def answer(manager, floats, version=None, label=None):
    """What 2.0 is answered: 1 plus the version's number."""
    with manager.pinned("half", version, label) as servable:
        signature = servable.signature("")
        return float(asyncio.run(servable.run(signature, {"x": floats(2.0)}))["y"][0])


def states(manager):
    return {status.version: status.state for status in manager.status("half")}


def test_the_latest_version_answers_and_a_newer_one_takes_its_place(put, start, floats, until):
    put(1)
    manager = start()
    assert manager.ready() and answer(manager, floats) == 2.0
    put(2)
    until(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert answer(manager, floats) == 3.0
    assert [status.version for status in manager.status("half")] == [2, 1]
    with pytest.raises(ServingError, match=r"^Servable not found for request: Specific\(half, 1\)$") as raised:
        answer(manager, floats, version=1)
    assert raised.value.code is Code.NOT_FOUND


def test_a_pinned_version_stays_until_its_last_request_has_ended(put, start, floats, until):
    put(1)
    manager = start()
    with manager.pinned("half") as held:
        put(2)
        until(lambda: states(manager).get(2) == "AVAILABLE" and states(manager)[1] == "UNLOADING")
        assert answer(manager, floats) == 3.0
        assert float(asyncio.run(held.run(held.signature(""), {"x": floats(2.0)}))["y"][0]) == 2.0
        assert states(manager)[1] == "UNLOADING"
    until(lambda: states(manager)[1] == "END")


def test_what_does_not_load_is_told_and_the_old_version_answers(put, start, floats, until, half_plus):
    put(1)
    manager = start(load_attempts=2)
    put(2)
    until(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    third = put(3, "part")
    (third / "saved_model.pb").write_bytes(b"no model")
    third.rename(third.with_name("3"))
    status = until(lambda: next((s for s in manager.status("half") if s.version == 3 and s.state == "END"), None))
    assert status.code is not Code.OK and "does not load" in status.message
    assert answer(manager, floats) == 3.0
    shutil.copy(half_plus / "3" / "saved_model.pb", third.with_name("3") / "saved_model.pb")
    until(lambda: states(manager).get(3) == "AVAILABLE")
    assert answer(manager, floats) == 4.0


def test_a_folder_without_a_graph_is_waited_for(put, start, floats, until, half_plus):
    base = put(1).parent
    manager = start()
    shutil.copytree(half_plus / "2" / "variables", base / "2" / "variables")
    (base / "3").mkdir()
    manager.reload_config(config(base))
    assert states(manager) == {1: "AVAILABLE"}
    shutil.copy(half_plus / "2" / "saved_model.pb", base / "2")
    until(lambda: states(manager).get(2) == "AVAILABLE")
    assert answer(manager, floats) == 3.0


def test_a_folder_that_is_deleted_is_unloaded_and_a_base_path_that_vanishes_keeps_what_is_served(
    put, start, floats, until
):
    base = put(1).parent
    put(2)
    manager = start(ModelConfig("half", str(base), VersionPolicy("all")))
    assert states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"}
    shutil.rmtree(base / "2")
    until(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    base.rename(base.with_name("elsewhere"))
    manager.reload_config(config(base, "all {}"))
    assert states(manager)[1] == "AVAILABLE" and answer(manager, floats) == 2.0
    base.mkdir()
    until(lambda: states(manager)[1] == "END")
    assert not manager.ready()


def test_two_names_for_one_version(put, start, floats):
    put(1, "01")
    put(2, "1")
    manager = start()
    (status,) = manager.status("half")
    assert status.state == "AVAILABLE" and answer(manager, floats) == 2.0
    assert status.message == "loaded from 01; 1 has the same number and is ignored"


@pytest.mark.parametrize(
    "policy, expected",
    [("latest { num_versions: 2 }", {2, 3}), ("all {}", {1, 2, 3}), ("specific { versions: 1 versions: 9 }", {1})],
)
def test_version_policies(put, start, policy, expected):
    for version in (1, 2, 3):
        base = put(version).parent
    manager = start()
    assert set(states(manager)) == {3}
    manager.reload_config(config(base, policy))
    loaded = {version for version, state in states(manager).items() if state == "AVAILABLE"}
    assert loaded == expected


def config(base, policy="latest {}", labels="", name="half"):
    return parse(
        f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" '
        f"model_version_policy {{ {policy} }} {labels} }} }}",
        "a test",
    )


def test_labels(put, start, floats):
    base = put(1).parent
    put(2)
    manager = start(ModelConfig("half", str(base), VersionPolicy("all"), {"stable": 1}))
    assert answer(manager, floats, label="stable") == 2.0
    with pytest.raises(ServingError, match=r"^Unrecognized servable version label: canary$") as raised:
        answer(manager, floats, label="canary")
    assert raised.value.code is Code.INVALID_ARGUMENT
    manager.reload_config(config(base, "all {}", 'version_labels { key: "stable" value: 2 }'))
    assert answer(manager, floats, label="stable") == 3.0
    with pytest.raises(
        ServingError, match="Request to assign label to version 9 of model half, which is not"
    ) as raised:
        manager.reload_config(config(base, "all {}", 'version_labels { key: "stable" value: 9 }'))
    assert raised.value.code is Code.FAILED_PRECONDITION
    assert answer(manager, floats, label="stable") == 3.0


def test_a_model_is_added_and_another_removed(put, start, until, tmp_path):
    base = put(1).parent
    manager = start()
    manager.reload_config(config(base, name="other"))
    assert manager.models() == ["other"] and manager.ready()
    until(lambda: not _known(manager, "half"))
    with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(half\)"), manager.pinned("half"):
        pass
    with pytest.raises(ServingError, match=r"1 model.s. did not become available: .*no version was found"):
        manager.reload_config(config(tmp_path, name="third"))


def _known(manager, name):
    try:
        return manager.status(name)
    except ServingError as error:
        assert error.message == f"Could not find any versions of model {name}"
        return []


def test_a_config_file_is_read_again_and_a_broken_one_leaves_the_old(put, start, until, tmp_path, caplog):
    base = put(1).parent
    file = tmp_path / "models.config"
    file.write_text(str(config(base)))
    manager = start(config_file=file, config_poll_seconds=0.02)
    file.write_text("model_config_list { config { nme")
    until(lambda: "the old configuration stays" in caplog.text)
    assert manager.models() == ["half"] and manager.ready()
    file.write_text(str(config(base, name="renamed")))
    until(lambda: manager.models() == ["renamed"] and manager.ready())


def test_a_relative_path_is_refused(start):
    message = r"Expected model half to have an absolute path or URI; got base_path\(\)=models/half$"
    with pytest.raises(ServingError, match=message):
        start(ModelConfig("half", "models/half"))


def test_no_name_and_no_version(put, start):
    put(1)
    manager = start()
    with pytest.raises(ServingError, match=r"^ModelSpec has no name specified.$"), manager.pinned(""):
        pass
    with pytest.raises(ServingError, match=r"^Could not find version 7 of model half$"):
        manager.status("half", 7)

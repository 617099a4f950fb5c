"""Going back and forward again: what is refused, what moves in which order, and a kill at every step."""

import itertools
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.push import history, versions
from pipeline.push.rollback import plan, roll_back
from pipeline.push.versions import Places


def back(places: Places, to: int | None = None, reason: str | None = None) -> history.Event:
    return roll_back(places, plan(places, to), reason, lambda folder: None)


def test_back_to_the_one_before_and_forward_again(places: Places, put: Any) -> None:
    put(1), put(2), put(3)
    done = back(places, reason="far too low")
    assert (done["action"], done["version"], done["previous"], done["withdrawn"]) == ("rolled_back", "2", "3", ["3"])
    assert (done["model"], done["reason"], done["restored"]) == ("/models/2", "far too low", False)
    assert versions.whole(places.watched) == [1, 2]
    assert (places.withdrawn / "3" / "variables" / "variables.index").read_text() == "weights 3"
    again = back(places, to=3)
    assert (again["withdrawn"], again["restored"], again["previous"]) == ([], True, "2")
    assert versions.whole(places.watched) == [1, 2, 3]
    assert versions.whole(places.withdrawn) == []
    assert [entry["action"] for entry in history.read(places)] == [*["pushed"] * 3, *["rolled_back"] * 2]


def test_to_a_withdrawn_one_below_what_is_served(places: Places, put: Any) -> None:
    put(1), put(2)
    back(places)
    put(3)
    done = back(places, to=2)
    assert (done["withdrawn"], done["restored"]) == (["3"], True)
    assert versions.whole(places.watched) == [1, 2]


def test_the_served_one_moves_last_and_what_is_broken_above_it_before(places: Places, put: Any) -> None:
    for version in (1, 2, 3, 4):
        put(version)
    (places.watched / "9").mkdir()
    (places.watched / "0007").mkdir()
    assert plan(places, 1).withdrawn == ("2", "3", "0007", "9", "4")


def test_what_is_refused(places: Places, put: Any) -> None:
    with pytest.raises(UsageError, match=r"nothing was pushed to .* Next: millrace run --task tips"):
        plan(places)
    put(1_795_242_245)
    with pytest.raises(UsageError, match=r"1795242245 is the only version in .*: nothing to go back to"):
        plan(places)
    put(1_795_242_300)
    with pytest.raises(UsageError, match="--to 1795242300: it is served already"):
        plan(places, 1_795_242_300)
    unknown = r"no such version of tips. Did you mean '1795242245'\? Known: 1795242245, 1795242300"
    with pytest.raises(UsageError, match=unknown):
        plan(places, 1_795_242_240)
    back(places)
    with pytest.raises(UsageError, match="Next: --to one of the withdrawn: 1795242300"):
        plan(places)


def test_a_version_in_both_folders_is_refused(places: Places, put: Any) -> None:
    put(1), put(2), put(2, places.withdrawn)
    with pytest.raises(UsageError, match=r"2 is in .* and in .*withdrawn/tips. Expected it once"):
        plan(places)


def test_a_version_that_does_not_load_is_not_gone_back_to(places: Places, put: Any) -> None:
    put(1), put(2)

    def broken(folder: Path) -> None:
        raise MillraceError(f"it does not load: {folder.name}")

    with pytest.raises(MillraceError, match=r"version 1 can't be served: it does not load: 1. 2 is served as before"):
        roll_back(places, plan(places), None, broken)
    assert places.served() == 2
    assert [entry["action"] for entry in history.read(places)] == ["pushed", "pushed"]


def killed_at(places: Places, to: int, step: int) -> int:
    """Rolls back in a process that kills itself (SIGKILL) before its n-th step on disk; returns its exit code."""

    def child() -> None:
        steps = itertools.count()

        def before(act: Any) -> Any:
            def counted(*args: Any) -> Any:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return act(*args)

            return counted

        versions.Path.rename = before(Path.rename)  # type: ignore[method-assign]
        history.append = before(history.append)
        back(places, to)

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    process.join(60)
    return int(process.exitcode)


@pytest.mark.parametrize("step", range(5))
def test_killed_at_any_step_it_has_happened_or_not(places: Places, put: Any, step: int) -> None:
    for version in (1, 2, 3, 4):
        put(version)
    versions.move(places.watched / "2", places.withdrawn / "2")
    # The steps: the intent, 2 in, 3 out, 4 out, the event.
    assert killed_at(places, 2, step) == -signal.SIGKILL
    happened = step == 4
    assert places.served() == (2 if happened else 4), "a server sees the one or the other"
    history.recover(places)
    assert versions.whole(places.watched) == ([1, 2] if happened else [1, 3, 4])
    assert versions.whole(places.withdrawn) == ([3, 4] if happened else [2])
    last = history.read(places)[-1]
    expected = ("rolled_back", "2") if happened else ("abandoned", "2") if step else ("pushed", "4")
    assert (last["action"], last["version"]) == expected
    assert back(places, 1)["version"] == "1"


def test_all_steps_are_killed_at(places: Places, put: Any) -> None:
    put(1), put(3), put(4), put(2, places.withdrawn)
    assert killed_at(places, 2, 5) == 0
    assert versions.whole(places.watched) == [1, 2]

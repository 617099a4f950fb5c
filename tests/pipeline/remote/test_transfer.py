"""Trees and objects, on S3, Google Cloud Storage and in folders."""

import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import MillraceError
from pipeline.ingest import files
from pipeline.remote import stores, transfer
from pipeline.remote.retries import Retries
from tests.pipeline.remote.conftest import Answer, Clock, Faults

Patient = Callable[..., Retries]


@pytest.fixture(params=["s3", "gs", "folder"])
def place(
    request: pytest.FixtureRequest,
    bucket_servers: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[str]:
    """An address with nothing in it: on S3, on GCS, and a folder."""
    if request.param == "folder":
        yield str(tmp_path / "store")
        return
    for name, value in bucket_servers[request.param].items():
        monkeypatch.setenv(name, value)
    if request.param == "s3":
        files.filesystem("s3").makedirs("millrace-tests", exist_ok=True)
    yield f"{request.param}://millrace-tests/place"
    transfer.remove(f"{request.param}://millrace-tests/place")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder: a file, an empty one, one with an odd name, one that says that all are there."""
    folder = tmp_path / "tree"
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "data").write_bytes(b"v" * 2_000_000)
    (folder / "empty").write_bytes(b"")
    (folder / "ü b#c?.txt").write_text("odd")
    (folder / "run.json").write_text("{}")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Name -> content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("s3://bucket", "a", "b/c"), "s3://bucket/a/b/c"),
        (("gs://bucket/root/", "/a/", ""), "gs://bucket/root/a"),
        (("/tmp/root", "a"), "/tmp/root/a"),
        (("/", "a"), "/a"),
    ],
)
def test_addresses_are_joined(parts: tuple[str, ...], whole: str) -> None:
    assert transfer.join(*parts) == whole


def test_a_tree_goes_there_and_comes_back(place: str, tree: Path, tmp_path: Path) -> None:
    url = transfer.join(place, "runs", "7")
    assert transfer.upload(tree, url, last=("run.json",)) == 2_000_005
    assert transfer.names(url) == ["empty", "run.json", "variables", "ü b#c?.txt"]
    assert transfer.names(place) == ["runs"]
    assert transfer.download(url, tmp_path / "back") == 2_000_005
    assert content(tmp_path / "back") == content(tree)


def test_what_is_there_is_not_sent_or_brought_again(place: str, tree: Path, tmp_path: Path) -> None:
    url = transfer.join(place, "t")
    transfer.upload(tree, url)
    transfer.download(url, tmp_path / "back")
    assert transfer.upload(tree, url) == 0
    assert transfer.download(url, tmp_path / "back") == 0
    (tree / "run.json").write_text("[]")  # of the same size
    assert transfer.upload(tree, url) == 2
    assert transfer.download(url, tmp_path / "back") == 2
    assert (tmp_path / "back" / "run.json").read_text() == "[]"


def test_one_file_goes_there_and_comes_back(place: str, tree: Path, tmp_path: Path) -> None:
    url = transfer.join(place, "deep", "one.txt")
    assert transfer.upload(tree / "ü b#c?.txt", url) == 3
    assert transfer.download(url, tmp_path / "x" / "y") == 3
    assert (tmp_path / "x" / "y").read_text() == "odd"
    assert transfer.names(url) == []


def test_a_folder_without_files_is_a_folder_there_too(place: str, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    url = transfer.join(place, "t", "nothing")
    assert transfer.upload(tmp_path / "nothing", url) == 0
    assert transfer.download(url, tmp_path / "back") == 0
    assert list((tmp_path / "back").iterdir()) == []
    assert transfer.names(url) == []
    transfer.remove(url)
    with pytest.raises(files.NotFound):
        transfer.download(url, tmp_path / "again")


def test_nothing_there(place: str, tmp_path: Path) -> None:
    url = transfer.join(place, "none")
    assert transfer.names(url) == []
    assert transfer.read(url) is None
    transfer.remove(url)
    with pytest.raises(files.NotFound, match="none does not exist"):
        transfer.download(url, tmp_path / "back")
    with pytest.raises(files.NotFound, match="absent does not exist"):
        transfer.upload(tmp_path / "absent", url)


def test_a_neighbour_whose_name_begins_alike_is_left_alone(place: str, tmp_path: Path) -> None:
    for name in ("a/1", "ab/2", "a.txt"):
        transfer.write(transfer.join(place, name), name.encode())
    assert transfer.download(transfer.join(place, "a"), tmp_path / "a") == 3
    transfer.remove(transfer.join(place, "a"))
    assert transfer.names(place) == ["a.txt", "ab"]


def test_an_object_is_written_once_where_that_is_asked(place: str) -> None:
    url = transfer.join(place, "metadata", "1.json")
    assert transfer.write(url, b"first", create=True)
    assert not transfer.write(url, b"second", create=True)
    assert transfer.read(url) == b"first"
    assert transfer.write(url, b"third")
    assert transfer.read(url) == b"third"


def test_of_many_who_create_an_object_one_does(tmp_path: Path) -> None:
    url = str(tmp_path / "lock")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: transfer.write(url, f"{n}".encode(), create=True), range(40)))
    assert sum(done) == 1
    assert transfer.read(url) == str(done.index(True)).encode()


def test_large_files_of_a_folder_are_linked_and_small_ones_are_not(tree: Path, tmp_path: Path) -> None:
    transfer.upload(tree, str(tmp_path / "store"))
    assert (tmp_path / "store" / "variables" / "data").stat().st_nlink == 2
    assert (tmp_path / "store" / "run.json").stat().st_nlink == 1


def test_a_large_file_goes_in_parts(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_CHUNK", 5 << 20)
    monkeypatch.setattr(stores, "_LARGE", 6 << 20)
    data = os.urandom(11 << 20)
    (tmp_path / "large").write_bytes(data)
    url = transfer.join(place, "large")
    assert transfer.upload(tmp_path / "large", url) == len(data)
    assert transfer.download(url, tmp_path / "back") == len(data)
    assert (tmp_path / "back").read_bytes() == data


def test_what_says_that_all_is_there_goes_last_and_is_removed_first(bucket: str, faults: Faults, tree: Path) -> None:
    url = transfer.join(bucket, "t")
    transfer.upload(tree, url, last=("run.json", "empty"))
    sent = [path for method, path in faults.seen if method in ("PUT", "POST")]
    if bucket.startswith("s3"):
        assert ["run.json" in sent[-2], "empty" in sent[-1]] == [True, True]
    assert len(sent) == 4
    faults.seen.clear()
    transfer.remove(url, first=("run.json",))
    removed = [path for method, path in faults.seen if method == "DELETE"]
    assert "run.json" in removed[0]
    assert transfer.names(bucket) == []


def test_a_busy_server_is_asked_again(bucket: str, faults: Faults, patient: Patient, clock: Clock) -> None:
    url = transfer.join(bucket, "k")
    write = "PUT" if bucket.startswith("s3") else "POST"
    faults.add(write, "", Answer(503, "SlowDown"), Answer(503, "ServiceUnavailable"))
    assert transfer.write(url, b"1", retries=patient())
    assert clock.waits == [0.5, 1.0]
    faults.add("GET", "k", Answer(500, "InternalError"), Answer(429, "TooManyRequests"))
    assert transfer.read(url, retries=patient()) == b"1"
    assert clock.waits[2:] == [0.5, 1.0]


def test_a_broken_connection_is_tried_again(
    bucket: str, faults: Faults, patient: Patient, clock: Clock, tree: Path, tmp_path: Path
) -> None:
    url = transfer.join(bucket, "t")
    write = "PUT" if bucket.startswith("s3") else "POST"
    # aiohttp repeats a request by itself, once, where the connection was used before.
    faults.add(write, "", *[Answer(0)] * 5)
    assert transfer.upload(tree, url, retries=patient()) == 2_000_005
    assert clock.waits
    clock.waits.clear()
    faults.add("GET", "data", *[Answer(0)] * 5)
    assert transfer.download(url, tmp_path / "back", retries=patient()) == 2_000_005
    assert clock.waits
    assert content(tmp_path / "back") == content(tree)


def test_waiting_has_an_end(bucket: str, faults: Faults, patient: Patient, clock: Clock) -> None:
    faults.add("GET", "", *[Answer(503, "SlowDown")] * 50)
    with pytest.raises(MillraceError) as caught:
        transfer.read(transfer.join(bucket, "k"), retries=patient())
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0]
    assert str(caught.value) == (
        f"{bucket}/k can't be read: the server can't answer now. Next: try again in a few minutes"
    )
    clock.waits.clear()
    with pytest.raises(MillraceError):
        transfer.read(transfer.join(bucket, "k"), retries=patient(seconds=5.0))
    assert clock.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(403, "AccessDenied"), "access is denied. Next: let this user list, read, write and delete there"),
        (Answer(400, "ExpiredToken"), "the credentials have expired. Next: sign in again"),
        (Answer(403, "InvalidAccessKeyId"), "does not know the access key. Next: check AWS_ACCESS_KEY_ID"),
        (Answer(403, "SignatureDoesNotMatch"), "the secret key is wrong. Next: check AWS_SECRET_ACCESS_KEY"),
        (Answer(403, "RequestTimeTooSkewed"), "this machine's clock is wrong. Next: set it"),
    ],
)
@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_what_is_refused_is_not_tried_again(
    bucket: str, faults: Faults, patient: Patient, clock: Clock, answer: Answer, said: str, tree: Path, tmp_path: Path
) -> None:
    acts: list[tuple[str, Callable[[], object]]] = [
        ("GET", lambda: transfer.read(f"{bucket}/k", retries=patient())),
        ("GET", lambda: transfer.names(f"{bucket}/k", retries=patient())),
        ("GET", lambda: transfer.download(f"{bucket}/k", tmp_path / "back", retries=patient())),
        ("PUT", lambda: transfer.write(f"{bucket}/k", b"", retries=patient())),
        ("PUT", lambda: transfer.upload(tree / "run.json", f"{bucket}/k", retries=patient())),
    ]
    for method, act in acts:
        faults.planned.clear()
        faults.add(method, "", answer)
        with pytest.raises(MillraceError) as caught:
            act()
        assert said in str(caught.value)
        assert "secret-in" not in str(caught.value) and "AKIA" not in str(caught.value)
    assert clock.waits == []


@pytest.mark.parametrize("bucket", ["gs"], indirect=True)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "the server refuses it. Next: check the credentials"),
        (401, "not valid, or no longer. Next: sign in again"),
    ],
)
def test_google_refuses(
    bucket: str, faults: Faults, patient: Patient, clock: Clock, status: int, said: str, tree: Path
) -> None:
    faults.add("GET", "", Answer(status))
    faults.add("POST", "", Answer(status))
    for act in (
        lambda: transfer.read(f"{bucket}/k", retries=patient()),
        lambda: transfer.write(f"{bucket}/k", b"", retries=patient()),
    ):
        with pytest.raises(MillraceError) as caught:
            act()
        assert said in str(caught.value)
        assert "secret-in" not in str(caught.value)
    assert clock.waits == []


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_a_bucket_that_does_not_exist(bucket: str, tree: Path, tmp_path: Path) -> None:
    url = "s3://millrace-absent/k"
    for act in (
        lambda: transfer.read(url),
        lambda: transfer.names(url),
        lambda: transfer.write(url, b"1"),
        lambda: transfer.download(url, tmp_path / "back"),
        lambda: transfer.upload(tree, url),
    ):
        with pytest.raises(files.NotFound, match=r"the bucket does not exist\. Next: check its name, or create it"):
            act()


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_an_upload_that_was_killed_is_taken_up(bucket: str, faults: Faults, patient: Patient, tree: Path) -> None:
    url = transfer.join(bucket, "t")
    faults.add("PUT", "run.json", Answer(403, "AccessDenied"))
    with pytest.raises(MillraceError, match="access is denied"):
        transfer.upload(tree, url, last=("run.json",), retries=patient())
    assert "run.json" not in transfer.names(url)
    faults.seen.clear()
    assert transfer.upload(tree, url, last=("run.json",), retries=patient()) == 2
    assert faults.count("PUT", "") == 1
    assert "run.json" in transfer.names(url)


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_an_object_that_was_written_though_the_answer_was_lost_counts_as_written(
    bucket: str, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = stores.Bucket.put
    tries = []

    def lossy(store: stores.Bucket, data: bytes, create: bool) -> bool:
        done = put(store, data, create)
        tries.append(done)
        if len(tries) == 1:
            raise ConnectionResetError
        return done

    monkeypatch.setattr(stores.Bucket, "put", lossy)
    assert transfer.write(f"{bucket}/k", b"mine", create=True, retries=patient())
    assert tries == [True, False]
    assert not transfer.write(f"{bucket}/k", b"other", create=True, retries=patient())


def test_a_file_that_grows_while_it_is_sent_is_sent_again(
    place: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = stores.Bucket if "://" in place else stores.Folder
    send = kind.send

    def growing(store: object, path: Path, name: str, size: int) -> None:
        send(store, path, name, size)  # type: ignore[arg-type]
        if name == "empty" and path.stat().st_size < 2:
            with path.open("ab") as stream:
                stream.write(b"+")

    monkeypatch.setattr(kind, "send", growing)
    transfer.upload(tree, place)
    assert transfer.read(transfer.join(place, "empty")) == b"++"


def test_a_file_that_never_stops_growing_is_an_error(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = stores.Folder.send

    def growing(store: stores.Folder, path: Path, name: str, size: int) -> None:
        send(store, path, name, size)
        with path.open("ab") as stream:
            stream.write(b"+")

    monkeypatch.setattr(stores.Folder, "send", growing)
    with pytest.raises(MillraceError, match=r"store/f is not there as it was sent\. Expected 4 bytes\. Received: 3"):
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "f").write_bytes(b"1")
        transfer.upload(tmp_path / "one", str(tmp_path / "store"))


def test_an_object_that_changes_while_it_is_read(
    bucket: str, patient: Patient, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = transfer.join(bucket, "k")
    transfer.write(url, b"12")
    tree = stores.Bucket.tree
    entry = stores.Entry(5, lambda: None)
    monkeypatch.setattr(stores.Bucket, "tree", lambda store: {name: entry for name in tree(store)})
    with pytest.raises(MillraceError, match=r"changes while it is read \(2 bytes in place of 5\)"):
        transfer.download(url, tmp_path / "k", retries=patient(tries=2))
    assert list(tmp_path.iterdir()) == []
    assert clock.waits == [0.5]


def test_a_disk_that_is_full_is_said_before_and_while_it_fills(
    place: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer.upload(tree, place)
    with monkeypatch.context() as small:
        small.setattr(transfer.shutil, "disk_usage", lambda path: _Usage(10_000_000))
        with pytest.raises(MillraceError, match=r"needs 0\.00 GB, and .* has room for 0\.01 GB\. Next: make room"):
            transfer.download(place, tmp_path / "back")
    kind = stores.Bucket if "://" in place else stores.Folder

    def full(store: object, name: str, to: Path, size: int) -> None:
        to.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kind, "fetch", full)
    with pytest.raises(MillraceError, match=r"back: there is no room left on its disk\. Next: make room, or set"):
        transfer.download(place, tmp_path / "back")
    assert content(tmp_path / "back") == {}


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_what_a_killed_download_left_is_removed_later(place: str, tree: Path, tmp_path: Path) -> None:
    transfer.upload(tree, place)
    back = tmp_path / "back"
    back.mkdir()
    old, new = stores.part_of(back / "a"), stores.part_of(back / "b")
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (1, 1))
    transfer.download(place, back)
    assert not old.exists() and new.exists()
    assert transfer.upload(back, transfer.join(place, "copy")) == 2_000_005


def test_a_store_can_be_used_in_a_forked_process(bucket: str) -> None:
    transfer.write(transfer.join(bucket, "k"), b"parent")
    child = os.fork()
    if not child:
        try:
            os._exit(0 if transfer.read(transfer.join(bucket, "k")) == b"parent" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

"""Places for videos: looked at before money is spent, and names that belong to one task alone."""

import errno
import hashlib
import io
import os
import re
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hosting import names
from hypothesis import given, strategies as st

from foxvideo import Client, GrokTextToVideo
from foxvideo._transfer.target import Target, file_name, suffix_of
from foxvideo.emulator import Emulator
from foxvideo.emulator.videos import stored_video

SHOT = GrokTextToVideo(prompt="A fox trots through snow")

# --- Places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "folder"), [("a", False), ("a.mp4", False), ("a/", True), ("a/b/", True), ("/", True), (Path("a/"), False)]
)
def test_a_folder_ends_with_a_slash(path: str | Path, folder: bool) -> None:
    """A ``pathlib.Path`` has none."""
    target = Target.of(path)

    assert (target.path, target.folder) == (Path(path), folder)


def _file(path: Path) -> None:
    path.write_bytes(b"mine")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _inside(path: Path) -> None:
    path.parent.write_bytes(b"a file, not a folder")


REFUSED: dict[str, tuple[str, Callable[[Path], None], type[Exception]]] = {
    "a file": ("x", _file, FileExistsError),
    "an empty file": ("x", Path.touch, FileExistsError),
    "a folder": ("x", Path.mkdir, IsADirectoryError),
    "a pipe": ("x", os.mkfifo, FileExistsError),
    "a socket": ("x", _socket, FileExistsError),
    "a device": ("x", lambda path: path.symlink_to("/dev/full"), FileExistsError),
    "a dead link": ("x", lambda path: path.symlink_to("nowhere"), FileExistsError),
    "no folder": ("no/such/x", lambda _: None, FileNotFoundError),
    "a file for a folder": ("file/x", _inside, NotADirectoryError),
    "too long": ("x" * 256, lambda _: None, OSError),
    "too long in bytes": ("ü" * 128, lambda _: None, OSError),
    "too deep": ("/".join(["x" * 200] * 25), lambda _: None, OSError),
    "a null": ("x\0y", lambda _: None, ValueError),
    "half a letter": ("x\ud800", lambda _: None, ValueError),
    "here": (".", lambda _: None, IsADirectoryError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_could_not_be_made_is_refused(case: str, tmp_path: Path) -> None:
    """With its path, and what that means for money; nothing is left of the looking."""
    name, make, kind = REFUSED[case]
    path = tmp_path / name
    make(path)
    before = names(tmp_path)

    with pytest.raises(kind, match="nothing was submitted") as caught:
        Target(path, folder=False).check()

    assert ascii(str(path))[1:-1] in str(caught.value) or str(path.parent) in str(caught.value)
    assert names(tmp_path) == before


@pytest.mark.parametrize("name", ["x", "x" * 255, "x" * 250, "ü" * 127, ".x", "-x", "x y.mp4", "x:y", "x\ny"])
def test_a_legal_name_is_none_of_our_business(name: str, tmp_path: Path) -> None:
    """Nothing is left of the looking."""
    Target(tmp_path / name, folder=False).check()

    assert names(tmp_path) == []


@pytest.mark.parametrize("case", ["a file", "a pipe", "a folder", "a device", "a dead link"])
def test_only_a_regular_file_may_be_replaced(case: str, tmp_path: Path) -> None:
    """Whatever was asked for."""
    _, make, kind = REFUSED[case]
    make(tmp_path / "x")
    target = Target(tmp_path / "x", folder=False)

    if case == "a file":
        target.check(may_exist=True)
        target.check(str(tmp_path / "x"))
        with pytest.raises(FileExistsError):
            target.check(str(tmp_path / "y"))
    else:
        with pytest.raises(kind, match="nothing was submitted"):
            target.check(str(tmp_path / "x"), may_exist=True)


FOLDERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a file": ("x", _file),
    "a pipe": ("x", os.mkfifo),
    "a file above it": ("file/x", _inside),
    "a dead link": ("x", lambda path: path.symlink_to("nowhere/else")),
    "too long": ("x" * 256, lambda _: None),
    "a null": ("x\0y", lambda _: None),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_could_not_be_made_is_refused(case: str, tmp_path: Path) -> None:
    """Before anything is paid for."""
    name, make = FOLDERS[case]
    make(tmp_path / name)

    with pytest.raises((OSError, ValueError), match="nothing was submitted"):
        Target(tmp_path / name, folder=True).check()


def test_a_folder_is_made(tmp_path: Path) -> None:
    """With those above it; one that is there already will do."""
    target = Target(tmp_path / "a" / "b", folder=True)

    for _ in range(2):
        target.check()
        assert names(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("folder", [True, False])
def test_a_disk_that_cannot_be_written_is_noticed(
    folder: bool, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rights, read-only, or full."""

    def unable(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(tempfile, "TemporaryFile", unable)

    with pytest.raises(OSError, match=f"{re.escape(os.strerror(error))}; nothing was submitted") as caught:
        Target(tmp_path / "x", folder=folder).check()

    assert caught.value.errno == error


def test_a_disk_without_space_is_noticed(tmp_path: Path) -> None:
    """Though a file can be made there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "wb"))

        with pytest.raises(OSError, match="nothing was submitted") as caught:
            Target(tmp_path / "x", folder=False).check()

    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_is_noticed(tmp_path: Path) -> None:
    """Though it can be read."""
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)

    with pytest.raises(PermissionError, match="nothing was submitted"):
        Target(tmp_path / "x", folder=False).check()


def test_looking_touches_no_download_that_is_under_way(tmp_path: Path) -> None:
    """Nor what one left."""
    for name in (".x.part", ".x.part.json"):
        (tmp_path / name).write_bytes(b"ours")

    Target(tmp_path / "x", folder=False).check()

    assert names(tmp_path) == [".x.part", ".x.part.json"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"ours"}


def test_two_may_look_at_once(tmp_path: Path) -> None:
    """Neither takes the other's looking for a file."""
    target, errors = Target(tmp_path / "x", folder=False), list[Exception]()

    def look() -> None:
        try:
            for _ in range(50):
                target.check()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (errors, names(tmp_path)) == ([], [])


@pytest.mark.parametrize("case", [case for case in REFUSED if case != "too deep"])
async def test_a_place_that_cannot_be_written_costs_nothing(
    case: str, client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """It is looked at before anything is sent."""
    name, make, kind = REFUSED[case]
    make(tmp_path / name)

    with pytest.raises(kind, match="nothing was submitted"):
        await client.generate(SHOT, save_to=tmp_path / name)

    assert fox.ledger.submitted == 0


@pytest.mark.parametrize("case", FOLDERS)
async def test_a_folder_that_cannot_be_written_costs_nothing(case: str, fox: Emulator, tmp_path: Path) -> None:
    """Whether or not somebody waits for the file."""
    name, make = FOLDERS[case]
    make(tmp_path / name)

    async with Client(fox.api_key, fox.base_url, save_to=tmp_path / name) as client:
        with pytest.raises((OSError, ValueError), match="nothing was submitted"):
            client.submit(SHOT)
        with pytest.raises((OSError, ValueError), match="nothing was submitted"):
            await client.generate(SHOT)

    assert fox.ledger.submitted == 0


async def test_a_video_goes_into_a_folder_that_ends_with_a_slash(client: Client, tmp_path: Path) -> None:
    """Under the name of its task; the folder is made."""
    video = await client.generate(SHOT, save_to=f"{tmp_path}/clips/")

    assert (tmp_path / "clips" / f"{video.id}.mp4").read_bytes() == stored_video()


# --- Names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["task-unified-1790000001-k3v9q2ma", "a", "a_b", "0", "task-1790000001-00000001"])
def test_an_id_as_they_are_is_its_own_name(text: str) -> None:
    """So that a file is found by it."""
    assert file_name(text) == text


ALIKE = [
    *("task.1:a", "task-1:a", "task_1.a", "task_1_a", "task 1 a", "task/1/a", "task\\1\\a", "task\0001\0a"),
    *("L" * 130 + end for end in "123"),
    *("l" * 130 + end for end in "123"),
    *("Task-a", "task-a", "TASK-A", "ta\u017fk-a", "tasK-a", "İ", "i̇", "ß", "ss", "ẞ"),
    *("con", "CON", "con.mp4", "nul", "aux", "prn", "com1", "lpt9", "com¹"),
    *("task-a-1", "task-a-2", "task-a", "task-a-1-1"),
    *("é", "e\u0301", "..", ".", "-", "_", "~", "🦊", "", " ", "\ud800"),
]


@pytest.mark.parametrize(
    "text", ["con", "prn", "aux", "nul", "com1", "com9", "lpt0", "a-1", "a-999", "A", "a.b", "ü", ""]
)
def test_any_other_id_has_a_hash_in_its_name(text: str) -> None:
    """Names that Windows keeps for devices too, and those that look like one of several results."""
    assert re.fullmatch(r"[A-Za-z0-9_-]*\.[0-9a-f]{16}", file_name(text))


def test_no_two_ids_share_a_name() -> None:
    """Also where capital letters are not told from small ones, and whatever the numbers of several results are."""
    ids = dict.fromkeys([*ALIKE, *(file_name(text) for text in ALIKE)])
    taken = [name.casefold() for text in ids for name in _all_names(text)]

    assert len(set(taken)) == len(taken)


def _all_names(text: str) -> Iterator[str]:
    name = file_name(text)
    if text not in {file_name(other) for other in ALIKE if other != text}:
        yield f"{name}.mp4"
        yield from (f"{name}-{number}.mp4" for number in range(1, 4))


@given(st.text(max_size=150), st.text(max_size=150))
def test_names_are_one_to_one(first: str, second: str) -> None:
    """And every file system takes them."""
    names_ = [file_name(text) for text in (first, second)]

    assert (first == second) is (names_[0].casefold() == names_[1].casefold())
    for name in names_:
        assert re.fullmatch(r"[A-Za-z0-9_-]{0,100}(\.[0-9a-f]{16})?", name)
        assert len(name) <= 117
        assert not re.fullmatch("(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])", name)


def test_the_hash_of_a_name_is_that_of_its_id() -> None:
    """The same in every run and on every machine."""
    assert file_name("Task") == f"Task.{hashlib.sha256(b'Task').hexdigest()[:16]}"


@pytest.mark.parametrize(
    ("url", "suffix"),
    [
        ("https://a/b.mp4", ".mp4"),
        ("https://a/b.webm?x=.gif#.png", ".webm"),
        ("https://a/b.MOV", ".MOV"),
        ("https://a/b", None),
        ("https://a.mp4", None),
        ("https://a/b.mp4/", None),
        ("https://a/.hidden/b", None),
        ("https://a/b.waytoolong", None),
        ("https://a/b.%2e", None),
        ("https://a/?a.gif", None),
        ("", None),
    ],
)
def test_a_suffix_is_that_of_the_path_of_a_link(url: str, suffix: str | None) -> None:
    """Neither of its host nor of its query."""
    assert suffix_of(url) == suffix

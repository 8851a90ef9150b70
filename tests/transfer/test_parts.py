"""Parts of videos on the disk: locked, noted, and never put together wrong."""

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hosting import mp4, names, names_of
from hypothesis import given, settings, strategies as st

from foxvideo import _locks
from foxvideo._transfer.part import Part, begun, damaged
from foxvideo._transfer.resume import Facts, Interrupted
from foxvideo.media import SavedFile

VIDEO = mp4(bytes(range(256)) * 100)
FACTS = Facts("task-1#0", etag='"v1"', total=len(VIDEO), kind="video/mp4")


def _part(path: Path, source: str = "task-1#0", *, overwrite: bool = False) -> Part:
    return Part(path=path, source=source, overwrite=overwrite)


def _leave(path: Path, facts: Facts = FACTS, has: bytes = VIDEO[:1000]) -> None:
    """Leave a part of a video, as a download that was cut does."""
    part = _part(path, facts.source)
    assert part.open()
    part.begin(facts)
    part.write([has])
    part.close()


def test_a_part_becomes_the_file_when_it_is_whole(tmp_path: Path) -> None:
    """And nothing else is left."""
    part = _part(tmp_path / "fox.mp4")
    assert part.open()
    part.begin(FACTS)
    part.write([VIDEO[:10], VIDEO[10:]])
    assert part.whole

    saved = part.publish()
    part.close()

    assert saved == SavedFile(tmp_path / "fox.mp4", len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert os.fspath(saved) == str(saved) == str(tmp_path / "fox.mp4")
    with open(saved, "rb") as file:  # noqa: PTH123 - it goes wherever a path does
        assert file.read() == VIDEO
    assert names(tmp_path) == ["fox.mp4"]


def test_a_video_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced, then renamed, then the folder is synced."""
    target, sync, happened = tmp_path / "fox.mp4", os.fsync, list[str]()

    def watched(descriptor: int) -> None:
        sync(descriptor)
        synced = os.fstat(descriptor)
        what = "folder" if os.path.samestat(synced, tmp_path.stat()) else f"video of {synced.st_size}"
        happened.append(f"{what}, {'named' if target.exists() else 'hidden'}")

    part = _part(target)
    assert part.open()
    part.begin(FACTS)
    part.write([VIDEO])
    monkeypatch.setattr(os, "fsync", watched)
    part.publish()
    part.close()

    assert happened == [f"video of {len(VIDEO)}, hidden", "folder, named"]


@given(cuts=st.lists(st.integers(0, len(VIDEO)), max_size=5), chunk=st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_a_part_that_is_opened_anew_goes_on_where_it_was(
    cuts: list[int], chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However often, the hash is that of the whole."""
    path = tmp_path_factory.mktemp("video") / "fox.mp4"
    for upto in [*sorted(cuts), len(VIDEO)]:
        part = _part(path)
        assert part.open()
        if not part.size:
            part.begin(FACTS)
        rest = VIDEO[part.size : upto]
        part.write([rest[start : start + chunk] for start in range(0, len(rest), chunk)])
        assert part.size == upto
        saved = part.publish() if upto == len(VIDEO) else None
        part.close()
        if saved:
            break

    assert saved == SavedFile(path, len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert path.read_bytes() == VIDEO
    assert names(path.parent) == ["fox.mp4"]


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "{",
        "[]",
        "null",
        '{"name": "a"}',
        '{"source": "task-1#0", "etag": "\\"v1\\""}',
        '{"name": "b", "facts": {"source": "task-1#0", "etag": "\\"v1\\""}}',
        '{"name": "a", "facts": {"source": "task-1#0"}}',
        '{"name": "a", "facts": {"source": "task-1#0", "etag": "W/\\"weak\\""}}',
        '{"name": "a", "facts": {"source": "task-1#0", "etag": "weak"}}',
        '{"name": "a", "facts": {"source": "task-1#0", "etag": "\\"v1\\"", "total": -1}}',
        '{"name": "a", "facts": {"source": "task-1#0", "etag": "\\"v1\\"", "total": 999}}',
        '{"name": "a", "facts": {"source": "task-1#0", "modified": "a\\r\\nX-Evil: b"}}',
        '{"name": "a", "facts": {"source": "task-1#1", "etag": "\\"v1\\""}}',
    ],
)
def test_a_part_whose_notes_do_not_fit_is_dropped(notes: str, tmp_path: Path) -> None:
    """Also where somebody wrote into them."""
    _leave(tmp_path / "a")
    (tmp_path / ".a.part.json").write_text(notes)
    part = _part(tmp_path / "a")

    assert part.open()

    assert (part.size, part.facts, (tmp_path / ".a.part").stat().st_size) == (0, None, 0)
    part.close()
    assert names(tmp_path) == []


def test_a_part_that_lacks_its_bytes_is_begun_anew(tmp_path: Path) -> None:
    """Notes alone are no video."""
    _leave(tmp_path / "a")
    (tmp_path / ".a.part").unlink()
    part = _part(tmp_path / "a")

    assert part.open()

    assert part.size == 0
    part.close()


def test_only_one_holds_a_part(tmp_path: Path) -> None:
    """Another one of this process comes after it."""
    first, second = _part(tmp_path / "a"), _part(tmp_path / "a")
    assert first.open()
    assert not second.open()
    second.close()

    first.close()

    assert second.open()
    second.close()
    assert names(tmp_path) == []


@pytest.mark.real_clock
def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    """However it died; until then nobody else gets it."""
    code = (
        "import sys; from pathlib import Path\n"
        "from foxvideo._transfer.part import Part; from foxvideo._transfer.resume import Facts\n"
        "part = Part(path=Path(sys.argv[1]), source='task-1#0', overwrite=False); assert part.open()\n"
        "part.begin(Facts('task-1#0', etag='\"v1\"')); part.write([b'video']); print('held', flush=True); input()"
    )
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "a")]
    part = _part(tmp_path / "a")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603 - ours
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert not part.open()
        other.kill()
        other.wait()

    assert part.open()
    assert part.size == 5
    part.close()


def test_a_lock_on_what_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two would each hold a lock, on two files of one name."""
    lock, part = _locks.lock, _part(tmp_path / "a")

    def late(descriptor: int, *, wait: bool) -> bool:
        (tmp_path / ".a.part.json").unlink()
        monkeypatch.setattr(_locks, "lock", lock)
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(_locks, "lock", late)

    assert not part.open()
    assert part.open()
    part.close()


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video is worth more than the lock."""

    def unable(_: int, *, wait: bool) -> bool:
        raise OSError(errno.ENOLCK, f"no locks, {wait=}")

    monkeypatch.setattr(_locks, "lock", unable)
    part = _part(tmp_path / "a")

    assert part.open()
    part.close()


def test_a_part_is_not_written_through_a_link_that_somebody_laid(tmp_path: Path) -> None:
    """Its name can be foreseen."""
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / ".a.part").symlink_to(tmp_path / "precious")
    part = _part(tmp_path / "a")

    with pytest.raises(OSError, match="symbolic link"):
        part.open()
    part.close()

    assert (tmp_path / "precious").read_bytes() == b"mine"


def test_another_file_keeps_the_part_beside_it(tmp_path: Path) -> None:
    """It may still be wanted, with overwrite=True."""
    _leave(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"mine")
    part = _part(tmp_path / "a")

    with pytest.raises(FileExistsError):
        part.open()
    part.close()

    again = _part(tmp_path / "a", overwrite=True)
    assert again.open()
    assert again.size == 1000
    again.close()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.mkdir(), IsADirectoryError),
        (os.mkfifo, FileExistsError),
        (lambda path: path.symlink_to("/dev/null"), FileExistsError),
        (lambda path: path.symlink_to("nowhere"), FileExistsError),
    ],
    ids=["folder", "pipe", "device", "dead link"],
)
def test_what_is_no_regular_file_is_never_replaced(
    make: Callable[[Path], None], kind: type[OSError], *, overwrite: bool, tmp_path: Path
) -> None:
    """Not even if that was asked for."""
    make(tmp_path / "a")
    before = os.lstat(tmp_path / "a")
    part = _part(tmp_path / "a", overwrite=overwrite)

    with pytest.raises(kind):
        part.open()
    part.close()

    assert os.path.samestat(before, os.lstat(tmp_path / "a"))
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("suffix", [".part", ".part.json"])
def test_a_pipe_in_the_place_of_a_hidden_file_holds_up_nobody(suffix: str, tmp_path: Path) -> None:
    """Nor does whoever looks for what was begun."""
    os.mkfifo(tmp_path / f".a{suffix}")
    part = _part(tmp_path / "a")

    with pytest.raises(OSError, match="named pipe"):
        part.open()
    part.close()

    assert begun(tmp_path, "task-1#0") is None


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_links_gets_the_file_all_the_same(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a file that appeared meanwhile is kept there, too."""

    def unable(*_: object) -> None:
        raise OSError(error, "no links")

    monkeypatch.setattr(os, "link", unable)
    (tmp_path / "mine").write_bytes(b"mine")
    part, other = _part(tmp_path / "a"), _part(tmp_path / "mine")
    for one in (part, other):
        one.mends = True  # so that it is not refused at once
        assert one.open()
        one.begin(FACTS)
        one.write([VIDEO])

    part.publish()
    with pytest.raises(FileExistsError):
        other.publish()
    part.close()
    other.close()

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_name_that_cannot_be_given_after_all_is_left_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no links, an empty file kept it meanwhile."""
    part = _part(tmp_path / "a")
    assert part.open()
    part.begin(FACTS)
    part.write([VIDEO])

    def unable(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", unable)
        patch.setattr(Path, "replace", unable)
        with pytest.raises(OSError, match="broken"):
            part.publish()
    part.close()

    assert names(tmp_path) == names_of(tmp_path / "a")


@pytest.mark.parametrize("length", [240, 241, 244, 245, 250, 255])
def test_a_name_that_the_disk_takes_is_long_enough_for_the_hidden_files_too(length: int, tmp_path: Path) -> None:
    """They are called otherwise, if need be; what was begun is found all the same."""
    target = tmp_path / ("k" * (length - 4) + ".mp4")
    _leave(target)

    assert begun(tmp_path, "task-1#0") == target

    part = _part(target)
    assert part.open()
    assert part.size == 1000
    part.write([VIDEO[1000:]])
    assert part.publish().path.read_bytes() == VIDEO
    part.close()
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize("name", ["k" * 250, "ü" * 125, "k.mp4"])
def test_notes_that_name_another_place_are_not_believed(name: str, tmp_path: Path) -> None:
    """They lie in a folder where others may write."""
    for wrong in ("../" + name, "/" + name, ".", ""):
        facts = '{"source": "task-1#0", "etag": "\\"v1\\""}'
        (tmp_path / ".x.part.json").write_text(f'{{"name": "{wrong}", "facts": {facts}}}')
        assert begun(tmp_path, "task-1#0") in {None, tmp_path}


@pytest.mark.parametrize("link", ["before", "after"])
def test_a_process_that_is_killed_while_it_gives_the_name_loses_nothing(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right before, and between the name and the end of the hidden one."""
    path, give = tmp_path / "a", os.link

    def dies(*paths: Path) -> None:
        if link == "after":
            give(*paths)
        raise KeyboardInterrupt

    _leave(path, has=VIDEO)
    killed = _part(path)
    assert killed.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", dies)
        with pytest.raises(KeyboardInterrupt):
            killed.publish()
    os.close(killed._notes)  # which a dead process does not clear away

    part = _part(path)
    assert part.open()
    assert part.whole
    saved = part.publish()
    part.close()

    assert saved == SavedFile(path, len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert path.read_bytes() == VIDEO
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("has", [VIDEO[:-1], b"<html>", b"", bytes(2000)])
@pytest.mark.parametrize("total", [None, 5])
def test_what_is_no_whole_video_is_no_file(has: bytes, total: int | None, tmp_path: Path) -> None:
    """It is kept only where the rest may follow: as long as nobody told how long it is."""
    part = _part(tmp_path / "a")
    assert part.open()
    part.begin(attrs.evolve(FACTS, total=total))
    part.write([has])

    with pytest.raises(Interrupted):
        part.check()

    assert part.size == (len(has) if has == VIDEO[:-1] and total is None else 0)
    part.write([VIDEO[part.size :]])
    assert part.size == len(VIDEO)
    part.close()


@pytest.mark.parametrize(
    ("content", "is_damaged"),
    [(VIDEO, False), (b"\1\2\3" * 99, False), (None, False), (b"", True), (VIDEO[:-1], True), (b"words", False)],
)
def test_a_video_that_was_damaged_later_is_told_from_one_that_somebody_made_of_it(
    content: bytes | None, is_damaged: bool, tmp_path: Path
) -> None:
    """Emptied or cut, say."""
    if content is not None:
        (tmp_path / "a").write_bytes(content)

    assert damaged(tmp_path / "a") is is_damaged


def test_what_was_begun_in_a_folder_is_found_by_its_video(tmp_path: Path) -> None:
    """Among others, and among what cannot be read."""
    _leave(tmp_path / "fox.mp4")
    _leave(tmp_path / "kite.mp4", Facts("task-2#0", etag='"v1"'))
    (tmp_path / ".broken.part.json").write_text("{")
    (tmp_path / ".folder.part.json").mkdir()

    assert begun(tmp_path, "task-1#0") == tmp_path / "fox.mp4"
    assert begun(tmp_path, "task-2#0") == tmp_path / "kite.mp4"
    assert begun(tmp_path, "task-3#0") is None
    assert begun(tmp_path / "missing", "task-1#0") is None


def test_hashing_can_be_left_early(tmp_path: Path) -> None:
    """What is on the disk stays."""
    _leave(tmp_path / "a")
    part = _part(tmp_path / "a")
    part.stopped = True

    assert part.open()
    part.close()

    assert (tmp_path / ".a.part").stat().st_size == 1000


def test_a_length_that_was_told_is_not_told_anew(tmp_path: Path) -> None:
    """The first word counts; before any there is nothing to learn."""
    part = _part(tmp_path / "a")
    part.learn(5)
    assert part.total is None

    assert part.open()
    part.begin(Facts("task-1#0"))
    part.learn(5)
    part.learn(6)
    assert part.total == 5
    part.close()

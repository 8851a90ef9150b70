"""Parts of films on the disk: locked, noted, and never put together wrong."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from foxvideo._transfer import part as parts
from foxvideo._transfer.part import Part, SavedFile, begun
from foxvideo._transfer.resume import Facts

FILM = bytes(range(256)) * 100
FACTS = Facts("task-1#0", etag='"v1"', total=len(FILM), kind="video/mp4")


def _part(path: Path, source: str = "task-1#0", *, overwrite: bool = False) -> Part:
    return Part(path=path, source=source, overwrite=overwrite)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _leave(path: Path, facts: Facts = FACTS, has: bytes = FILM[:1000]) -> None:
    """Leave a part of a film, as a download that was cut does."""
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
    part.write([FILM[:10], FILM[10:]])
    assert part.whole

    saved = part.publish()
    part.close()

    assert saved == SavedFile(tmp_path / "fox.mp4", len(FILM), hashlib.sha256(FILM).hexdigest())
    assert os.fspath(saved) == str(saved) == str(tmp_path / "fox.mp4")
    with open(saved, "rb") as file:  # noqa: PTH123 - it goes wherever a path does
        assert file.read() == FILM
    assert _names(tmp_path) == ["fox.mp4"]


def test_a_film_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced, then renamed, then the folder is synced."""
    target, sync, happened = tmp_path / "fox.mp4", os.fsync, list[str]()

    def watched(descriptor: int) -> None:
        sync(descriptor)
        synced = os.fstat(descriptor)
        what = "folder" if os.path.samestat(synced, tmp_path.stat()) else f"film of {synced.st_size}"
        happened.append(f"{what}, {'named' if target.exists() else 'hidden'}")

    part = _part(target)
    assert part.open()
    part.begin(FACTS)
    part.write([FILM])
    monkeypatch.setattr(os, "fsync", watched)
    part.publish()
    part.close()

    assert happened == [f"film of {len(FILM)}, hidden", "folder, named"]


@given(cuts=st.lists(st.integers(0, len(FILM)), max_size=5), chunk=st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_a_part_that_is_opened_anew_goes_on_where_it_was(
    cuts: list[int], chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However often, the hash is that of the whole."""
    path = tmp_path_factory.mktemp("film") / "fox.mp4"
    for upto in [*sorted(cuts), len(FILM)]:
        part = _part(path)
        assert part.open()
        if not part.size:
            part.begin(FACTS)
        rest = FILM[part.size : upto]
        part.write([rest[start : start + chunk] for start in range(0, len(rest), chunk)])
        assert part.size == upto
        saved = part.publish() if upto == len(FILM) else None
        part.close()
        if saved:
            break

    assert saved == SavedFile(path, len(FILM), hashlib.sha256(FILM).hexdigest())
    assert path.read_bytes() == FILM
    assert _names(path.parent) == ["fox.mp4"]


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "{",
        "[]",
        "null",
        '{"source": "task-1#0"}',
        '{"source": "task-1#0", "etag": "W/weak"}',
        '{"source": "task-1#0", "etag": "\\"v1\\"", "total": -1}',
        '{"source": "task-1#0", "etag": "\\"v1\\"", "total": 999}',
        '{"source": "task-1#0", "modified": "a\\r\\nX-Evil: b"}',
        '{"source": "task-1#1", "etag": "\\"v1\\""}',
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
    assert _names(tmp_path) == []


def test_a_part_that_lacks_its_bytes_is_begun_anew(tmp_path: Path) -> None:
    """Notes alone are no film."""
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
    assert _names(tmp_path) == []


@pytest.mark.real_clock
def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    """However it died; until then nobody else gets it."""
    code = (
        "import sys; from pathlib import Path\n"
        "from foxvideo._transfer.part import Part; from foxvideo._transfer.resume import Facts\n"
        "part = Part(path=Path(sys.argv[1]), source='task-1#0', overwrite=False); assert part.open()\n"
        "part.begin(Facts('task-1#0', etag='\"v1\"')); part.write([b'film']); print('held', flush=True); input()"
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
    assert part.size == 4
    part.close()


def test_a_lock_on_what_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two would each hold a lock, on two files of one name."""
    lock, part = parts._lock, _part(tmp_path / "a")

    def late(descriptor: int) -> None:
        (tmp_path / ".a.part.json").unlink()
        monkeypatch.setattr(parts, "_lock", lock)
        lock(descriptor)

    monkeypatch.setattr(parts, "_lock", late)

    assert not part.open()
    assert part.open()
    part.close()


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film is worth more than the lock."""

    def unable(_: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(parts, "_lock", unable)
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


def test_an_existing_file_keeps_the_part_beside_it(tmp_path: Path) -> None:
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


def test_what_was_begun_in_a_folder_is_found_by_its_film(tmp_path: Path) -> None:
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

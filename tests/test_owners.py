"""A lock file tells whether an owner lives, and is never taken from one who does."""

import os
from pathlib import Path

import pytest

from foxvideo._journal import owners


def test_an_owner_lives_as_long_as_it_holds_its_lock(tmp_path: Path) -> None:
    """The file of one who has died is removed by whoever looks first."""
    path = owners.path_of(tmp_path / "videos.db", "one")
    assert not owners.lives(path)
    descriptor = owners.hold(path)
    assert owners.lives(path)
    os.close(descriptor)
    assert not owners.lives(path)
    assert not path.exists()


def test_a_lock_that_has_just_been_made_anew_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who looks may have opened the file that was there before, whose lock is free."""
    path = owners.path_of(tmp_path / "videos.db", "one")
    path.touch()
    held: list[int] = []
    open_file = os.open

    def opened(name: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = open_file(name, flags, mode)
        if not held:
            held.append(-1)
            path.unlink()
            held[0] = owners.hold(path)
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    assert owners.lives(path)
    assert path.exists()
    os.close(held[0])


def test_a_file_that_was_swept_while_it_was_being_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody took it for a dead owner's."""
    path = owners.path_of(tmp_path / "videos.db", "one")
    open_file = os.open
    opened_once: list[int] = []

    def opened(name: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = open_file(name, flags, mode)
        if not opened_once:
            opened_once.append(descriptor)
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    descriptor = owners.hold(path)
    assert owners.lives(path)
    os.close(descriptor)


def test_the_locks_of_the_dead_are_swept(tmp_path: Path) -> None:
    """Those of this journal, whatever its name; not those of another, nor one that is held."""
    journal = tmp_path / "a[1]*.db"
    dead, other = owners.path_of(journal, "dead"), owners.path_of(tmp_path / "a1b.db", "dead")
    for path in (dead, other):
        path.touch()
    living = owners.path_of(journal, "living")
    descriptor = owners.hold(living)
    owners.sweep(journal)
    assert sorted(tmp_path.iterdir()) == sorted([living, other])
    os.close(descriptor)

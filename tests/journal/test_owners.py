"""A lock file tells whether an owner lives, and is never taken from one who does."""

import os
from pathlib import Path

import pytest

from foxvideo import _locks
from foxvideo._journal import owners


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock of an owner lies."""
    return owners.path_of(tmp_path / "videos.db", owners.new_name())


def test_an_owner_lives_as_long_as_it_holds_its_lock(path: Path) -> None:
    """The file of one who has died is removed by whoever looks first."""
    assert not owners.lives(path)
    descriptor = owners.hold(path)
    assert owners.lives(path)
    _locks.release(descriptor)
    assert path.exists()
    assert not owners.lives(path)
    assert not path.exists()


def test_an_owner_that_goes_takes_its_file_along(path: Path) -> None:
    """Unless another file lies there by now, which is not its own."""
    owners.drop(owners.hold(path), path)
    assert not path.exists()
    descriptor = owners.hold(path)
    path.unlink()
    path.touch()
    owners.drop(descriptor, path)
    assert path.exists()


def test_a_lock_that_has_just_been_made_anew_is_not_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who looks may have opened the file that was there before, whose lock is free."""
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
    _locks.release(held[0])


def test_a_file_that_is_removed_while_it_is_looked_at_was_a_dead_owners(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another looked first."""
    path.touch()
    open_file = os.open

    def opened(name: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = open_file(name, flags, mode)
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    assert not owners.lives(path)


def test_an_owner_whose_lock_may_not_be_opened_counts_as_living(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another user's; to take the living for dead would cost money."""
    path.touch()

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert owners.lives(path)


def test_the_locks_of_the_dead_are_swept(tmp_path: Path) -> None:
    """Those of this journal, whatever its name; not another's, nor one that is held, nor what only looks like one."""
    journal, dead = tmp_path / "a[1]*.db", "d" * 32
    stay = [
        owners.path_of(tmp_path / "a1b.db", dead),
        owners.path_of(journal, "mine"),
        owners.path_of(journal, "D" * 32),
    ]
    for path in (owners.path_of(journal, dead), *stay):
        path.touch()
    (folder := owners.path_of(journal, "f" * 32)).mkdir()
    living = owners.path_of(journal, owners.new_name())
    descriptor = owners.hold(living)
    owners.sweep(journal)
    assert sorted(tmp_path.iterdir()) == sorted([living, folder, *stay])
    _locks.release(descriptor)

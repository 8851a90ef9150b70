"""Where a video goes: looked at before it is paid for, named in one step, and never over a file that is not ours.

Everything here blocks, and runs in a thread.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import NoReturn, Self

import attrs

from foxvideo._transfer.content import reading, special

PART, NOTES = ".part", ".part.json"
_TEST = ".part.test"  # as long as the longest of them, and nobody's else, so that no lock is disturbed
_LONGEST_NAME = 255  # bytes, where a file system does not tell
_PIECE = 1 << 20
_PROBE = b"\0" * 4096
_NOTHING = "nothing was submitted"


_SAFE = re.compile(r"[a-z0-9_-]{1,100}")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
_NUMBERED = re.compile(r".*-[1-9][0-9]{0,2}")
_LINK = re.compile(r"\w+://[^/?#]+/[^?#]*(\.[A-Za-z0-9]{1,8})([?#].*)?", re.DOTALL)


def file_name(text: str) -> str:
    """Return a text as a name, without a suffix, that every file system takes, and that no other text has.

    Where the name is not the text itself, a hash of it follows behind a dot: also for capital letters, which many file
    systems do not tell from small ones, for names that Windows keeps for devices, and for what looks like the name of
    one of several results.
    """
    if _SAFE.fullmatch(text) and not _RESERVED.fullmatch(text) and not _NUMBERED.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', text)[:100]}.{digest[:16]}"


def suffix_of(url: str) -> str | None:
    """Return the suffix of the file that a link leads to, with its dot; None where it has none."""
    found = _LINK.fullmatch(url)
    return found[1] if found else None


@attrs.frozen
class Target:
    """Where the results of a task go.

    Attributes:
        path: A file for the first result, or a folder for all of them.
        folder: Whether it is a folder, which is made.
    """

    path: Path
    folder: bool

    @classmethod
    def of(cls, path: "str | os.PathLike[str]") -> Self:
        """Return the target that a path names: a folder where it ends with a slash, else a file."""
        text = os.fspath(path)
        return cls(Path(text), folder=text.endswith(tuple(filter(None, (os.sep, os.altsep)))))

    def check(self, known: str | None = None, *, may_exist: bool = False) -> None:
        """Refuse a place that could not be written, before it costs anything; makes the folder.

        Args:
            known: The absolute path under which the task's video was saved before; None for none.
            may_exist: Whether any regular file may lie there: it is to be replaced, or may be the video of a task that
                exists already.

        Raises:
            OSError: The folder cannot be made or written, or has no space; the name is too long; something else than a
                regular file lies there; or a file does that is not the known one (``FileExistsError``).
            ValueError: The path cannot be one.
        """
        try:
            text = os.fsencode(self.path)
        except ValueError as error:
            raise ValueError(f"{str(self.path)!r} cannot be a path; {_NOTHING}: {error}") from None
        if b"\0" in text:
            raise ValueError(f"{str(self.path)!r} has a null character; {_NOTHING}")
        try:
            self._check(known, may_exist=may_exist)
        except OSError as error:
            _refuse(error, self.path)

    def _check(self, known: str | None, *, may_exist: bool) -> None:
        if self.folder:
            if self.path.exists() and not self.path.is_dir():
                raise NotADirectoryError(f"{self.path} is no folder")
            self.path.mkdir(parents=True, exist_ok=True)
            _probe(self.path)
            return
        there = looked_at(self.path)
        if there is not None and not may_exist and str(self.path.absolute()) != known:
            raise FileExistsError(f"{self.path} exists")
        folder = self.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        _probe(folder)
        _probe_name(hidden(self.path, _TEST))


def _refuse(error: OSError, path: Path) -> NoReturn:
    """Raise an error once more that says what was wanted, and what it means for money."""
    told = error.strerror or str(error)
    named = told if str(path) in told or str(path.parent) in told else f"{path}: {told}"
    refused = type(error)(f"{named}; {_NOTHING}")
    refused.errno = error.errno
    raise refused from error


def _probe(folder: Path) -> None:
    """Make sure that files can be made and filled in a folder."""
    with tempfile.TemporaryFile(dir=folder, prefix=".foxvideo-") as file:
        file.write(_PROBE)
        file.flush()


def _probe_name(path: Path) -> None:
    """Make sure that a file can have a name, without touching one that has it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink(missing_ok=True)


def hidden(path: Path, suffix: str) -> Path:
    """Return a file that lies beside a target while that is not whole.

    Its name says what it is for, unless that would make it longer than the file system allows.
    """
    name = f".{path.name}"
    if len(os.fsencode(f"{name}{NOTES}")) > _longest_name(path.parent):
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}"
    return path.with_name(f"{name}{suffix}")


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has no such question, some systems no answer
        return _LONGEST_NAME


def looked_at(target: Path) -> int | None:
    """Return the size of the file at a target; None where nothing lies there.

    Raises:
        IsADirectoryError: A folder does.
        FileExistsError: Something lies there that no video may replace: a pipe, a device, a link to nowhere.
    """
    try:
        found = target.stat()
    except FileNotFoundError:
        if target.is_symlink():
            raise FileExistsError(f"{target} is a link to nowhere") from None
        return None
    if (kind := special(found.st_mode)) is None:
        return found.st_size
    error = IsADirectoryError if kind == "a folder" else FileExistsError
    raise error(f"{target} is {kind}, not a regular file")


def exists(target: Path) -> FileExistsError:
    """Return the error that another file lies at a target."""
    return FileExistsError(f"{target} exists, and is another file; pass overwrite=True to replace it")


def same_bytes(target: Path, part: Path) -> int | None:
    """Return how many bytes a file has that all are those of a part; None where one is not."""
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(reading(path)) for path in (target, part))
        size = 0
        while piece := one.read(_PIECE):
            if piece != other.read(len(piece)):
                return None
            size += len(piece)
        return size


def rename_new(path: Path, target: Path) -> None:
    """Give a file another name, which nobody has, in one step.

    Raises:
        FileExistsError: Something has that name.
    """
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: an empty file keeps the name for this one
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            path.replace(target)
        except OSError:
            target.unlink()
            raise
    else:
        path.unlink()

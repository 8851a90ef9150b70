"""The standard streams that a command was started with: closed, narrow, full, or left by their reader."""

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import platformdirs
import pytest
from commanding import served
from journals import claiming

from foxvideo._journal import SqliteStore
from foxvideo.cli import streams
from foxvideo.cli.journal import place

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors and locales are those of POSIX")

# Closes what the first argument names, then is the command that follows.
CLOSING = "import os, sys; [os.close(int(n)) for n in sys.argv[1]]; os.execv(sys.argv[2], sys.argv[2:])"
KEY = "\u72d0\u72f8 \U0001f98a"


def run(
    folder: Path, *words: str, closed: str = "", stdout: int = subprocess.PIPE, **env: str
) -> tuple[int, bytes, str]:
    """Run a command in a process of its own; return its exit code and what it wrote on both streams."""
    command = [sys.executable, "-c", CLOSING, closed, sys.executable, "-m", "foxvideo", *words]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, env=os.environ | env, timeout=60, check=False
    )
    return done.returncode, done.stdout or b"", done.stderr.decode(errors="replace")


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    """A journal with a key that few encodings hold."""
    path = tmp_path / "videos.db"
    async with SqliteStore(path) as store:
        await store.claim(claiming(key=KEY))
    return path


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_a_closed_stream_is_nobody(closed: str, journal: Path) -> None:
    """Whatever is opened next would get its number: what is printed would be written into the journal."""
    before = journal.read_bytes()
    code, out, said = run(journal.parent, "tasks", "--journal", str(journal), closed=closed)
    assert (code, "Traceback" in said) == (0, False)
    assert bool(out) is ("1" not in closed)
    assert journal.read_bytes()[:100] == before[:100]  # the header of SQLite


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", KEY.encode()),
        *((name, KEY.encode("ascii", "backslashreplace")) for name in ("cp1252", "latin-1", "koi8-r")),
    ],
)
def test_letters_that_an_encoding_lacks_are_escaped(encoding: str, shown: bytes, journal: Path) -> None:
    """A locale of another time costs some letters, and no traceback behind a paid task."""
    code, out, _ = run(journal.parent, "tasks", "--journal", str(journal), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert code == 0
    assert shown in out


@pytest.mark.parametrize(
    ("text", "written"), [("a\udcff.mp4", b"a\xff.mp4"), ("a\ud800", b"a\\ud800"), ("é", b"\xc3\xa9")]
)
def test_the_name_of_a_file_is_printed_byte_by_byte(text: str, written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a shell finds the file; what is no text and no bytes either is escaped."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    streams.prepare()
    stream.write(text)
    stream.flush()
    assert stream.buffer.getvalue() == written


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """As with ``foxvideo models | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        _, _, said = run(tmp_path, "models", stdout=writer)
    finally:
        os.close(writer)
    assert said == ""


def test_a_video_is_saved_though_nobody_reads_how_far_it_is(tmp_path: Path) -> None:
    """The words about a paid task are worth less than the task."""
    reader, writer = os.pipe()
    os.close(reader)
    with served(seconds=0.1) as fox:
        env = os.environ | {"FOXAPI_API_KEY": fox.api_key, "FOXAPI_BASE_URL": fox.base_url, "FOXVIDEO_JOURNAL": "v.db"}
        command = [sys.executable, "-m", "foxvideo", "generate", "A fox", "-o", "fox.mp4"]
        done = subprocess.run(command, cwd=tmp_path, stderr=writer, env=env, timeout=60, check=False)  # noqa: S603
    os.close(writer)
    assert done.returncode == 0
    assert (tmp_path / "fox.mp4").stat().st_size > 0


@pytest.mark.parametrize("home", ["~/.local/share/foxvideo", "data/foxvideo", None])
def test_without_a_home_the_journal_must_be_named(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each folder would have one of its own, and the same key would be bought in each."""

    def data(*_: object, **__: object) -> Path:
        if home is None:
            raise RuntimeError("could not determine the home directory")
        return Path(home)

    monkeypatch.delenv("FOXVIDEO_JOURNAL", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", data)
    with pytest.raises(click.UsageError, match=r"no home folder .* --journal or FOXVIDEO_JOURNAL"):
        place(None)
    assert place(Path("mine.db")) == Path("mine.db")
    monkeypatch.setenv("FOXVIDEO_JOURNAL", "named.db")
    assert place(None) == Path("named.db")

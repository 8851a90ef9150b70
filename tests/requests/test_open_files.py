"""Files that are open, and whatever else holds bytes, go where bytes go: read as the request is made."""

import asyncio
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from foxvideo import Client, GrokImageToVideo, InvalidRequest, Request, grok
from foxvideo.emulator import Emulator

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)


def _spooled(_: Path) -> IO[bytes]:
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=10)  # noqa: SIM115 - the test closes it
    file.write(PICTURE)  # and stands at its end, as after an upload
    return file


def _named(_: Path) -> IO[bytes]:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - as above
    file.write(PICTURE)
    return file


class _Pipe(io.RawIOBase):
    """Bytes that come once."""

    def __init__(self) -> None:
        super().__init__()
        self.left = PICTURE

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - typeshed's
        """Give what is left."""
        piece, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


HOLDERS: dict[str, Callable[[Path], Any]] = {
    "an open file": lambda path: path.open("rb"),
    "an unbuffered file": lambda path: path.open("rb", buffering=0),
    "bytes in memory": lambda _: io.BytesIO(PICTURE),
    "the upload of a web framework": _spooled,
    "a temporary file": _named,
    "a pipe": lambda _: io.BufferedReader(_Pipe()),
    "a bytearray": lambda _: bytearray(PICTURE),
    "a memoryview": lambda _: memoryview(PICTURE),
}


@pytest.fixture(params=HOLDERS)
def holder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:  # noqa: ANN401 - of any kind
    """Make something that holds a picture."""
    (tmp_path / "cat.png").write_bytes(PICTURE)
    return HOLDERS[request.param](tmp_path / "cat.png")


async def test_what_holds_bytes_is_uploaded_as_they_are(holder: Any, fox: Emulator, client: Client) -> None:  # noqa: ANN401
    """Though it is closed before the upload begins."""
    task = client.submit(GrokImageToVideo(prompt="A cat", image_url=holder))
    if hasattr(holder, "close"):
        holder.close()
    await task
    (record,) = fox.ledger.tasks.values()
    async with httpx.AsyncClient() as service:
        assert (await service.get(str(record.body["image_url"]))).content == PICTURE


def test_a_file_stays_where_it_stood(tmp_path: Path) -> None:
    """Its whole content is taken, wherever that is."""
    (tmp_path / "cat.png").write_bytes(PICTURE)
    with (tmp_path / "cat.png").open("rb") as file:
        file.seek(20)
        request = Request("any-model", images=[{"url": file}], first=file)
        assert file.tell() == 20
    assert request.fields == {"images": [{"url": PICTURE}], "first": PICTURE}


def test_the_same_content_is_the_same_request() -> None:
    """And no later change of it changes the request."""
    changing = bytearray(PICTURE)
    request = grok(prompt="A cat", image_url=changing)
    changing[:] = b"x"
    assert request == grok(prompt="A cat", image_url=io.BytesIO(PICTURE)) == grok(prompt="A cat", image_url=PICTURE)


class _Upload:
    """As Starlette has it: its ``read`` is a coroutine."""

    async def read(self) -> bytes:
        """Read."""
        return PICTURE


def _closed() -> Any:  # noqa: ANN401 - as a caller would give it
    file = io.BytesIO(PICTURE)
    file.close()
    return file


WRONG: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.open(encoding="latin-1"),
    "closed": lambda _: _closed(),
    "awaited": lambda _: _Upload(),
    "written": lambda path: path.with_name("new").open("wb"),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("checked", [True, False])
async def test_a_file_that_gives_no_bytes_is_refused_by_name(
    make: Callable[[Path], Any], checked: bool, tmp_path: Path, client: Client, fox: Emulator
) -> None:
    """Before anything is sent, with what to pass instead."""
    (tmp_path / "cat.png").write_bytes(PICTURE)
    file = make(tmp_path / "cat.png")
    with pytest.raises(InvalidRequest, match=r"image_url.*open\(path, 'rb'\)"):
        client.submit(GrokImageToVideo(prompt="A cat", image_url=file), check=checked)
    if hasattr(file, "close"):
        file.close()
    await asyncio.sleep(1)
    assert (fox.ledger.submitted, fox.ledger.uploaded) == (0, 0)


async def test_an_open_file_is_uploaded_by_its_verb_too(client: Client, fox: Emulator) -> None:
    """As a path is."""
    assert await client.upload(io.BytesIO(PICTURE)) == await client.upload(PICTURE)
    with pytest.raises(TypeError, match="media"):
        await client.upload(io.StringIO("A cat"))  # type: ignore[arg-type]
    assert fox.ledger.uploaded == 1

"""What local files hold: read without hanging, and held against what they were named by."""

import asyncio
import contextlib
import hashlib
import os
import pickle
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from foxvideo import Client, FoxError, GrokImageToVideo, UploadError
from foxvideo._transfer.content import PIECE, Content, digest, open_regular, saved_file
from foxvideo.emulator import Emulator
from foxvideo.media import Pinned, SavedFile

BIG = bytes(range(256)) * 4000
OLD, NEW = b"the old picture", b"the new picture"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _linked_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


NO_FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": _socket,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a pipe": _linked_pipe,
    "a link to itself": _loop,
    "nothing": lambda _: None,
}
WAYS: dict[str, Callable[[Path], object]] = {
    "digest": digest,
    "content": Content.of,
    "pinned": lambda path: digest(Pinned(path, _sha256(OLD))),
    "a piece": lambda path: Content(path, 10, "", b"").piece(0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", NO_FILES)
def test_what_is_no_regular_file_is_refused_and_holds_up_nobody(case: str, way: str, tmp_path: Path) -> None:
    """A pipe that nobody writes to would, for ever."""
    NO_FILES[case](tmp_path / "x")

    with pytest.raises(UploadError, match="could not read") as caught:
        WAYS[way](tmp_path / "x")

    assert repr(str(tmp_path / "x")) in caught.value.what
    assert caught.value.submitted == "no"


def test_what_becomes_a_pipe_at_the_last_moment_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and opening."""
    path, opens = tmp_path / "x", os.open
    path.write_bytes(OLD)

    def late(*args: Any) -> int:  # noqa: ANN401 - as it is called
        path.unlink()
        os.mkfifo(path)
        return opens(*args)

    monkeypatch.setattr(os, "open", late)

    with pytest.raises(OSError, match="a named pipe, not a regular file"):
        open_regular(path)


@pytest.mark.parametrize("content", [b"", b"x", BIG[: PIECE - 1], BIG[:PIECE], BIG])
def test_the_digest_of_media_is_that_of_their_content(content: bytes, tmp_path: Path) -> None:
    """Read piece by piece."""
    path = tmp_path / "a"
    path.write_bytes(content)

    assert digest(path) == digest(content) == digest(Pinned(path, _sha256(content))) == _sha256(content)
    assert saved_file(path) == SavedFile(path, len(content), _sha256(content))
    found = Content.of(path)
    assert b"".join(found.piece(offset) for offset in range(0, len(content), PIECE)) == content


def test_a_pinned_file_goes_wherever_a_path_does(tmp_path: Path) -> None:
    """Also through a pickle."""
    pinned = Pinned(tmp_path / "a", _sha256(OLD))
    Path(pinned).write_bytes(OLD)

    assert (os.fspath(pinned), str(pinned)) == (str(tmp_path / "a"), str(tmp_path / "a"))
    assert pickle.loads(pickle.dumps(pinned)) == pinned  # noqa: S301 - our own
    assert len({pinned, Pinned(str(tmp_path / "a"), _sha256(OLD))}) == 1


@pytest.mark.parametrize("expected", [None, _sha256(OLD)], ids=["pinned", "expected"])
def test_a_file_that_holds_something_else_by_now_is_refused(expected: str | None, tmp_path: Path) -> None:
    """Whoever named it has to name it anew."""
    (tmp_path / "a").write_bytes(NEW)
    media = tmp_path / "a" if expected else Pinned(tmp_path / "a", _sha256(OLD))

    with pytest.raises(UploadError, match="changed since its task was described") as caught:
        Content.of(media, expected=expected)

    assert caught.value.submitted == "no"


# --- What is bought is what was asked for --------------------------------------------------------------------------


async def _replaced_before(path: Path, _: Awaitable[object]) -> None:
    path.write_bytes(NEW)


async def _gone_before(path: Path, _: Awaitable[object]) -> None:
    path.unlink()


async def _pipe_before(path: Path, _: Awaitable[object]) -> None:
    path.unlink()
    os.mkfifo(path)


REPLACED = {"replaced": _replaced_before, "gone": _gone_before, "a pipe": _pipe_before}


@pytest.mark.parametrize("how", REPLACED)
async def test_a_pinned_picture_that_is_replaced_is_not_bought(how: str, tmp_path: Path) -> None:
    """Also while it waits for its turn to be uploaded, and with a name of its own or without."""
    async with Emulator(render=False, latency=1.0) as fox:
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db") as client:
            others = [asyncio.create_task(client.upload(bytes([number]))) for number in range(8)]
            path = tmp_path / "cat.png"
            path.write_bytes(OLD)
            shot = GrokImageToVideo(prompt="It goes on", image_url=Pinned(path, _sha256(OLD)))
            waiting = [
                asyncio.create_task(client.generate(shot, key=key, timeout=60 if key else 61)) for key in ("a", None)
            ]
            await asyncio.sleep(0.5)
            await REPLACED[how](path, asyncio.gather(*others))
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.gather(*others)

        assert [type(end) for end in ends] == [UploadError, UploadError]
        assert [getattr(end, "submitted", None) for end in ends] == ["no", "no"]
        assert (fox.ledger.submitted, fox.ledger.charged) == (0, 0)


async def test_a_picture_that_is_replaced_after_its_key_was_named_is_not_bought(tmp_path: Path) -> None:
    """The key stands for the old one, so that the old one can be bought under it later."""
    path = tmp_path / "cat.png"
    path.write_bytes(OLD)
    shot = GrokImageToVideo(prompt="It goes on", image_url=path)
    async with Emulator(render=False, latency=1.0) as fox:
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db") as client:
            others = [asyncio.create_task(client.upload(bytes([number]))) for number in range(8)]
            task = client.submit(shot, key="shot-17")
            await asyncio.sleep(0.5)
            path.write_bytes(NEW)
            with pytest.raises(UploadError, match="changed"):
                await task
            assert fox.ledger.charged == 0

            path.write_bytes(OLD)
            await client.generate(shot, key="shot-17")
            await asyncio.gather(*others)

        assert fox.ledger.charged == 1


def test_reading_holds_the_file_no_longer_than_it_reads(tmp_path: Path) -> None:
    """No descriptor is left, however often it fails."""
    os.mkfifo(tmp_path / "x")
    (tmp_path / "y").write_bytes(NEW)
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 - the system's

    for _ in range(20):
        for media in (tmp_path / "x", Pinned(tmp_path / "y", _sha256(OLD))):
            with pytest.raises(UploadError):
                digest(media)

    assert len(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208 - the system's
    assert threading.active_count() <= threads  # one of another test may have ended meanwhile


@pytest.mark.parametrize("key", [None, "shot-1"])
@pytest.mark.parametrize("content", [b"", b"<html>403 Forbidden</html>", bytes(100)])
async def test_a_picture_that_is_none_is_refused_before_anything_is_sent(
    content: bytes, key: str | None, tmp_path: Path
) -> None:
    """With a key and without, from a file and from memory; who knows better says so."""
    (tmp_path / "cat.png").write_bytes(content)
    async with (
        Emulator(seconds=0.1, render=False) as fox,
        Client(fox.api_key, fox.base_url, journal=tmp_path / "v.db") as client,
    ):
        for picture in (content, tmp_path / "cat.png"):
            with pytest.raises(UploadError, match="not a picture, video or sound") as caught:
                await client.generate(GrokImageToVideo(prompt="Go", image_url=picture), key=key)
            assert caught.value.submitted == "no"
        assert fox.ledger.submitted == 0
        with contextlib.suppress(FoxError):  # whatever the service makes of it
            await client.generate(GrokImageToVideo(prompt="Go", image_url=content), key=key, check=False)
        assert fox.ledger.submitted == 1

"""How long a download waits: for a host that drips, or asks to wait, and for a link that does not work yet."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import web
from hosting import VIDEO, Host, Reply, begins, gives_video, names, now, save, says

from foxvideo import DownloadError, ResultExpired
from foxvideo._http import Transport

HOUR = 3600.0
LENGTH = str(len(VIDEO))


# --- Every wait ends -----------------------------------------------------------------------------------------------


async def test_a_stall_is_noticed_after_a_minute(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A video that comes slowly may take its time, one that stands still may not."""
    host.answers = [begins(VIDEO[:1000], Content_Length=LENGTH), gives_video]
    began = now()

    await save(transport, host.link, tmp_path / "a")

    assert 60.0 <= now() - began < 63.0


def _drips(size: int, pause: float, **headers: str) -> Reply:
    """Return what sends a video piece by piece."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4", **headers})
        await response.prepare(request)
        for start in range(0, len(VIDEO), size):
            await asyncio.sleep(pause)
            await response.write(VIDEO[start : start + size])
        return response

    return answer


async def test_a_video_may_come_slowly(host: Host, transport: Transport, tmp_path: Path) -> None:
    """As long as 64 KiB of it come in a minute."""
    host.answers = [_drips(66_000, 55.0)]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert len(host.heard) == 1


async def _bytewise(request: web.Request) -> web.StreamResponse:
    """Send one byte more of what is asked for, and hang up."""
    first = int(request.headers.get("Range", "bytes=0-")[6:-1])
    headers = {"ETag": '"v1"', "Content-Range": f"bytes {first}-{len(VIDEO) - 1}/{len(VIDEO)}"}
    response = web.StreamResponse(status=206 if first else 200, headers={"Content-Type": "video/mp4", **headers})
    response.content_length = len(VIDEO) - first
    await response.prepare(request)
    await response.write(VIDEO[first : first + 1])
    request.protocol.force_close()
    return response


DRIPS = {
    "a byte now and then": _drips(1, 10.0),
    "a byte now and then, of a host that knows ranges": _drips(1, 10.0, ETag='"v1"', **{"Content-Length": LENGTH}),
    "half of what is enough": _drips(30_000, 59.0),
    "a byte in each attempt": _bytewise,
}


@pytest.mark.parametrize("answer", DRIPS.values(), ids=DRIPS)
async def test_a_drip_comes_to_an_end(answer: Reply, host: Host, transport: Transport, tmp_path: Path) -> None:
    """Within an hour, with an error."""
    host.answers = [answer]
    began = now()

    with pytest.raises(DownloadError):
        await save(transport, host.link, tmp_path / "a")

    assert now() - began < HOUR


async def test_headers_that_drip_come_to_an_end(transport: Transport, tmp_path: Path) -> None:
    """Though each byte comes in time."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        with contextlib.closing(writer):
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(50)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    began = now()

    with pytest.raises(DownloadError):
        await save(transport, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.mp4", tmp_path / "a")

    assert now() - began < HOUR
    server.close()


@pytest.mark.parametrize(("retry_after", "least"), [("40", 40.0), ("0", 0.5), ("0.001", 0.5), ("-1", 0.5)])
async def test_a_host_says_how_long_to_wait_at_least(
    retry_after: str, least: float, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Never that nothing is to be waited for."""
    host.answers = [says(503, Retry_After=retry_after), gives_video]
    began = now()

    await save(transport, host.link, tmp_path / "a")

    assert least <= now() - began < least + 1


# --- Links that do not work yet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404])
async def test_a_fresh_link_may_not_work_yet(status: int, host: Host, transport: Transport, tmp_path: Path) -> None:
    """It is asked for again, however often, until it does."""
    host.answers = [*[says(status)] * 20, gives_video]

    await save(transport, host.link, tmp_path / "a", early=300.0)

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert len(host.heard) == 21


@pytest.mark.parametrize("status", [403, 404])
async def test_a_link_that_did_not_work_for_five_minutes_is_dead(
    status: int, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """And that is all the time it gets."""
    host.answers = [says(status)]
    began = now()

    with pytest.raises(ResultExpired):
        await save(transport, host.link, tmp_path / "a", early=300.0)

    assert 300 <= now() - began < 330
    assert len(host.heard) < 80
    assert names(tmp_path) == []


async def test_a_link_that_is_gone_is_not_waited_for(host: Host, transport: Transport, tmp_path: Path) -> None:
    """410 says that it will not come back."""
    host.answers = [says(410)]

    with pytest.raises(ResultExpired):
        await save(transport, host.link, tmp_path / "a", early=300.0)

    assert len(host.heard) == 1


async def test_links_that_do_not_work_yet_hold_up_no_other_video(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Though there are more of them than may come down at once."""
    async with Host().running() as slow:
        slow.answers = [says(404)]
        waiting = [
            asyncio.create_task(save(transport, slow.link, tmp_path / str(number), early=300.0)) for number in range(20)
        ]
        await asyncio.sleep(60)

        began = now()
        await save(transport, host.link, tmp_path / "a")
        assert now() - began < 5

        await asyncio.gather(*waiting, return_exceptions=True)

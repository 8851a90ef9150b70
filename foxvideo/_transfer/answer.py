"""One answer of a host of videos: through redirects, and with a body that must keep coming."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar

import aiohttp
import attrs
import yarl

from foxvideo._aio import ended
from foxvideo._http import Transport
from foxvideo._transfer.format import HEAD
from foxvideo._transfer.resume import ENOUGH, Interrupted, redirect
from foxvideo.errors import DownloadError

T = TypeVar("T")

_HEADERS_SECONDS = 120.0  # over all redirects
_ENOUGH_SECONDS = 60.0  # for ``ENOUGH`` bytes
_MOST_REDIRECTS = 10


@attrs.define(eq=False)
class Answer:
    """What a host answers.

    Attributes:
        response: Its status and headers.
    """

    response: aiohttp.ClientResponse
    _patience: asyncio.Timeout
    _came: int = attrs.field(default=0, init=False)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, transport: Transport, link: yarl.URL, headers: Mapping[str, str]) -> AsyncIterator["Answer"]:
        """Ask for a link, and for those that it leads to, and hold the answer as long as it is worked on.

        Raises:
            Interrupted: It breaks off, or does not come.
            DownloadError: It leads to no http(s) link.
        """
        try:
            async with (
                asyncio.timeout(_HEADERS_SECONDS) as patience,
                followed(transport, link, headers) as response,
            ):
                answer = cls(response, patience)
                answer._put_off()
                yield answer
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Interrupted(_reason(error), slow=isinstance(error, TimeoutError)) from None
        except TimeoutError:
            raise Interrupted(f"less than {ENOUGH} bytes came within {_ENOUGH_SECONDS:g} s", slow=True) from None

    async def next(self) -> bytes:
        """Return what has come of the body; empty at its end."""
        chunk = await self.response.content.readany()
        self._came += len(chunk)
        if self._came >= ENOUGH:
            self._put_off()
        return chunk

    async def head(self) -> bytes:
        """Return the first bytes, which are enough to tell what they are of; fewer where there are no more."""
        head = b""
        while len(head) < HEAD and (chunk := await self.next()):
            head += chunk
        return head

    def rest(self) -> bytes:
        """Return what aiohttp keeps back of a body that broke off: what it had read before."""
        self.response.content.set_exception(None)  # type: ignore[arg-type]
        return self.response.content.read_nowait()

    async def hold(self, doing: "asyncio.Future[T]") -> T:
        """Wait for the disk, which is no fault of the host."""
        loop = asyncio.get_running_loop()
        left = (self._patience.when() or loop.time()) - loop.time()
        self._patience.reschedule(None)
        try:
            return await ended(doing)
        finally:
            self._patience.reschedule(loop.time() + left)

    def _put_off(self) -> None:
        self._came = 0
        self._patience.reschedule(asyncio.get_running_loop().time() + _ENOUGH_SECONDS)


@contextlib.asynccontextmanager
async def followed(
    transport: Transport, link: yarl.URL, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask for a link, and for those that it leads to.

    aiohttp would spell them anew, which breaks signatures, and use the proxy of the first host for all.
    """
    for _ in range(_MOST_REDIRECTS + 1):
        async with contextlib.AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(transport.download(link, headers))
            except ValueError:  # such as a host whose name cannot be one
                raise DownloadError("nothing can be asked for there", submitted="yes") from None
            target = redirect(response.status, response.headers, str(link))
            if target is None:
                yield response
                return
        link = link_of(target)
    raise Interrupted(f"it redirects more than {_MOST_REDIRECTS} times")


def link_of(url: str) -> yarl.URL:
    """Return a link as it can be asked for, spelled as it is.

    Raises:
        DownloadError: It is no http(s) link.
    """
    try:
        # A link may be signed as it stands, so that quoting it anew would break it.
        link = yarl.URL(url, encoded=re.fullmatch("[!-~]+", url) is not None)
        usable = link.scheme in {"http", "https"} and link.host and link.port
    except ValueError:
        usable = False
    if not usable:
        said = re.sub(r"//[^/]*@|\?.*", "", url)[:200]
        raise DownloadError(f"{said!r} is no http(s) link", submitted="yes")
    return link


def shown(link: yarl.URL) -> str:
    """Return a link as an error shows it: without what may be a secret."""
    return str(link.with_user(None).with_query(None).with_fragment(None))


def _reason(error: Exception) -> str:
    """Say what broke, without the URL of a proxy, which may hold a password."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{type(error).__name__}: {error.status} {error.message}"
    return f"{type(error).__name__}: {error}"

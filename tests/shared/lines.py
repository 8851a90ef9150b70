"""A line to a database that can fall silent, as networks do: nothing is refused, and nothing comes through."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import attrs


@attrs.define(eq=False)
class Line:
    """Carries bytes to a database and back.

    Attributes:
        url: Of the database, by this line.
        silent: Whether bytes are lost.
    """

    url: str
    silent: bool = False
    _writers: set[asyncio.StreamWriter] = attrs.field(factory=set)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        """Open a line to a database."""
        parts = urlsplit(url)
        line = cls("")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(parts.hostname, parts.port)
            line._writers |= {writer, back}
            await asyncio.gather(line._carry(reader, back), line._carry(there, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        line.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        try:
            yield line
        finally:
            server.close()
            line.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while some := await reader.read(65536):
                if not self.silent:
                    writer.write(some)
        if not self.silent:
            writer.close()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

"""What a task ends in when all goes well.

What belongs here: the outcome as a value, and where its files go. What must not: bytes on their way
(``_transfer/download.py``).
"""

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from foxvideo._http import Transport
from foxvideo._transfer import download as downloads, part as parts
from foxvideo._transfer.download import Progress
from foxvideo._transfer.part import Part, SavedFile
from foxvideo._wire.decode import read_task
from foxvideo.errors import DownloadError, FoxError, ResultExpired, ResultsMissing
from foxvideo.requests.generic import VideoRequest
from foxvideo.state import LINK_SECONDS, Result, TaskState, links

Noted = Callable[[str, int, SavedFile], None]
"""Told the task's id, the number of the result from 0, and its file, once that is on the disk."""


@attrs.frozen(kw_only=True)
class Video:
    """A completed task.

    Attributes:
        task_id: The task's id.
        model: The model really used; the one asked for where the service does not say.
        request: What was asked for; None for a task that is followed by its id alone.
        results: What was made, with every key that the service sent.
        credits_reserved: Credits reserved at submit, not the final cost; None if not told.
        created: When the task was made; None if not told.
    """

    task_id: str
    model: str | None
    request: VideoRequest | None
    results: tuple[Result, ...]
    credits_reserved: float | None
    created: dt.datetime | None
    _transport: Transport | None = attrs.field(repr=False, eq=False)
    _noted: Noted | None = attrs.field(default=None, repr=False, eq=False)

    @classmethod
    def of(
        cls, state: TaskState, request: VideoRequest | None, transport: Transport, noted: Noted | None = None
    ) -> "Video":
        """Return the outcome that a completed state tells.

        Args:
            state: The state.
            request: What was asked for; None where only the id is known.
            transport: The connections that its files come over.
            noted: Told each file that was saved; None if nobody keeps a list.
        """
        return cls(
            task_id=state.id,
            model=state.model or (request.model if request else None),
            request=request,
            results=state.results,
            credits_reserved=state.credits_reserved,
            created=_moment(state.created),
            transport=transport,
            noted=noted,
        )

    @property
    def urls(self) -> tuple[str, ...]:
        """All links, each once, in the order of the results; empty for a model that makes no file."""
        return links(self.results)

    @property
    def url(self) -> str:
        """The first link.

        Raises:
            ResultsMissing: The results have none: some models make a voice or a character, see ``results``.
        """
        if not self.urls:
            names = sorted({name for result in self.results for name in result.fields})
            raise ResultsMissing(
                f"the results have no link, but {', '.join(names) or 'nothing'}",
                submitted="yes",
                task_id=self.task_id,
                hint="read video.results",
            )
        return self.urls[0]

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the links die at the earliest, 24 hours after the task was made; None if that is not known.

        The page that names the 24 hours does not say when they begin:
        https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail
        """
        return _moment(self.created.timestamp() + LINK_SECONDS) if self.created else None

    async def save(self, path: str | Path, *, overwrite: bool = False, progress: Progress | None = None) -> SavedFile:
        """Save the first result; works after the client has closed, too.

        The file appears when it is whole, never before; until then a hidden ``.part`` lies beside it. A download that
        was cut, by an error, by cancelling, or by the death of the process, goes on where it was the next time the
        same result is saved under the same path, if its host allows that; else nothing is left behind. Where another
        process saves the same path, it is waited for. The key is not sent. A dead link is replaced by a fresh one
        once.

        Args:
            path: The file to make; its folder must exist.
            overwrite: Whether an existing file is replaced.
            progress: Called as bytes reach the disk, with their number so far and that of the whole film, None where
                the host does not say.

        Returns:
            The file, which goes wherever a path does, with its size and SHA-256.

        Raises:
            ResultExpired: The link is dead, and so is a fresh one.
            DownloadError: What lies there is no film, or did not come whole.
            ResultsMissing: There is no link.
            FoxError: The link is dead, and the task could not be asked for a fresh one.
            OSError: The disk said no; ``FileExistsError`` for a file that exists.
        """
        return await self._save(self.url, 0, self._part(0, Path(path), overwrite=overwrite), progress)

    def begun(self, folder: str | Path) -> Path | None:
        """Return the path in a folder under which saving the first result was cut; None for none.

        Reads the folder, and blocks for as long.
        """
        return parts.begun(Path(folder), self._source(0))

    async def save_all(
        self, folder: str | Path, *, overwrite: bool = False, progress: Progress | None = None
    ) -> list[SavedFile]:
        """Save all results, one after another, into a folder, which is made.

        They are named after the task, with the suffix of their link, or else of their type.

        Args:
            folder: Where they go.
            overwrite: Whether existing files are replaced.
            progress: As for ``save``, for each file anew.

        Raises:
            ResultExpired: A link is dead, and so is a fresh one.
            DownloadError: What lies there is no film, or did not come whole.
            FoxError: A link is dead, and the task could not be asked for a fresh one.
            OSError: The disk said no; ``FileExistsError`` for a file that exists.
        """
        await asyncio.to_thread(Path(folder).mkdir, parents=True, exist_ok=True)
        return [
            await self._save(url, index, self._part_in(Path(folder), index, overwrite=overwrite), progress)
            for index, url in enumerate(self.urls)
        ]

    def _part_in(self, folder: Path, index: int, *, overwrite: bool) -> Part:
        suffix = re.fullmatch(r"\w+://[^/?#]+/[^?#]*(\.[A-Za-z0-9]{1,8})([?#].*)?", self.urls[index])
        number = f"-{index + 1}" if len(self.urls) > 1 else ""
        name = f"{_file_name(self.task_id)}{number}{suffix[1] if suffix else ''}"
        return self._part(index, folder / name, overwrite=overwrite, named=suffix is not None)

    def _part(self, index: int, path: Path, *, overwrite: bool, named: bool = True) -> Part:
        return Part(path=path, source=self._source(index), overwrite=overwrite, named=named)

    def _source(self, index: int) -> str:
        return f"{self.task_id}#{index}"

    async def _save(self, url: str, index: int, part: Part, progress: Progress | None) -> SavedFile:
        try:
            saved = await self._fetch(url, index, part, progress)
        except FoxError as error:
            error.submitted = "yes"
            raise error.name(task_id=self.task_id) from error.__cause__
        if self._noted is not None:
            self._noted(self.task_id, index, saved)
        return saved

    async def _fetch(self, url: str, index: int, part: Part, progress: Progress | None) -> SavedFile:
        transport = self._transport
        if transport is None:
            raise DownloadError("this is a copy without a client: use client.task(video.task_id)", submitted="yes")
        try:
            return await downloads.save(transport, url, part, progress=progress)
        except ResultExpired:
            state = read_task(await transport.task(self.task_id, sync_upstream=False), self.task_id)
            if index >= len(state.urls) or state.urls[index] == url:
                raise
            return await downloads.save(transport, state.urls[index], part, progress=progress)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle everything but the connections, which hold the key, and who takes note of files."""
        values = {field.alias: getattr(self, field.name) for field in attrs.fields(Video)}
        return _rebuild, (values | {"transport": None, "noted": None},)


def _rebuild(values: dict[str, Any]) -> Video:
    return Video(**values)


def _moment(seconds: float | None) -> dt.datetime | None:
    try:
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _file_name(text: str) -> str:
    """Return a text as a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:100]

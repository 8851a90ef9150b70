"""A completed task: its links, its files, and the ways to save them.

## Save a video

```python
video = await client.generate(shots[0], save_to="cat.mp4")
saved = await video.save("copy.mp4")
print(saved.path, saved.size, saved.sha256)
```

| you write | what it does |
|---|---|
| ``generate(shot, save_to="cat.mp4")`` | checks that the file can be made *before* it pays, then saves |
| ``Client(save_to="clips/")`` | saves every video as soon as it is done, under its task's id |
| ``await video.save(path)`` | saves the first result |
| ``await video.save_all(folder)`` | saves all results of a task that made several |
| ``await video.read()`` | returns the bytes |
| ``async for chunk in video.stream()`` | yields the bytes, with little memory |

## What you can rely on

- A file appears under its name when it is whole. Until then a hidden ``.part`` file lies beside it.
- A download that is cut goes on where it was: after an error, after cancelling, and in the next process.
- An existing file is never replaced, unless you pass ``overwrite=True``. If it is this very video, it counts as saved.
- Only media is saved as media: an error page, an empty body or half a video raises ``DownloadError``.

## Links live 24 hours

``video.url`` is the service's link. ``video.expires_at`` says when it dies. ``video.save`` replaces a dead link by a
fresh one, as long as the service still has it; after that ``ResultExpired`` is raised. The API key is never sent to
the host of a link. A video can be saved after its client was closed, and in another event loop:

```python
async with Client() as short:
    video = await short.generate(shots[0])
await video.save("later.mp4")
```

A notebook plays a video that is the last line of a cell: its file, if that lies beside the notebook or below, else its
link.

``video.file`` is the file that it was saved in. The journal remembers it, so a key brings it back in a later run.
"""

import contextlib
import datetime as dt
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from foxvideo import _options
from foxvideo._aio import in_thread
from foxvideo._html import player
from foxvideo._http import Transport
from foxvideo._transfer import download as downloads, part as parts
from foxvideo._transfer.content import saved_file
from foxvideo._transfer.part import Part
from foxvideo._transfer.target import Target, file_name, suffix_of
from foxvideo.errors import DownloadError, FoxError, ResultExpired, ResultsMissing
from foxvideo.media import Progress, SavedFile
from foxvideo.requests.generic import VideoRequest
from foxvideo.state import LINK_SECONDS, Result, Status, TaskState, links, moment, shown

__all__ = ["Video"]

_CHUNK = 1 << 20


@attrs.frozen(eq=False)
class Source:
    """Where the files of videos come from, and who hears of them. Works after the client was closed, in any loop.

    Attributes:
        transport: The connections that they come over.
        fresh: Polls a task once more, by its id, for links that live; raises ``FoxError``.
        noted: Called with the task's id, the number of the result from 0, and its file, once that is on the disk; and
            with the seconds that it took, None where it lay there already.
        files: Returns what is known to have been saved of a task, by the number of the result.
    """

    transport: Transport
    fresh: Callable[[str], Awaitable[TaskState]]
    noted: Callable[[str, int, SavedFile, float | None], None]
    files: Callable[[str], Awaitable[Mapping[int, SavedFile]]]


@attrs.frozen(kw_only=True, repr=False)
class Video:
    """A completed task.

    Attributes:
        id: The task's id.
        model: The model really used; the one asked for where the service does not say.
        request: What was asked for; None for a task that is followed by its id alone.
        results: What was made, with every key that the service sent.
        credits_reserved: Credits reserved at submit, not the final cost; None if not told.
        created: When the task was made; None if not told.
    """

    id: str
    model: str | None
    request: VideoRequest | None
    results: tuple[Result, ...]
    credits_reserved: float | None
    created: dt.datetime | None
    _source: Source | None = attrs.field(repr=False, eq=False)
    _settling_until: float | None = attrs.field(default=None, repr=False, eq=False)
    _files: dict[int, SavedFile] = attrs.field(factory=dict, repr=False, eq=False)  # grows as results are saved

    @classmethod
    def of(
        cls,
        state: TaskState,
        request: VideoRequest | None,
        source: Source,
        *,
        settling_until: float | None = None,
        files: Mapping[int, SavedFile] = MappingProxyType({}),
    ) -> "Video":
        """Return the outcome that a completed state tells.

        Args:
            state: The state.
            request: What was asked for; None where only the id is known.
            source: Where its files come from.
            settling_until: Until when, in seconds of ``time.monotonic()``, its links may not work yet; None if they
                are long known.
            files: What was saved of it before, by the number of the result.
        """
        return cls(
            id=state.id,
            model=state.model or (request.model if request else None),
            request=request,
            results=state.results,
            credits_reserved=state.credits_reserved,
            created=state.created,
            source=source,
            settling_until=settling_until,
            files=dict(files),
        )

    def __repr__(self) -> str:
        results = f"{len(self.results)} result{'' if len(self.results) == 1 else 's'}"
        saved = f", saved as {self.file}" if self.file else ""
        return f"<Video {self.id} {self.model or 'model unknown'} {results}{saved}>"

    def _repr_html_(self) -> str:
        expires = self.expires_at
        lives = f"the link lives until {expires:%Y-%m-%d %H:%M} UTC" if expires is not None else None
        facts = (self.id, self.model, lives if self.urls else None)
        return player(self.file, self.urls[0] if self.urls else None, tuple(filter(None, facts)))

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
                task_id=self.id,
                hint="read video.results",
            )
        return self.urls[0]

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the links die at the earliest, 24 hours after the task was made; None if that is not known.

        The page that names the 24 hours does not say when they begin:
        https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail
        """
        return moment(self.created.timestamp() + LINK_SECONDS) if self.created else None

    def as_dict(self) -> dict[str, object]:
        """Return the video as JSON has it, with times in ISO 8601; what was not told is None."""
        return {
            "schema": 1,
            "id": self.id,
            "model": self.model,
            "status": Status.COMPLETED.value,
            "urls": list(self.urls),
            "results": [dict(result.fields) for result in self.results],
            "files": [str(self._files[index].path) for index in sorted(self._files)],
            "credits_reserved": self.credits_reserved,
            "created": shown(self.created),
            "expires_at": shown(self.expires_at),
        }

    @property
    def file(self) -> SavedFile | None:
        """The file that the first result was saved in last, by ``save`` or ``save_to``; None if it was not.

        The journal remembers it, so a video that a key brings back in a later run knows its file, too. It is not looked
        at: somebody may have moved or changed it since.
        """
        return self._files.get(0)

    async def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, progress: Progress | None = None
    ) -> SavedFile:
        """Save the first result; works after the client has closed, too, and in another event loop.

        The file appears when it is whole, never before; until then a hidden ``.part`` lies beside it. A download that
        was cut, by an error, by cancelling, or by the death of the process, goes on where it was the next time the
        same result is saved under the same path, if its host allows that; else nothing is left behind. Where another
        process saves the same path, it is waited for. The key is not sent. A dead link is replaced by a fresh one
        once.

        A file that lies there already counts as saved if it is this very video: what was saved there before is known by
        its hash, else the video is fetched once more to compare them. One that was saved there and is empty or cut off
        by now is replaced. Any other file is kept.

        Args:
            path: The file to make; its folder must exist.
            overwrite: Whether an existing file is replaced, whatever it holds.
            progress: Called as bytes reach the disk, with their number so far and that of the whole video, None where
                the host does not say.

        Returns:
            The file, which goes wherever a path does, with its size and SHA-256.

        Raises:
            ResultExpired: The link is dead, and so is a fresh one.
            DownloadError: What lies there is no video, or did not come whole.
            ResultsMissing: There is no link.
            FoxError: The link is dead, and the task could not be polled for a fresh one.
            OSError: The disk said no; ``FileExistsError`` for another file that exists.
        """
        _ = self.url  # which says what there is instead
        _options.path("path", path)
        target = Target.of(path)
        if target.folder:
            raise IsADirectoryError(f"{os.fspath(path)} names a folder: video.save_all saves into one")
        return await self._save(0, self._part(0, target.path, overwrite=overwrite), progress)

    def begun(self, folder: str | os.PathLike[str]) -> Path | None:
        """Return the path in a folder under which saving the first result was cut, if it is not that of ``save_all``.

        Reads the folder, and blocks for as long. None for none.
        """
        found = parts.begun(Path(folder), self._source_of(0))
        own = self._part_in(Path(folder), 0, overwrite=False).path if self.urls else None
        return None if found == own else found

    async def save_all(
        self, folder: str | os.PathLike[str], *, overwrite: bool = False, progress: Progress | None = None
    ) -> list[SavedFile]:
        """Save all results, one after another, into a folder, which is made.

        They are named after the task, with the suffix of their link, or else of their type. No two tasks have a name in
        common, also on file systems that do not tell capital letters from small ones.

        Args:
            folder: Where they go.
            overwrite: Whether existing files are replaced, whatever they hold; else as for ``save``.
            progress: As for ``save``, for each file anew.

        Raises:
            ResultExpired: A link is dead, and so is a fresh one.
            DownloadError: What lies there is no video, or did not come whole.
            FoxError: A link is dead, and the task could not be polled for a fresh one.
            OSError: The disk said no; ``FileExistsError`` for another file that exists.
        """
        _options.path("folder", folder)
        await in_thread(Path(folder).mkdir, parents=True, exist_ok=True)
        return [
            await self._save(index, self._part_in(Path(folder), index, overwrite=overwrite), progress)
            for index in range(len(self.urls))
        ]

    def _part_in(self, folder: Path, index: int, *, overwrite: bool) -> Part:
        number = f"-{index + 1}" if len(self.urls) > 1 else ""
        suffix = suffix_of(self.urls[index])
        path = folder / f"{file_name(self.id)}{number}{suffix or ''}"
        return self._part(index, path, overwrite=overwrite, named=suffix is not None, mends=True)

    def _part(self, index: int, path: Path, *, overwrite: bool, named: bool = True, mends: bool = False) -> Part:
        source, wanted = self._source_of(index), self._size(index)
        return Part(path=path, source=source, overwrite=overwrite, named=named, mends=mends, wanted=wanted)

    def _source_of(self, index: int) -> str:
        return f"{self.id}#{index}"

    def _size(self, index: int) -> int | None:
        """Return how many bytes the task says that a result has; None if it does not."""
        url = self.urls[index]
        told = {_bytes(result.fields.get("file_size")) for result in self.results if result.url == url}
        return told.pop() if len(told) == 1 else None

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the first result, in chunks of 1 MB at most, once all of them have come.

        They pass through a temporary file, so memory stays small, a download that breaks off goes on, and no chunk is
        of a video that turns out to be broken. A file that was saved before is read where it lies. Stopping early
        leaves nothing behind.

        Raises:
            ResultExpired, DownloadError, ResultsMissing, FoxError, OSError: As for ``save``.
        """
        _ = self.url  # which says what there is instead
        async with contextlib.AsyncExitStack() as stack:
            path = await self._unchanged()
            if path is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="foxvideo-"))
                part = self._part(0, Path(folder) / "video", overwrite=False)
                path = (await self._brought(self._connected(), 0, part, None)).path
            file = stack.enter_context(path.open("rb"))
            while chunk := await in_thread(file.read, _CHUNK):
                yield chunk

    async def read(self) -> bytes:
        """Return the bytes of the first result; a video of some minutes has some 100 MB.

        Raises:
            ResultExpired, DownloadError, ResultsMissing, FoxError, OSError: As for ``save``.
        """
        async with contextlib.aclosing(self.stream()) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _unchanged(self) -> Path | None:
        """Return the file that was saved, if it still holds what it did; None if not."""
        if (known := self.file) is not None:
            with contextlib.suppress(OSError):
                if (await in_thread(saved_file, known.path)).sha256 == known.sha256:
                    return known.path
        return None

    def _connected(self) -> Source:
        if self._source is not None:
            return self._source
        raise DownloadError(
            "a copy of a video has no client to fetch its files",
            submitted="yes",
            task_id=self.id,
            hint="video = await client.task(video.id) gives one that has",
        )

    async def _save(self, index: int, part: Part, progress: Progress | None) -> SavedFile:
        source = self._connected()
        began = time.monotonic()
        there = await self._there(source, index, part)
        saved = there or await self._brought(source, index, part, progress)
        self._files[index] = saved
        source.noted(self.id, index, saved, None if there else time.monotonic() - began)
        return saved

    async def _brought(self, source: Source, index: int, part: Part, progress: Progress | None) -> SavedFile:
        """Fetch a result; an error says that the task was made, and names it."""
        try:
            return await self._fetch(source, index, part, progress)
        except FoxError as error:
            error.submitted = "yes"
            raise error.name(task_id=self.id) from error.__cause__
        except OSError as error:
            error.add_note(f"the video was made: client.task({self.id!r}) gives it again")
            raise

    async def _there(self, source: Source, index: int, part: Part) -> SavedFile | None:
        """Return the file that is to be made where it was saved before and is unchanged; None where it is not."""
        if not await in_thread(part.path.exists):
            return None  # as most do not, so that no journal is asked for nothing
        known = self._files.get(index)
        if known is None:
            with contextlib.suppress(FoxError):  # a journal that cannot be read keeps nobody from fetching
                known = (await source.files(self.id)).get(index)
        if known is None or known.path.absolute() != part.path.absolute():
            return None
        with contextlib.suppress(OSError):
            found = await in_thread(saved_file, part.path)
            if found.sha256 == known.sha256:
                return found
            # What was saved there and is no whole video any more is replaced; what somebody made of it is kept.
            part.overwrite = part.overwrite or await in_thread(parts.damaged, part.path)
        return None

    async def _fetch(self, source: Source, index: int, part: Part, progress: Progress | None) -> SavedFile:
        url = self.urls[index]
        # The moment is one of another clock than that of a loop, since a video may be saved in another loop.
        early = 0.0 if self._settling_until is None else self._settling_until - time.monotonic()
        try:
            return await downloads.save(source.transport, url, part, progress=progress, early=early)
        except ResultExpired:
            state = await source.fresh(self.id)
            if index >= len(state.urls) or state.urls[index] == url:
                raise
            return await downloads.save(source.transport, state.urls[index], part, progress=progress)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle everything but the source, whose connections hold the key, and a moment of this machine's clock."""
        values = {field.alias: getattr(self, field.name) for field in attrs.fields(Video)}
        return _rebuild, (values | {"source": None, "settling_until": None},)


def _rebuild(values: dict[str, Any]) -> Video:
    return Video(**values)


def _bytes(told: object) -> int | None:
    """Read a number of bytes, in whatever type it comes; None for what cannot be one."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        size = int(told)
    except (ValueError, OverflowError):
        return None
    return size if size > 0 and (isinstance(told, str) or size == told) else None

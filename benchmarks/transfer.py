"""How fast videos come down, against a bare aiohttp loop that writes the same bytes, and what that costs the loop.

Measured: bytes per second of one video from a host on this machine to a file, from the request to the file's name.
foxvideo runs as ``Video.save`` does; the reference is a session, ``iter_chunked`` and ``file.write``. "no hash" is
foxvideo with its SHA-256 left out, which no user can do: it shows what the rest of it costs. Then some videos at once,
with a probe that wants to wake up every few milliseconds: by how much it is late is the lag of the event loop.
Each run is a new interpreter. The runs of all sides alternate, and a ratio is the median of the ratios within the
rounds; above 1 foxvideo is faster.

The files lie in memory where the system has a folder for that: foxvideo waits until a video is on the disk, the
bare loop does not, so on a disk the ratio would say more about the disk than about either. Not measured: TLS, distance.
The host is a process too; with two cores it competes with the thread that hashes and writes.
"""

import argparse
import asyncio
import functools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import attrs

from benchmarks import files
from benchmarks.process import Usage, fresh, use
from benchmarks.table import table

Side = Literal["foxvideo", "foxvideo, no hash", "bare"]
Download = Callable[[str, Sequence[Path]], Coroutine[Any, Any, None]]

_TICK = 0.005


@attrs.frozen
class Run:
    """One side, once: what it took, and by how much the probe was late, in seconds, 99 times of 100 at most."""

    usage: Usage
    lag: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--megabytes", type=int, default=256, help="of one video (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=8, help="videos at once, for the lag (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all sides in turn.

    Raises:
        RuntimeError: A file is not the video.
    """
    size = options.megabytes << 20
    alone: dict[Side, list[Run]] = {side: [] for side in get_args(Side)}
    together: dict[Side, list[Run]] = {side: [] for side in get_args(Side)}
    with files.running(size) as host, files.running(size // options.at_once) as small:
        for _ in range(options.pairs):
            for side in get_args(Side):
                alone[side].append(fresh(measure, side, host, size, 1))
            for side in get_args(Side):
                together[side].append(fresh(measure, side, small, size // options.at_once, options.at_once))
    return {
        "benchmark": "transfer",
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "megabytes": options.megabytes,
        "pairs": options.pairs,
        "at_once": options.at_once,
        "sides": {
            side: _summary(size, alone[side], together[side], [run.usage.wall for run in alone["bare"]])
            for side in get_args(Side)
        },
    }


def measure(side: Side, host: str, size: int, videos: int) -> Run:
    """Run one side in this process.

    Raises:
        RuntimeError: A file is not the video.
    """
    download = _side(side)
    lags: list[float] = []
    with tempfile.TemporaryDirectory(dir=files.SHARED) as folder:
        targets = [Path(folder) / f"{number}.mp4" for number in range(videos)]
        usage = use(_probed(download(f"{host}/video.mp4", targets), lags))
        if any(target.stat().st_size != size for target in targets):
            raise RuntimeError(f"{side} did not bring the video")
    return Run(usage, sorted(lags)[len(lags) * 99 // 100])


def _side(side: Side) -> Download:
    """Import one side alone: the other's memory would count it."""
    if side == "bare":
        from benchmarks import bare_download  # noqa: PLC0415 - as above

        return bare_download.download
    from benchmarks import fox_download  # noqa: PLC0415 - as above

    return functools.partial(fox_download.download, hashed=side == "foxvideo")


async def _probed(download: Coroutine[Any, Any, None], lags: list[float]) -> None:
    over = asyncio.Event()
    probe = asyncio.create_task(_probe(over, lags))
    await download
    over.set()
    await probe  # a video may come within one tick


async def _probe(over: asyncio.Event, lags: list[float]) -> None:
    while not over.is_set():
        due = time.perf_counter() + _TICK
        await asyncio.sleep(_TICK)
        lags.append(time.perf_counter() - due)


def _summary(size: int, alone: list[Run], together: list[Run], bare: list[float]) -> dict[str, object]:
    ratios = [theirs / run.usage.wall for run, theirs in zip(alone, bare, strict=True)]
    return {
        "mb_per_s": round(statistics.median([size / run.usage.wall / 1e6 for run in alone]), 1),
        "mb_per_s_at_once": round(statistics.median([size / run.usage.wall / 1e6 for run in together]), 1),
        "cpu_ms_per_100_mb": round(statistics.median([run.usage.cpu / size * 1e11 for run in alone]), 1),
        "grown_rss_mb": round(max(run.usage.grown for run in alone) / 1e6, 1),
        "lag_p99_ms": round(statistics.median([run.lag * 1000 for run in together]), 2),
        "lag_p99_ms_worst": round(max(run.lag * 1000 for run in together), 2),
        "bare_ratio": round(statistics.median(ratios), 3),
        "bare_ratios": [round(ratio, 3) for ratio in ratios],
    }


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    rows = [
        (
            side,
            f"{row['mb_per_s']:.0f}",
            f"{row['bare_ratio']:.2f}x",
            f"{min(row['bare_ratios']):.2f}-{max(row['bare_ratios']):.2f}",
            f"{row['cpu_ms_per_100_mb']:.0f}",
            f"{row['grown_rss_mb']:.1f}",
            f"{row['mb_per_s_at_once']:.0f}",
            f"{row['lag_p99_ms']:.1f}",
            f"{row['lag_p99_ms_worst']:.1f}",
        )
        for side, row in found["sides"].items()
    ]
    at_once = found["at_once"]
    head = (
        "side",
        "MB/s",
        "vs. bare",
        "range",
        "CPU ms/100 MB",
        "grown MB",
        f"MB/s, {at_once} at once",
        "lag p99 ms",
        "worst",
    )
    return (
        f"a video of {found['megabytes']} MB, and {at_once} at once of as many bytes together; "
        f"medians of {found['pairs']}; Python {found['python']}, aiohttp {found['aiohttp']}\n\n{table(head, rows)}"
    )

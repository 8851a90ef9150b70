"""The examples of the README and of the guides run, against the emulator."""

import asyncio
import importlib
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

import foxvideo
from foxvideo import Client, Every, GrokTextToVideo, Limits, SubmitUncertain
from foxvideo.emulator import Emulator, Fault

README = Path(__file__).parent.parent / "README.md"
ROOMS = [room.name for room in pkgutil.iter_modules(foxvideo.__path__) if not room.name.startswith("_")]
TEXTS = {"README": README.read_text(), "foxvideo": foxvideo.__doc__ or ""} | {
    room: importlib.import_module(f"foxvideo.{room}").__doc__ or "" for room in ROOMS
}
BLOCKS = {
    f"{where}, {number}": block
    for where, text in TEXTS.items()
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE), 1)
}
PROGRAMS = {where: block for where, block in BLOCKS.items() if "asyncio.run(main())" in block}
SUITES = {where: block for where, block in BLOCKS.items() if "foxvideo.testing" in block}
SNIPPETS = {where: block for where, block in BLOCKS.items() if where not in PROGRAMS.keys() | SUITES.keys()}
(MANIFEST,) = re.findall(r"^```csv\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with the picture and the manifest that the examples name."""
    (tmp_path / "cat.png").write_bytes(b"a picture")
    (tmp_path / "shots.csv").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_programs_and_snippets() -> None:
    """The tests below have something to run."""
    for found, least in ((PROGRAMS, 1), (SNIPPETS, 5), (SUITES, 1)):
        assert sum(where.startswith("README") for where in found) >= least
    assert {where.partition(",")[0] for where in BLOCKS} >= {"foxvideo", "batch", "client", "errors", "schedule"}
    assert len(README.read_text().splitlines()) <= 200, "a visitor knows in a minute what it is"


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
async def test_a_whole_program_of_the_readme_runs(
    program: str, fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads key and host from the environment, and leaves its video."""
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
    names: dict[str, object] = {}
    exec(program.replace("asyncio.run(main())", "program = main()"), names)  # noqa: S102 - it is our own text

    await names["program"]  # type: ignore[misc]

    assert (folder / "fox.mp4").stat().st_size > 1000


async def lose_two_replies(fox: Emulator) -> str:
    """Leave two submissions in the journal that nobody knows the end of; return the id of the first one's task."""
    fox.fail_next("submit", Fault("reset", after=True), times=2)
    async with Client(journal="videos.db") as client:
        shot = GrokTextToVideo(prompt="A fox trots through snow")
        tasks = [client.submit(shot, key=key) for key in ("shot-17", "shot-18")]
        assert [type(task.exception()) async for task in client.as_completed(tasks)] == [SubmitUncertain] * 2
    return next(iter(fox.ledger.tasks))


@pytest.mark.parametrize("where", SNIPPETS)
async def test_a_snippet_of_the_readme_runs_inside_a_client(
    where: str, fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds a client and some shots; one of the README makes at least one video."""
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
    snippet = SNIPPETS[where]
    if "adopt" in snippet:
        snippet = snippet.replace("task-unified-1757165031-uyujaw3d", await lose_two_replies(fox))
    async with Client(schedule=Every(2), journal="videos.db") as client:
        await run(snippet, client)
    assert fox.ledger.charged >= 1 or not where.startswith("README")


async def run(snippet: str, client: Client) -> None:
    """Run a snippet inside a coroutine, and wait for what it began."""
    names: dict[str, object] = {
        "asyncio": asyncio,
        "Client": Client,
        "client": client,
        "GrokTextToVideo": GrokTextToVideo,
        "Limits": Limits,
        "shots": [GrokTextToVideo(prompt=f"shot {number}") for number in range(3)],
    }
    exec(f"async def main():\n{textwrap.indent(snippet, '    ')}", names)  # noqa: S102 - it is our own text

    await names["main"]()  # type: ignore[operator]
    await asyncio.gather(*client.unfinished())


@pytest.mark.parametrize("where", SUITES)
def test_the_suite_of_the_readme_passes(where: str, pytester: pytest.Pytester) -> None:
    """It is a test, beside the conftest that the text says."""
    assert 'pytest_plugins = ["foxvideo.testing"]' in TEXTS[where.partition(",")[0]]
    pytester.makeconftest('pytest_plugins = ["foxvideo.testing"]')
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"')
    pytester.makepyfile(SUITES[where])

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)

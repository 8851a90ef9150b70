"""The README's examples run, against the emulator."""

import asyncio
import re
import textwrap
from pathlib import Path

import pytest

from foxvideo import Client, GrokTextToVideo
from foxvideo.emulator import Emulator

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
PROGRAMS = [block for block in BLOCKS if "asyncio.run(main())" in block]
SUITES = [block for block in BLOCKS if "foxvideo.testing" in block]
SNIPPETS = [block for block in BLOCKS if block not in PROGRAMS + SUITES]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with the picture that the examples name."""
    (tmp_path / "cat.png").write_bytes(b"a picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_programs_and_snippets() -> None:
    """The tests below have something to run."""
    assert len(PROGRAMS) == 1
    assert len(SNIPPETS) >= 5
    assert len(SUITES) == 2


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_whole_program_of_the_readme_runs(
    program: str, fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads key and host from the environment, and leaves its film."""
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
    names: dict[str, object] = {}
    exec(program.replace("asyncio.run(main())", "program = main()"), names)  # noqa: S102 - it is our own text

    await names["program"]  # type: ignore[misc]

    assert (folder / "cat.mp4").stat().st_size > 1000


@pytest.mark.parametrize("snippet", SNIPPETS)
async def test_a_snippet_of_the_readme_runs_inside_a_client(snippet: str, client: Client, fox: Emulator) -> None:
    """It finds a client and some shots, and makes at least one film."""
    names: dict[str, object] = {
        "asyncio": asyncio,
        "client": client,
        "GrokTextToVideo": GrokTextToVideo,
        "shots": [GrokTextToVideo(prompt=f"shot {number}") for number in range(3)],
    }
    exec(f"async def main():\n{textwrap.indent(snippet, '    ')}", names)  # noqa: S102 - it is our own text

    await names["main"]()  # type: ignore[operator]
    await asyncio.gather(*client.unfinished())

    assert fox.ledger.charged >= 1


def test_the_suite_of_the_readme_passes(pytester: pytest.Pytester) -> None:
    """It is a conftest and a test, as an application has them."""
    conftest, suite = SUITES
    pytester.makeconftest(conftest)
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nasyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"'
    )
    pytester.makepyfile(suite)

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)

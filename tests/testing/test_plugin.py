"""The pytest plugin for applications, used as an application uses it."""

import asyncio
import os

import pytest

from foxvideo import Client, Every, GrokTextToVideo, SubmitUncertain, TaskFailed, TaskTimeout, Video
from foxvideo.testing import Fault, FoxAPI, VirtualClockLoop, service

SHOT = GrokTextToVideo(prompt="A fox trots through snow")


async def test_a_client_finds_the_service_through_the_environment(foxapi: FoxAPI) -> None:
    """The code under test makes its own client, without arguments."""
    async with Client() as client:
        video = await client.generate(SHOT)

    assert video.url.startswith(foxapi.base_url)
    foxapi.assert_charged(1)
    foxapi.assert_nothing_bought_twice()
    foxapi.assert_nothing_left_behind()


@pytest.mark.foxapi(seconds=3600, credits=2.0)
async def test_options_of_the_service_come_from_a_marker(foxapi: FoxAPI) -> None:
    """A task of an hour and a day takes as long as a short one."""
    async with Client() as client:
        video = await client.generate(SHOT, timeout=None)

    assert video.credits_reserved == 2.0
    assert asyncio.get_running_loop().time() >= 3600


async def test_time_is_advanced_by_hand(foxapi: FoxAPI) -> None:
    """Everything that is due meanwhile happens."""
    async with Client() as client:
        task = client.submit(SHOT)
        task_id = await task.wait_accepted()
        assert not task.done()
        foxapi.finish(task_id)
        await foxapi.advance(60)
        assert task.done()


async def test_faults_and_failures_are_scripted(foxapi: FoxAPI) -> None:
    """One submit whose reply is lost, and one task that fails."""
    foxapi.fail_next("submit", Fault("reset", after=True))
    async with Client() as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT)
        task = client.submit(SHOT)
        foxapi.fail(await task.wait_accepted(), "content_policy_violation")
        with pytest.raises(TaskFailed):
            await task

    foxapi.assert_charged(2)
    foxapi.assert_nothing_bought_twice()


async def test_an_assertion_names_what_was_charged(foxapi: FoxAPI) -> None:
    """It says both numbers."""
    with pytest.raises(AssertionError, match="0 tasks were charged, not 3"):
        foxapi.assert_charged(3)


@pytest.mark.foxapi(seconds=3600)
async def test_an_assertion_names_what_was_left_behind(foxapi: FoxAPI) -> None:
    """A wait that ended too early leaves a paid task behind."""
    async with Client() as client:
        with pytest.raises(TaskTimeout) as caught:
            await client.generate(SHOT, timeout=10)

    with pytest.raises(AssertionError, match=str(caught.value.task_id)):
        foxapi.assert_nothing_left_behind()


async def test_an_assertion_names_what_was_bought_twice(foxapi: FoxAPI) -> None:
    """Two tasks of one submit."""
    async with Client() as client:
        await asyncio.gather(client.generate(SHOT), client.generate(SHOT))
    first, second = foxapi.ledger.tasks.values()
    second.headers = first.headers

    with pytest.raises(AssertionError, match="more than one task"):
        foxapi.assert_nothing_bought_twice()


@pytest.mark.foxapi(seconds=1, race=1.0)
async def test_a_task_without_results_counts_as_left_behind(foxapi: FoxAPI) -> None:
    """Nobody can have fetched what was not shown."""
    async with Client(sync_upstream=True) as client:
        task = client.submit(SHOT)
        async for state in task:
            if state.status_text == "completed":
                break
        with pytest.raises(AssertionError):
            foxapi.assert_nothing_left_behind()
        await task

    foxapi.assert_nothing_left_behind()


def _run(pytester: pytest.Pytester, program: str, mode: str = "auto") -> pytest.RunResult:
    """Run a suite of somebody else that adds the plugin; old releases of pytest-asyncio warn where no scope is set."""
    pytester.makeconftest('pytest_plugins = ["foxvideo.testing"]')
    pytester.makepyprojecttoml(
        f'[tool.pytest.ini_options]\nasyncio_mode = "{mode}"\nasyncio_default_fixture_loop_scope = "function"'
    )
    pytester.makepyfile(program)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore")


def test_only_tests_that_take_the_service_run_on_its_clock(pytester: pytest.Pytester) -> None:
    """A suite that adds the plugin keeps its own loop elsewhere."""
    result = _run(
        pytester,
        """
        import asyncio
        from foxvideo.testing import VirtualClockLoop

        async def test_with(foxapi):
            assert isinstance(asyncio.get_running_loop(), VirtualClockLoop)

        async def test_without():
            assert not isinstance(asyncio.get_running_loop(), VirtualClockLoop)
        """,
    )
    result.assert_outcomes(passed=2)


async def test_the_clock_is_virtual(foxapi: FoxAPI) -> None:
    """A test that takes the service waits for nothing."""
    assert isinstance(asyncio.get_running_loop(), VirtualClockLoop)


ANYIO = """
import pytest
@pytest.fixture
def anyio_backend(): return "asyncio"
@pytest.mark.anyio
async def test_it(foxapi): pass
"""
MODULE = """
import pytest
@pytest.mark.asyncio(loop_scope="module")
async def test_it(foxapi): pass
"""
UNITTEST = """
import pytest, unittest
class TestIt(unittest.TestCase):
    @pytest.mark.usefixtures("foxapi")
    def test_it(self): pass
"""
UNFIT = {
    "a sync test": ("def test_it(foxapi): pass", "write 'async def'"),
    "anyio": (ANYIO, "not anyio"),
    "another loop scope": (MODULE, "set its loop_scope"),
    "a class of unittest": (UNITTEST, "write 'async def'"),
}


@pytest.mark.parametrize("mode", ["auto", "strict"])
@pytest.mark.parametrize("case", UNFIT)
def test_a_test_in_which_it_would_hang_is_told_what_to_do(case: str, mode: str, pytester: pytest.Pytester) -> None:
    """Nobody answers in a loop that stands still, so the test would wait for ever."""
    program, said = UNFIT[case]
    result = _run(pytester, program, mode)
    result.stdout.fnmatch_lines([f"*{said}*foxvideo.testing.service()*"])
    assert result.parseoutcomes().get("passed", 0) == 0


def test_a_service_in_a_thread_serves_a_test_without_a_loop() -> None:
    """And leaves the environment as it was."""
    before = os.environ.get("FOXAPI_BASE_URL")
    with service() as fox:
        fox.fail_next("poll", Fault("html", status=502))

        async def make() -> Video:
            async with Client(schedule=Every(0.1)) as client:
                return await client.generate(SHOT)

        assert asyncio.run(make()).url.startswith(fox.base_url)
        fox.assert_charged(1)
    assert os.environ.get("FOXAPI_BASE_URL") == before

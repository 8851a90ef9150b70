"""``foxvideo doctor``: each ailment is found, and named with its cure."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foxvideo import RecordStatus, TaskRecord
from foxvideo.cli.app import app
from foxvideo.cli.commands import doctor
from foxvideo.cli.commands.doctor import Check, examine
from foxvideo.client import DEFAULT_BASE_URL
from foxvideo.emulator import Emulator, Fault
from foxvideo.testing.clock import VirtualClockLoop

KEY = "sk-emulator-0123456789"

pytestmark = pytest.mark.real_clock  # it waits for a name and a connection, not for a time


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Run an emulator whose key has the shape of a key."""
    async with Emulator(api_key=KEY, render=False) as running:
        yield running


def verdicts(checks: list[Check]) -> dict[str, str]:
    """Return what was found, by name."""
    return {check.name: check.verdict for check in checks}


async def test_a_healthy_setup_passes_every_check(emulator: Emulator) -> None:
    """And the models of the key are told."""
    checks, models = await examine(KEY, emulator.base_url)
    assert verdicts(checks) == dict.fromkeys(["key", "address", "network", "cloudflare", "key taken", "models"], "ok")
    assert set(doctor.GROK) <= set(models or ())


async def test_a_key_that_is_refused_is_told_from_a_missing_one(emulator: Emulator) -> None:
    """The service's own words are shown."""
    checks, models = await examine("sk-another-0123456789", emulator.base_url)
    assert verdicts(checks)["key taken"] == "fail"
    assert verdicts(checks)["models"] == "skip"
    assert models is None


async def test_cloudflare_is_told_from_a_bad_key(emulator: Emulator) -> None:
    """Both are 403 or the like, only one is the key's fault."""
    emulator.fail_next("models", Fault("cloudflare"))
    checks, _ = await examine(KEY, emulator.base_url)
    assert verdicts(checks)["cloudflare"] == "fail"
    assert verdicts(checks)["key taken"] == "skip"


def test_an_answer_that_is_none_of_foxapi_is_told() -> None:
    """A web page with 200, as a portal gives; it is asked for again and again before."""

    async def look() -> dict[str, str]:
        async with Emulator(api_key=KEY, render=False) as emulator:
            emulator.fail_next("models", Fault("html", status=200), times=99)
            return verdicts((await examine(KEY, emulator.base_url))[0])

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        assert runner.run(look())["service"] == "fail"


async def test_a_host_that_does_not_answer_ends_the_examination() -> None:
    """Nothing beyond it can be tried."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        checks, _ = await examine(KEY, f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert verdicts(checks)["network"] == "fail"
    assert verdicts(checks)["models"] == "skip"


async def test_a_host_that_is_silent_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It connects, and TLS never begins."""
    monkeypatch.setattr(doctor, "_CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        checks, _ = await examine(KEY, f"https://127.0.0.1:{silent.getsockname()[1]}")
    assert "does not answer in 0.1 s" in checks[2].detail


async def test_an_address_that_is_none_is_not_connected_to() -> None:
    """The faults of the address come first."""
    checks, _ = await examine(KEY, "api.foxapi.cc")
    assert verdicts(checks)["address"] == "fail"
    assert verdicts(checks)["network"] == "skip"


def test_the_newer_name_is_told_where_the_default_does_not_answer() -> None:
    """Only there."""
    assert "https://api.aihubmax.com" in doctor._elsewhere(DEFAULT_BASE_URL)
    assert "aihubmax" not in doctor._elsewhere("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("key", "verdict", "advice"),
    [
        (None, "fail", "console/token"),
        (" ", "fail", "console/token"),
        ("Bearer sk-0123456789", "fail", "Bearer"),
        ("'sk-0123456789'", "fail", "quotation"),
        ("sk-0123456789\u2026", "fail", "characters"),
        ("sk-01234 56789", "fail", "blanks inside"),
        ("sk-0", "warn", "longer"),
        ("0123456789abc", "warn", "sk-"),
        ("sk-0123456789\n", "warn", "blanks around"),
        ("sk-0123456789", "ok", ""),
    ],
)
def test_the_shape_of_a_key_is_judged_without_telling_it(key: str | None, verdict: str, advice: str) -> None:
    """Its length is all that is told."""
    check = doctor.key_check(key)
    assert check.verdict == verdict
    assert advice in check.advice
    assert "0123456789" not in check.detail + check.advice


@pytest.mark.parametrize(
    ("base", "verdict"),
    [
        ("https://api.foxapi.cc", "ok"),
        ("http://127.0.0.1:8787/", "ok"),
        ("http://api.foxapi.cc", "warn"),
        ("https://api.foxapi.cc/v1", "fail"),
        ("api.foxapi.cc", "fail"),
    ],
)
def test_the_address_is_judged(base: str, verdict: str) -> None:
    """A path that is too much, a scheme that is too little."""
    assert doctor.base_check(base).verdict == verdict


def test_models_that_a_key_may_not_call_are_named() -> None:
    """None at all is a failure, some are a warning."""
    assert doctor.models_check(doctor.GROK).verdict == "ok"
    assert doctor.models_check(["veo"]).verdict == "fail"
    some = doctor.models_check(doctor.GROK[1:])
    assert some.verdict == "warn"
    assert doctor.GROK[0] in some.detail


def row(number: int, status: str, **known: Any) -> TaskRecord:  # noqa: ANN401 - as the fields are
    """Return a row of a journal."""
    needed = {"attempt": 1, "origin": "http://x", "fingerprint": "f", "model": "m", "request": "{}", "token": "t"}
    unknown = dict.fromkeys(("owner", "task_id", "credits_reserved", "reply", "error", "sent", "accepted", "ended"))
    values: dict[str, Any] = {**needed, **unknown, "key": f"k{number}", "planned": 0.0, **known}
    return TaskRecord(number=number, status=RecordStatus(status), **values)


def test_a_journal_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """It will be, where its folder can be."""
    path = tmp_path / "deep" / "journal.db"
    check = doctor.journal_check(path)
    assert (check.verdict, check.detail) == ("ok", f"{path} will be made")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_made_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, to whom nothing is forbidden, so the answer of the system is given."""
    monkeypatch.setattr("os.access", lambda *_: False)
    check = doctor.journal_check(tmp_path / "journal.db")
    assert check.verdict == "fail"
    assert "--journal" in check.advice


def test_a_journal_that_is_none_is_a_failure(tmp_path: Path) -> None:
    """Nothing can be submitted with it."""
    path = tmp_path / "journal.db"
    path.write_text("a shopping list, and nothing like a database" * 20)
    check = doctor.journal_check(path)
    assert check.verdict == "fail"
    assert str(path) in check.detail


@pytest.mark.parametrize(
    ("statuses", "verdict", "found", "advice"),
    [
        ([], "ok", "0 submissions, 0 unfinished, 0 uncertain", ()),
        (["completed", "refused"], "ok", "2 submissions, 0 unfinished, 0 uncertain", ()),
        (["accepted", "accepted"], "ok", "2 submissions, 2 unfinished, 0 uncertain", ("foxvideo resume",)),
        (
            ["accepted", "uncertain"],
            "warn",
            "2 submissions, 1 unfinished, 1 uncertain",
            ("resume", "tasks --uncertain"),
        ),
    ],
)
def test_what_the_journal_knows_is_counted(
    statuses: list[str], verdict: str, found: str, advice: tuple[str, ...]
) -> None:
    """And what to do about it is said."""
    check = doctor.rows_check(Path("j.db"), [row(number, status) for number, status in enumerate(statuses)])
    assert (check.verdict, check.detail) == (verdict, f"j.db: {found}")
    assert all(words in check.advice for words in advice)
    assert bool(check.advice) is bool(advice)


@pytest.mark.parametrize(
    "base", ["https://me:hush@api.foxapi.cc", "https://api.foxapi.cc/?token=hush", "me:hush@api.foxapi.cc"]
)
@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
def test_an_address_that_is_refused_shows_no_password(base: str, words: list[str]) -> None:
    """A report of this command is what people paste into a question."""
    result = CliRunner().invoke(app, words, env={"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": base})
    assert result.exit_code == 1
    assert "hush" not in result.output


async def test_the_proxy_of_the_environment_is_looked_at_where_it_is_used(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line goes through it, as others do; its password is not shown."""
    port = emulator.base_url.rpartition(":")[2]
    monkeypatch.setenv("http_proxy", f"http://me:hush@127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    found = {check.name: check for check in (await examine(KEY, "http://fox.invalid"))[0]}
    assert found["network"].verdict == found["models"].verdict == "ok"
    assert found["network"].detail.startswith(f"127.0.0.1:{port}, the proxy of the environment, takes")

    monkeypatch.setenv("http_proxy", "socks5://me:hush@127.0.0.1:1")
    again = {check.name: check for check in (await examine(KEY, "http://fox.invalid"))[0]}
    assert again["network"].verdict == "fail"
    assert "hush" not in repr([found, again])


@pytest.mark.parametrize("key", [KEY, ""])
async def test_the_command_ends_with_0_only_if_nothing_fails(emulator: Emulator, key: str) -> None:
    """In words and in JSON, and the key is in neither."""
    env = {"FOXAPI_API_KEY": key, "FOXAPI_BASE_URL": emulator.base_url}
    words = await asyncio.to_thread(CliRunner().invoke, app, ["doctor"], env=env)
    told = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--json"], env=env)
    assert words.exit_code == told.exit_code == (0 if key else 1)
    assert KEY not in words.output + told.output
    report = json.loads(told.stdout)
    assert report["ok"] is bool(key)
    assert report["base_url"] == emulator.base_url
    assert [check["name"] for check in report["checks"]] == [
        "key", "address", "network", "cloudflare", "key taken", "models", "journal",
    ]  # fmt: skip
    if key:
        assert report["grok"] == dict.fromkeys(doctor.GROK, True)
    else:
        assert "skip  models" in words.stdout

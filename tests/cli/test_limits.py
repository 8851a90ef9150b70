"""``foxvideo limits``: shown and set with no key, in a file and in a database."""

import asyncio
import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from foxvideo._journal import Place, store_at
from foxvideo.cli.app import app
from foxvideo.cli.outcome import exit_code, hints, message
from foxvideo.errors import LimitReached


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


def run(path: Place, *words: str, env: dict[str, str] | None = None) -> Result:
    """Run the command on a journal."""
    return CliRunner().invoke(app, ["limits", "--journal", str(path), *words], env=env)


def told(path: Place, *words: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
    """Run it, and return its JSON."""
    result = run(path, *words, "--json", **options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def _halt(path: Place) -> None:
    async with store_at(path) as store:
        await store.halt("default", "no credits")


def test_what_is_not_given_stays_as_it_is(path: Place) -> None:
    """And ``none`` takes a limit away."""
    assert told(path)["max_active"] is None
    first = told(
        path, "--max-active", "40", "--rate", "0.5", "--max-credits", "5000", "--since", "2026-11-01T08:00+00:00"
    )
    assert (first["max_active"], first["per_second"], first["max_credits"]) == (40, 0.5, 5000.0)
    assert first["since"] == "2026-11-01T08:00:00+00:00"
    assert told(path, "--max-active", "8") == first | {"max_active": 8}
    assert told(path, "--rate", "none") == first | {"max_active": 8, "per_second": None}
    assert told(path) == first | {"max_active": 8, "per_second": None}


def test_it_says_in_words_where_the_account_stands(path: Place) -> None:
    """One line for each limit."""
    run(path, "--max-active", "40", "--max-credits", "5000", "--since", "2026-11-01")
    lines = run(path).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["account", "active", "per second", "credits"]
    assert "0 of 40" in lines[1]
    assert "any number" in lines[2]
    assert "0 of 5000 since 2026-11-01" in lines[3]


def test_a_halt_is_shown_and_ended(path: Place) -> None:
    """Its reason is the service's."""
    run(path, "--max-active", "40")
    asyncio.run(_halt(path))
    assert "halted:       no credits" in run(path).stdout
    assert told(path, "--go-on")["halted"] is None
    assert "halted" not in run(path).stdout


def test_each_account_has_its_own(path: Place) -> None:
    """Named by an option, or by the environment."""
    run(path, "--max-active", "40", "--account", "studio")
    assert told(path)["max_active"] is None
    assert told(path, env={"FOXVIDEO_ACCOUNT": "studio"})["max_active"] == 40
    assert told(path, "--account", "studio")["account"] == "studio"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--max-active", "many", "a whole number"),
        ("--max-active", "0", "max_active"),
        ("--rate", "-1", "per_second"),
        ("--rate", "fast", "a number"),
        ("--max-credits", "nan", "max_credits"),
        ("--since", "yesterday", "2026-11-01"),
    ],
)
def test_a_wrong_limit_is_refused_by_name(option: str, value: str, says: str, path: Place) -> None:
    """And changes nothing."""
    result = run(path, option, value)
    assert (result.exit_code, says in result.output) == (2, True)
    assert told(path)["max_active"] is None


def test_a_command_that_reached_the_limits_says_what_shows_them() -> None:
    """With the exit code of an account that pays for nothing more."""
    error = LimitReached("submissions of the account are halted: no credits", submitted="no")
    assert exit_code(error) == 3
    assert "no credits" in message(error)
    assert any("foxvideo limits" in hint for hint in hints(error, {}))
    assert not isinstance(error, click.ClickException)

"""What a command line tells before it does anything: help, what a mistyped word is like, completion, a dry run."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from journals import claiming

from foxvideo._journal import RecordStatus, SqliteStore
from foxvideo.cli import completion
from foxvideo.cli.app import app
from foxvideo.cli.commands import doctor


def said(*words: str, code: int = 0) -> str:
    """Run a command in this process, and return all that it says."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result.output


def test_help_names_the_everyday_commands_first_and_cuts_no_warning() -> None:
    """Who does not know the tool reads three lines of it."""
    text = said("--help")
    places = [text.index(f"\n  {name} ") for name in ("generate", "batch", "resume", "tasks", "adopt", "emulator")]
    assert places == sorted(places)
    assert "YOU PAY TWICE" in " ".join(text.split())
    assert "..." not in text.partition("Every day:")[2]
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert f"\n  {code} " in text


@pytest.mark.parametrize(
    ("word", "like"), [("gen", "generate"), ("genrate", "generate"), ("resum", "resume"), ("task", "tasks")]
)
def test_a_mistyped_command_is_told_what_it_is_like(word: str, like: str) -> None:
    """Not a list of fifteen."""
    assert f"did you mean {like}" in said(word, code=2)
    assert "did you mean" not in said("zzzz", code=2)


def test_a_dry_run_checks_all_and_sends_nothing(tmp_path: Path) -> None:
    """It needs neither a key nor a network, so it can only be what it says."""
    (tmp_path / "page.png").write_text("<html>403</html>")
    out = said("generate", "A fox", "--duration", "6", "--dry-run")
    assert "grok-imagine-text-to-video: prompt='A fox', duration=6" in out
    assert "nothing was sent" in out
    assert "duration=99" in said("generate", "A fox", "--duration", "99", "--dry-run", code=2)
    assert "text or a page" in said("generate", "A fox", "--image", f"{tmp_path}/page.png", "--dry-run", code=1)
    assert "did you mean kling-v3-image-to-video" in said(
        "generate", "A fox", "--model", "kling-v3-image-to-vide", "--dry-run", code=2
    )
    assert "kling-v3-image-to-vide:" in said(
        "generate", "A fox", "--model", "kling-v3-image-to-vide", "--no-check", "--dry-run"
    )


@pytest.fixture
async def context(tmp_path: Path) -> click.Context:
    """What a shell has typed so far, and a journal."""
    async with SqliteStore(tmp_path / "v.db") as store:
        for key in ("shot-1", "shot-2", "auto-3"):
            mine = await store.claim(claiming(key=key))
            await store.sending(mine.number)
        await store.move(1, RecordStatus.ACCEPTED, task_id="task-1")
    context = click.Context(click.Command("x"))
    context.params = {"journal": tmp_path / "v.db", "model": "kling-v3-image-to-video"}
    return context


def test_a_shell_completes_what_the_journal_knows(context: click.Context, tmp_path: Path) -> None:
    """Keys of one's own and ids, never generated keys; where there is no journal, nothing, and no error."""
    parameter: Any = click.Option(["--x"])

    def completed(complete: completion.Complete, begun: str) -> list[tuple[str, str]]:
        return [(item.value, item.type) for item in complete(context, parameter, begun)]

    assert completed(completion.complete_keys, "sh") == [("shot-2", "plain"), ("shot-1", "plain")]
    assert completed(completion.complete_task_ids, "") == [("task-1", "plain")]
    assert completed(completion.complete_media, "cat") == [("cat", "file")]
    assert completed(completion.complete_media, "https://x") == []
    assert ("image_url=", "plain") in completed(completion.complete_settings, "im")
    context.params = {"journal": tmp_path / "none.db", "model": None}
    assert completed(completion.complete_keys, "") == completed(completion.complete_settings, "") == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "place", lambda _: 1 / 0)
        assert completed(completion.complete_task_ids, "") == []


@pytest.mark.parametrize("option", ["--aspect-ratio", "--resolution"])
def test_a_shell_completes_shapes(option: str) -> None:
    """They are few, and nobody knows them by heart."""
    generate = app.commands["generate"]
    (found,) = (each for each in generate.params if option in each.opts)
    assert len(found.shell_complete(click.Context(generate), "")) >= 2


def test_a_doctor_says_where_there_is_no_place_for_a_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one check that failed among others, with its cure."""

    def nowhere(_: object) -> Path:
        raise click.UsageError("there is no home folder")

    monkeypatch.setattr(doctor, "place", nowhere)
    check = doctor._journal(None)
    assert (check.verdict, "--journal" in check.advice) == ("fail", True)

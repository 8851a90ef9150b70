"""``foxvideo limits``: what all clients of a journal may do with an account together."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import click

from foxvideo._journal import Place, store_at
from foxvideo._journal.record import account_name
from foxvideo.account import AccountUse
from foxvideo.cli import command
from foxvideo.cli.journal import journal_option, ready

_NONE = "none"


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone()


_READ: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "max_active": (int, "a whole number"),
    "per_second": (float, "a number"),
    "max_credits": (float, "a number"),
    "since": (_moment, "a day such as 2026-11-01, or a time such as 2026-11-01T08:00"),
}


def _read(name: str, text: str) -> Any:  # noqa: ANN401 - as the limit of that name has it
    read, what = _READ[name]
    try:
        return None if text == _NONE else read(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is neither {what} nor {_NONE}") from None


@click.command(cls=command.Command)
@click.option("--max-active", metavar="N", help="Most tasks that are submitted and have not ended.")
@click.option("--rate", "per_second", metavar="N", help="Most submissions in a second.")
@click.option("--max-credits", metavar="N", help="Most credits that tasks may reserve.")
@click.option("--since", metavar="DAY", help="From when on --max-credits counts.")
@click.option("--go-on", is_flag=True, help="End a halt: the service takes submissions of the account again.")
@click.option("--account", metavar="NAME", help="Whose. [default: FOXVIDEO_ACCOUNT, else default]")
@journal_option
@command.json_option
def limits(*, go_on: bool, account: str | None, journal: Place | None, as_json: bool, **changes: str | None) -> None:
    """Show or set what all programs that share a journal may do with an account. Needs no key.

    What is not given stays as it is, and `none` takes a limit away. An account is halted when the service refuses its
    key or has no credits for it.

    \b
      foxvideo limits
      foxvideo limits --max-active 40 --rate 2 --max-credits 5000
      foxvideo limits --max-credits none --go-on
    """  # noqa: D301 - click wants the control character itself
    given = {name: _read(name, text) for name, text in changes.items() if text is not None}
    name = account_name(account)
    use = command.run(_changed(ready(journal), name, given, go_on=go_on))
    if as_json:
        command.print_json(_as_json(name, use))
        return
    for line in _lines(name, use):
        click.echo(line)


async def _changed(place: Place, account: str, changes: Mapping[str, Any], *, go_on: bool) -> AccountUse:
    async with store_at(place) as store:
        if changes:
            before = (await store.limits(account)).limits
            with command.bad_input():
                after = attrs.evolve(before, **changes)
            await store.set_limits(account, after)
        if go_on:
            await store.halt(account, None)
        return await store.limits(account)


def _lines(account: str, use: AccountUse) -> Iterator[str]:
    allowed = use.limits
    yield f"account:      {account}"
    yield f"active:       {use.active} of {_shown(allowed.max_active)}"
    yield f"per second:   {_shown(allowed.per_second)}" + (f", {use.gap:g} s apart since a 429" if use.gap else "")
    since = "" if allowed.since is None else f" since {allowed.since.astimezone():%Y-%m-%d %H:%M}"
    yield f"credits:      {use.credits_reserved:g} of {_shown(allowed.max_credits)}{since}"
    if use.halted is not None:
        yield f"halted:       {use.halted}"
        yield "foxvideo limits --go-on lets submissions leave again"


def _shown(limit: float | None) -> str:
    return "any number" if limit is None else f"{limit:g}"


def _as_json(account: str, use: AccountUse) -> dict[str, object]:
    since = use.limits.since
    return {
        "account": account,
        **attrs.asdict(use.limits),
        "since": None if since is None else since.isoformat(),
        "active": use.active,
        "credits_reserved": use.credits_reserved,
        "gap": use.gap,
        "halted": use.halted,
    }

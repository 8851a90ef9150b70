"""``foxvideo doctor``: what stands between this machine and a video, one check after another.

What belongs here: checks that cost nothing, and advice in words. What must not: the key in any form.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import attrs
import click
import yarl

from foxvideo._http.proxy import ProxyUnusable, of_environment
from foxvideo._journal import Place, TaskRecord
from foxvideo._journal.inspection import Finding, inspect
from foxvideo._journal.postgres import shown
from foxvideo._wire.redact import without_credentials
from foxvideo.cli import outcome
from foxvideo.cli.command import Command, base_url_option, json_option, print_json, run
from foxvideo.cli.journal import PLACE, journal_option, place, read, running, undecided
from foxvideo.client import DEFAULT_BASE_URL, Client
from foxvideo.errors import AuthenticationError, FoxError, JournalError
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
)

NEWER_BASE_URL = "https://api.aihubmax.com"
GROK = tuple(
    kind.model for kind in (GrokTextToVideo, GrokImageToVideo, GrokReferenceToVideo, GrokEditVideo, GrokVideoExtension)
)

_OTHER_JOURNAL = f"nothing can be submitted without it: mend it, or name another by --journal or {PLACE}"
_CONNECT_SECONDS = 10.0
_SHORT = 8  # characters; no key is as short
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": None}


@attrs.frozen
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        verdict: ``skip`` where an earlier failure made it pointless.
        detail: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    verdict: Literal["ok", "warn", "fail", "skip"]
    detail: str
    advice: str = ""


@click.command(cls=Command)
@base_url_option
@journal_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, base_url: str | None, journal: Place | None, as_json: bool) -> None:
    """Find out whether this key and this machine can make videos. Costs nothing.

    Looks at the key, the address, the network, Cloudflare, the models that the key may call, and the journal. Ends
    with 0 if nothing fails, else with 1.
    """
    base = base_url or os.environ.get("FOXAPI_BASE_URL") or DEFAULT_BASE_URL
    checks, models = run(examine(os.environ.get("FOXAPI_API_KEY"), base))
    checks.append(_journal(journal))
    well = not any(check.verdict == "fail" for check in checks)
    if as_json:
        grok = {model: model in models for model in GROK} if models is not None else None
        print_json(
            {
                "ok": well,
                "base_url": without_credentials(base),
                "checks": [attrs.asdict(check) for check in checks],
                "grok": grok,
                "models": None if models is None else list(models),
            }
        )
    else:
        for check in checks:
            label = click.style(f"{check.verdict:<5}", fg=_COLOURS[check.verdict])
            click.echo(f"{label} {check.name:<11} {check.detail}")
            if check.advice:
                click.echo(click.wrap_text(check.advice, _width(), " " * 18 + "-> ", " " * 21))
    ctx.exit(outcome.Exit.OK if well else outcome.Exit.FAILED)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 120)


async def examine(key: str | None, base: str) -> tuple[list[Check], tuple[str, ...] | None]:
    """Look at everything that can be looked at.

    Args:
        key: The key; None where there is none.
        base: Where the service should answer.

    Returns:
        The findings, and the models that the key may call; None where they could not be asked for.
    """
    checks = [key_check(key), base_check(base)]
    if checks[1].verdict == "fail":
        return [*checks, *_skipped("network", "cloudflare", "key taken", "models")], None
    checks.append(await _network_check(base))
    if any(check.verdict == "fail" for check in checks):
        return [*checks, *_skipped("cloudflare", "key taken", "models")], None
    found, models = await _service_checks(Client(key, base, trust_env=True), base)
    return [*checks, *found], models


def _skipped(*names: str) -> list[Check]:
    return [Check(name, "skip", "not tried") for name in names]


def key_check(key: str | None) -> Check:
    """Look at the shape of a key, of which nothing but the length is told."""
    bare = (key or "").strip()
    if not key or not bare:
        return Check("key", "fail", "FOXAPI_API_KEY is not set", outcome.NO_KEY)
    faults = {
        "leave out the word Bearer": bare.lower().startswith("bearer"),
        "it has quotation marks, leave them out": {bare[0], bare[-1]} & {'"', "'"},
        "it has characters that no key has: copy it once more": not bare.isascii() or not bare.isprintable(),
        "it has blanks inside: copy it once more": len(bare.split()) > 1,
    }
    doubts = {
        "FoxAPI's keys are longer and begin with sk-: is it one?": len(bare) < _SHORT or not bare.startswith("sk-"),
        "it has blanks around it, which are left out": bare != key,
    }
    size = f"FOXAPI_API_KEY is set, {len(key)} characters"
    if advice := next((advice for advice, found in faults.items() if found), ""):
        return Check("key", "fail", size, advice)
    advice = next((advice for advice, found in doubts.items() if found), "")
    return Check("key", "warn" if advice else "ok", size, advice)


def _journal(given: Place | None) -> Check:
    try:
        return journal_check(place(given))
    except click.UsageError as error:
        return Check("journal", "fail", error.message, f"--journal PATH, or {PLACE} in the environment")


def journal_check(path: Place) -> Check:
    """Look at the journal, without making one: can it be written, and is there something to do?"""
    if isinstance(path, Path) and not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK | os.X_OK):
            return Check("journal", "fail", f"{path} cannot be made", _OTHER_JOURNAL)
        return Check("journal", "ok", f"{path} will be made")
    try:
        check = rows_check(path, run(read(path)))
        return _with_findings(check, inspect(path)) if isinstance(path, str) else check
    except JournalError as error:
        return Check("journal", "fail", error.what, error.hint if isinstance(path, str) else _OTHER_JOURNAL)


def _with_findings(check: Check, found: Sequence[Finding]) -> Check:
    """Add to what is in a journal what was found about its database."""
    if not found:
        return check
    verdict: Literal["warn", "fail"] = "fail" if any(finding.fatal for finding in found) else "warn"
    what = "; ".join((check.detail, *(finding.what for finding in found)))
    advice = "; ".join(filter(None, (*(finding.advice for finding in found), check.advice)))
    return attrs.evolve(check, verdict=verdict, detail=what, advice=advice)


def rows_check(path: Place, rows: Sequence[TaskRecord]) -> Check:
    """Count what is in a journal, and say what is to be done about it."""
    going_on, open_ones = len(running(rows)), len(undecided(rows))
    found = f"{shown(path)}: {len(rows)} submissions, {going_on} unfinished, {open_ones} uncertain"
    advice = ["foxvideo resume finishes and saves them"] if going_on else []
    if open_ones:
        advice.append("foxvideo tasks --uncertain shows what may have been made and may be paid for")
    return Check("journal", "warn" if open_ones else "ok", found, "; ".join(advice))


def base_check(base: str) -> Check:
    """Look at the address, without asking it."""
    try:
        Client("none", base)
    except ValueError as error:
        return Check("address", "fail", str(error), f"try {DEFAULT_BASE_URL} or {NEWER_BASE_URL}")
    url = urlsplit(base)
    if url.path.rstrip("/").endswith("/v1"):
        return Check("address", "fail", base, "leave out /v1")
    if url.scheme == "http" and url.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return Check("address", "warn", base, "http sends the key unencrypted: is it not https?")
    return Check("address", "ok", base)


async def _network_check(base: str) -> Check:
    try:
        proxy = of_environment(yarl.URL(base))
    except ProxyUnusable as error:
        return Check("network", "fail", str(error), "set it right, or name the host in NO_PROXY")
    url = yarl.URL(base) if proxy is None else proxy.url
    secure, host, port = url.scheme == "https", url.host or "", url.port
    where = f"{host}:{port}" if proxy is None else f"{host}:{port}, the proxy of the environment,"
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=secure or None)
    except TimeoutError:
        return Check("network", "fail", f"{where} does not answer in {_CONNECT_SECONDS:g} s", _elsewhere(base))
    except OSError as error:
        return Check("network", "fail", f"{where} cannot be reached: {error}", _elsewhere(base))
    address = writer.get_extra_info("peername")[0]
    writer.close()
    return Check("network", "ok", f"{where} takes connections, at {address}")


def _elsewhere(base: str) -> str:
    """Say what else to try where nothing answers."""
    advice = ["check the network"]
    if urlsplit(base).hostname == urlsplit(DEFAULT_BASE_URL).hostname:
        advice.append(f"the service's newer name may answer: export FOXAPI_BASE_URL={NEWER_BASE_URL}")
    return "; ".join(advice)


async def _service_checks(client: Client, base: str) -> tuple[list[Check], tuple[str, ...] | None]:
    """Ask for the models of the key; the answer tells about Cloudflare and the key, too."""
    try:
        async with client:
            models = await client.models()
    except AuthenticationError as error:
        if "Cloudflare" in error.what:
            found = Check(
                "cloudflare", "fail", error.what, "in Python, that is; the command line always calls itself foxvideo"
            )
            return [found, *_skipped("key taken", "models")], None
        advice = f"make a new one at {outcome.KEYS_PAGE}, and check that it belongs to this address"
        taken = Check("key taken", "fail", f"no: {error.what}", advice)
        return [Check("cloudflare", "ok", "lets foxvideo through"), taken, *_skipped("models")], None
    except FoxError as error:
        answer = Check("service", "fail", str(error), _elsewhere(base))
        return [answer, *_skipped("key taken", "models")], None
    return [
        Check("cloudflare", "ok", "lets foxvideo through"),
        Check("key taken", "ok", f"yes, for {len(models)} models"),
        models_check(models),
    ], models


def models_check(models: Sequence[str]) -> Check:
    """Say which of the five Grok models are among those that the key may call."""
    missing = [model for model in GROK if model not in models]
    if not missing:
        return Check("models", "ok", "all five grok-imagine models")
    advice = "the group of a key decides what it may call: see the console"
    if len(missing) == len(GROK):
        return Check("models", "fail", "none of the five grok-imagine models", advice)
    return Check("models", "warn", f"not among them: {', '.join(missing)}", advice)

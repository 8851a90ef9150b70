"""What a reply other than the wanted one means: status, headers and body to an error.

Statuses, types and codes: https://docs.foxapi.cc/pages/en/api-manual/task-management/error-codes. What of it says that
nothing was made stands in ``decode.py``.
"""

import json
import re
from http import HTTPStatus

import attrs

from foxvideo._wire.reply import Reply, retry_after
from foxvideo._wire.structure import mapping, text
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    Context,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    ServiceUnavailable,
)

_SNIPPET = 200  # characters of an unreadable body that an error keeps
_NOT_CALLABLE = "model_not_found"  # by this key, now or later; the other codes of its kind are about this moment
# https://docs.foxapi.cc/pages/en/api-manual/task-management/error-codes; live clients met the codes with 422.
_NO_CHANNEL = frozenset({_NOT_CALLABLE, "no_compatible_channel", "no_available_model"})
_NO_CHANNEL_TYPE = "service_unavailable_error"
_OTHER_CLIENT = re.compile(rb"error[ -]code\W+1010\b", re.IGNORECASE)  # Cloudflare, as text or as a page
_CREDENTIALS = re.compile(r"(?<=//)[^/?#]*@|[?#].*")  # of a URL; a query may be a signature
_REQUEST_ID = re.compile(r"request[_ ]id:\s*([\w.-]+)")  # some messages end with it


@attrs.frozen
class Said:
    """What the body of an error says.

    Attributes:
        message: One line; never empty.
        code: ``error.code``, an open set of words; None if not given.
        kind: ``error.type``; None if not given.
        body: The decoded JSON, else a snippet of text.
        request_id: The service's name for the request; None if not given.
    """

    message: str
    code: str | None
    kind: str | None
    body: object
    request_id: str | None

    def context(self, reply: Reply) -> Context:
        """Return what any error about the reply carries."""
        return {"http_status": reply.status, "request_id": self.request_id, "body": self.body}


def said(reply: Reply) -> Said:
    """Return what the body of an error says: that of FoxAPI, of New API, of FastAPI, a page or nothing."""
    decoded = reply.json()
    outer = mapping(decoded)
    error, detail = outer.get("error"), outer.get("detail")
    inner = mapping(error)
    snippet = " ".join(reply.body[: 4 * _SNIPPET].decode(errors="replace").split())[:_SNIPPET]
    texts = (
        inner.get("message"),
        error if isinstance(error, str) else None,
        outer.get("message"),
        detail if isinstance(detail, str) or not detail else json.dumps(detail, ensure_ascii=False),
        snippet,
    )
    message = next((found for found in map(text, texts) if found), "an empty body")
    named = _REQUEST_ID.search(message)
    ids = (reply.headers.get("x-request-id"), reply.headers.get("x-oneapi-request-id"), text(inner.get("request_id")))
    return Said(
        message=" ".join(message.split())[: 2 * _SNIPPET],
        code=text(inner.get("code")) or text(outer.get("code")) or _cut_word(reply, "code"),
        kind=text(inner.get("type")) or _cut_word(reply, "type"),
        body=snippet if decoded is None else decoded,
        request_id=next(filter(None, ids), None) or (named[1] if named else None),
    )


def _cut_word(reply: Reply, name: str) -> str | None:
    """Return a word of an error whose body broke off after it; None in a body that is whole."""
    if reply.complete:
        return None
    found = re.search(rf'"{name}"\s*:\s*"(\w{{1,100}})"'.encode(), reply.body)
    return found[1].decode() if found else None


def refusal(reply: Reply) -> FoxError:  # noqa: PLR0911 - a table, a row each
    """Return the error that a reply other than the wanted one means; its word on money is ``"no"``."""
    body = said(reply)
    context = body.context(reply)
    match reply.status:
        case 400 | 413 | 422:
            return _invalid(body, context)
        case 401:
            return AuthenticationError(body.message, **context, submitted="no")
        case 402:
            return InsufficientCredits(body.message, **context, submitted="no")
        case 403:
            return _forbidden(reply, body.message, context)
        case 429:
            wait = retry_after(reply.headers.get("Retry-After"), reply.received)
            return RateLimited(body.message, retry_after=wait, **context, submitted="no")
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return BadReply(_redirected(reply), **context, submitted="no")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServiceUnavailable(body.message, **context, submitted="no")
    return BadReply(body.message, **context, submitted="no")


def is_busy(error: FoxError) -> bool:
    """Whether an error means *not now*: 429, or no channel for the model.

    That such a refusal makes nothing is what live clients believe and no page promises, so it is for
    ``trust_refusals`` to say.
    """
    no_channel = isinstance(error, ModelUnavailable) and (error.code or "").lower() != _NOT_CALLABLE
    return no_channel or isinstance(error, RateLimited)


def _invalid(body: Said, context: Context) -> FoxError:
    if context.get("http_status") == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        what = f"the body is too large: {body.message}"
        return InvalidRequest(what, code=body.code, **context, submitted="no")
    if (body.code or "").lower() in _NO_CHANNEL or body.kind == _NO_CHANNEL_TYPE:
        return ModelUnavailable(body.message, code=body.code, **context, submitted="no")
    return InvalidRequest(body.message, code=body.code, **context, submitted="no")


def _forbidden(reply: Reply, message: str, context: Context) -> FoxError:
    if _OTHER_CLIENT.search(reply.body):
        what = f"{message}: Cloudflare refuses this User-Agent, pass another as Client(user_agent=...)"
        return AuthenticationError(what, **context, submitted="no")
    # A page did not come from FoxAPI: a firewall or a portal on the way says that, not the account.
    kind = AuthenticationError if isinstance(context["body"], dict) else BadReply
    return kind(message, **context, submitted="no")


def _redirected(reply: Reply) -> str:
    target = _CREDENTIALS.sub("", reply.headers.get("Location", "nowhere"))
    return f"redirected to {target[:_SNIPPET]}, which is not followed: is base_url right?"

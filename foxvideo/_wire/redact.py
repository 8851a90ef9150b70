"""Text from outside without the API key, passwords and signatures, so that no error, log or journal shows them."""

import html
import json
import re

import attrs

_HIDDEN = "[key]"
_SHORT = 8  # characters; a key as short as `sk-1` occurs by chance inside longer words, links and ids
_ESCAPE = re.compile(rb"[\\%&\0]")  # without one of them, the key can only stand there as it is
_ID = r'(?P<id>"(?:task_)?id"\s*:\s*"[^"\\\s]{1,400}")'
# A word begins after what is not a letter of a key, or after an escape: `Bearer%20sk-1`.
_BEGIN = r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\[bfnrt]))"
_END = r"(?![\w-])"
_USER = re.compile(r"(?<!\S)\S*@")  # and what is before it: a malformed URL has no certain beginning
_QUERY = re.compile(r"(?<=\S)\?\S+")


def _spellings(letter: str) -> str:
    """Return the pattern of a letter as it is, and as JSON, a URL and HTML may escape it."""
    code, plain = f"{ord(letter):02x}", re.escape(letter)
    named = re.escape(html.escape(letter))
    return rf"(?:{plain}|\\{plain}|{named}|(?i:\\u00{code}|%{code}|&\#x0*{code};)|&\#0*{ord(letter)};)"


@attrs.frozen
class Redaction:
    """Hides one API key, however it is spelled."""

    _key: bytes = attrs.field(repr=False)
    _everywhere: re.Pattern[str] = attrs.field(repr=False)
    _beside_ids: re.Pattern[str] = attrs.field(repr=False)

    @classmethod
    def of(cls, key: str) -> "Redaction":
        """Return what hides this key, which has printable ASCII alone."""
        spelled = "".join(map(_spellings, key))
        spelled = rf"{_BEGIN}{spelled}{_END}" if len(key) < _SHORT else spelled
        return cls(key.encode(), re.compile(spelled, re.ASCII), re.compile(rf"{_ID}|{spelled}", re.ASCII))

    def text(self, text: str) -> str:
        """Return a text without the key."""
        return self._everywhere.sub(_HIDDEN, text) if self.may_be_in(text.encode(errors="replace")) else text

    def body(self, body: bytes) -> bytes:
        """Return the body of a reply, in any encoding that JSON may have, without the key.

        The id of a task stays as it is, also where the key is a part of it: it is worth money.
        """
        if not self.may_be_in(body):
            return body
        if (encoding := json.detect_encoding(body)).startswith(("utf-16", "utf-32")):
            body = body.decode(encoding, "replace").encode(errors="replace")
        return self._beside_ids.sub(self._hidden, body.decode("latin-1")).encode("latin-1")

    def may_be_in(self, text: bytes) -> bool:
        """Whether the key may stand in a text; where not, it certainly does not."""
        return self._key in text or _ESCAPE.search(text) is not None

    def _hidden(self, found: re.Match[str]) -> str:
        if found["id"] is None:
            return _HIDDEN
        # An id that is nothing but the key is an echo, and with a space in it no id any more.
        echo = f'"{self._key.decode()}"'
        return f'{found[0].removesuffix(echo)}" {_HIDDEN}"' if found[0].endswith(echo) else found[0]


def without_credentials(text: str) -> str:
    """Return foreign words about a URL, such as an exception's, without user, password and query."""
    return _QUERY.sub("", _USER.sub("", text))

"""Links to pictures and videos: what one looks like, and which are of a page instead of a file.

A task that is given the link of a page is paid for and fails, so what is certain is refused before. Nothing is asked
of any host.
"""

import re
from urllib.parse import urlsplit

_AROUND = re.compile(r"\A[\s\ufeff\u200b]+|[\s\ufeff\u200b]+\Z")  # what is copied along with a link
_SCHEME = re.compile(r"https?(?=://)", re.IGNORECASE)
_PRIVATE = re.compile(r"(?<=://)[^\s/?#@]*@|\?.*", re.DOTALL)
_LEADS_TO_A_PAGE = re.compile(
    r"""
      (drive|docs)\.google\.com/(?!uc\b|thumbnail\b).*
    | photos\.google\.com/.*  | photos\.app\.goo\.gl/.*
    | (www\.)?dropbox\.com/(?!.*[?&](raw|dl)=1\b).*
    | 1drv\.ms/.*             | onedrive\.live\.com/(?!download\b).*
    | [^/]+\.sharepoint\.com/(?!.*[?&]download=1\b).*
    | (www\.)?icloud\.com/.*  | we\.tl/.*           | (www\.)?wetransfer\.com/.*
    | github\.com/[^/]+/[^/]+/blob/(?!.*[?&]raw=(1|true)\b).*
    | (www\.)?imgur\.com/(?![^/]+\.\w+$).*
    | (www\.|m\.)?youtube\.com/.*  | youtu\.be/.*   | (www\.)?vimeo\.com/.*
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def is_web_url(text: str) -> bool:
    """Whether a text is an http(s) URL with a host, and has no blank anywhere."""
    if not _SCHEME.match(text) or re.search(r"[\s\ufeff\u200b]", text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def tidied(text: str) -> str:
    """Return the link that a cell or an argument means: without blanks around it; any other text as it is."""
    bare = _AROUND.sub("", text)
    return _SCHEME.sub(lambda found: found[0].lower(), bare, count=1) if is_web_url(bare) else text


def wrong(text: str) -> str | None:
    """Say what is wrong with a text that should be a link to a file; None where nothing is known to be."""
    if not is_web_url(text):
        if is_web_url(bare := _AROUND.sub("", text)):
            return "an http(s) URL without the blanks around it"
        if _SCHEME.match(bare) and re.search(r"\s", bare):
            return "an http(s) URL, in which a blank is written %20"
        return "an http(s) URL; for a local file pass a pathlib.Path"
    parts = urlsplit(text)
    if _LEADS_TO_A_PAGE.fullmatch(f"{parts.hostname}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"):
        return "the link of a file, not of a page that shows it: save the file and pass that"
    return None


def shown(text: str) -> str:
    """Return a text with its links as an error shows them: without a password and without what may be a signature."""
    return _PRIVATE.sub("", text) if "://" in text else text

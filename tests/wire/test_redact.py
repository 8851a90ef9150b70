"""No text from outside shows the key, a password or a signature; and no id of a task is changed."""

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st
from replies import reply

from foxvideo._wire.decode import read_submit
from foxvideo._wire.redact import Redaction, without_credentials
from foxvideo._wire.structure import is_task_id

KEYS = ["sk-1", "k", "sk-4f9a1c77b2d", "sk-0123456789abcdefghij", "sk-Top/Secret+012&3<4>~abc="]

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON with slashes escaped": lambda key: key.replace("/", "\\/"),
    "in JSON as Go has it": lambda key: "".join(f"\\u{ord(each):04x}" if each in "<>&" else each for each in key),
    "in JSON, all escaped": lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL, all escaped": lambda key: "".join(f"%{ord(each):02x}" for each in key),
    "in HTML": html.escape,
    "in HTML, by numbers": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "in HTML, by hex numbers": lambda key: "".join(f"&#x{ord(each):X};" for each in key),
}
AROUND = ["Bearer {}", '{{"message": "bad key {}."}}', "<b>{}</b>", "?key={}&x=1", "Bearer%20{}", "\\n{}\\n", "({})"]


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_any_length_is_hidden_in_every_spelling(key: str, spell: Callable[[str], str]) -> None:
    """In bodies and in headers, wherever it stands as a word."""
    redaction, spelled = Redaction.of(key), spell(key)
    for around in AROUND:
        text = around.format(spelled)
        assert redaction.text(text) == around.format("[key]")
        assert redaction.body(text.encode()) == around.format("[key]").encode()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_hidden_in_every_encoding_of_json(key: str, encoding: str) -> None:
    """The body is UTF-8 afterwards."""
    body = Redaction.of(key).body(
        json.dumps({"message": f"bad key {key}", "x": "ü"}, ensure_ascii=False).encode(encoding)
    )
    assert json.loads(body) == {"message": "bad key [key]", "x": "ü"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["id", "task_id"])
def test_a_key_inside_the_id_of_a_task_stays(key: str, name: str) -> None:
    """The id is worth money."""
    told = {name: f"task-{key}-7", "status": "pending", "message": f"for {key}"}
    redacted = Redaction.of(key).body(json.dumps(told).encode())
    assert read_submit(reply(redacted), trust_refusals=True).id == f"task-{key}-7"
    assert json.loads(redacted)["message"] == "for [key]"


@pytest.mark.parametrize("key", KEYS[2:])
def test_an_id_that_is_the_key_is_an_echo(key: str) -> None:
    """It is no id, then."""
    (id_,) = json.loads(Redaction.of(key).body(json.dumps({"id": key}).encode())).values()
    assert key not in id_
    assert not is_task_id(id_)


@pytest.mark.parametrize("text", ["desk-12", "task-sk-1", "sk-1x", "sk-1-a", "https://cdn.example/task-sk-1.mp4"])
def test_a_very_short_key_is_left_alone_inside_of_longer_words(text: str) -> None:
    """There it is chance, and a link that is changed is a video that is lost."""
    assert Redaction.of("sk-1").text(text) == text


@given(st.text(max_size=200))
def test_a_text_without_the_key_stays_as_it_is(text: str) -> None:
    """Whatever else is in it."""
    redaction = Redaction.of("sk-0123456789abcdefghij")
    assert redaction.text(text) == text
    body = text.encode(errors="replace").replace(b"\0", b" ")  # else it is UTF-16, and comes back as UTF-8
    assert redaction.body(body) == body


def test_what_hides_the_key_does_not_show_it() -> None:
    """In its own repr."""
    assert "0123456789" not in repr(Redaction.of("sk-0123456789abcdefghij"))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Cannot connect to http://user:hush@proxy:3128", "Cannot connect to proxy:3128"),
        ("user:hush@proxy:3128 is no URL", "proxy:3128 is no URL"),
        ("url='http://u:hu/sh@h:1'", "h:1'"),
        ("http://u:hush#1@h", "h"),
        ("http://u:hush?x@h", "h"),
        ("http://u:hu@sh@h:1", "h:1"),
        (
            "timeout to https://cdn.example/a.mp4?X-Signature=hush&b=c (15 s)",
            "timeout to https://cdn.example/a.mp4 (15 s)",
        ),
        ("is base_url right? yes", "is base_url right? yes"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_foreign_words_lose_users_passwords_and_queries(words: str, shown: str) -> None:
    """An exception may quote a URL in any form, also one that is malformed."""
    assert without_credentials(words) == shown


def test_long_texts_are_searched_in_no_time() -> None:
    """They may be a header of any length."""
    began = time.process_time()
    for text in ("@" * 100_000, "a" * 1_000_000, "?" * 100_000, "a?" * 100_000, "sk-" * 300_000, "%73" * 300_000):
        without_credentials(text)
        Redaction.of("sk-4f9a1c77b2d").text(text)
    assert time.process_time() - began < 10.0

"""What the replies to uploads and to the list of models say."""

import pytest
from replies import CLOUDFLARE, HTML, reply, upload_error

from foxvideo._wire.decode import read_models, read_object, read_upload
from foxvideo.errors import AuthenticationError, BadReply, FoxError, RateLimited, ServiceUnavailable, UploadError


@pytest.mark.parametrize("body", ["upload", {"data": {"url": "https://cdn.foxapi.cc/uploads/20260921/9f3c/kite.png"}}])
def test_an_upload_gives_its_url(body: object) -> None:
    """Nothing else of the reply is counted on."""
    assert read_upload(reply(body)) == "https://cdn.foxapi.cc/uploads/20260921/9f3c/kite.png"


@pytest.mark.parametrize("body", [b"", HTML, {}, {"url": None}, {"url": 7}, {"url": "kite.png"}, {"url": "ftp://a/b"}])
def test_an_upload_without_a_url_did_not_reach_foxapi(body: object) -> None:
    """It cannot be used."""
    assert type(upload_error(reply(body))) is BadReply


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "error-400-bad-json", UploadError),
        (403, "error-403-storage-full", UploadError),
        (413, "error-413", UploadError),
        (413, CLOUDFLARE, UploadError),
        (422, "error-422-invalid-file-type", UploadError),
        (401, "error-401", AuthenticationError),
        (403, b"error code: 1010", AuthenticationError),
        (403, HTML, BadReply),
        (429, "error-429", RateLimited),
        (500, "error-500", ServiceUnavailable),
        (200, HTML, BadReply),
    ],
)
def test_a_failed_upload_is_told_by_its_kind(status: int, body: object, kind: type[FoxError]) -> None:
    """What the service will not take is no fault of the request or the key."""
    error = upload_error(reply(body, status, x_request_id="req-7"))
    assert type(error) is kind
    assert (error.submitted, error.http_status, error.request_id) == ("no", status, "req-7")
    assert error.body is not None


def test_the_models_of_a_key_are_their_ids() -> None:
    """In the order of the service."""
    assert read_models(reply("models")) == ("grok-imagine-text-to-video", "gpt-5")


def test_a_row_without_an_id_is_no_model() -> None:
    """The others are."""
    assert read_models(reply({"data": [{"id": "m"}, {}, None, 7, {"id": ""}, {"id": 5}]})) == ("m", "5")


@pytest.mark.parametrize("body", [b"", HTML, [], {}, {"data": None}, {"data": {"id": "m"}}, "account-usage-wrapped"])
def test_a_reply_without_a_list_has_no_models(body: object) -> None:
    """Not an empty list: the service did not say that."""
    with pytest.raises(BadReply, match="no list"):
        read_models(reply(body))


def test_an_object_is_found_in_data_or_beside_it_by_its_names() -> None:
    """Both shapes were seen; without names anything that is not empty will do."""
    assert read_object(reply({"data": {"a": 1}}), names=("a", "b")) == {"a": 1}
    assert read_object(reply({"b": 2, "data": None}), names=("a", "b")) == {"b": 2, "data": None}
    assert read_object(reply({"x": 1})) == {"x": 1}
    for names, body in ((("a",), {"x": 1}), ((), {})):
        with pytest.raises(BadReply):
            read_object(reply(body), names=names)

"""Secrets: tokens, signed addresses, logins. They are in no message, hint or answer, whoever raised it, and where."""

from __future__ import annotations

import json
import logging
import pickle
import string
import traceback
from collections.abc import Callable

import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sealift.errors import DestinationError, SealiftError
from sealift.redact import HIDDEN, Redaction, cut
from sealift.stores.hub.refusals import LOGGERS

SECRET = st.text(string.ascii_letters + string.digits, min_size=20, max_size=40)
AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

SHAPES: dict[str, Callable[[str], str]] = {
    "token": "hf_{}".format,
    "token of an app": "hf_oauth_{0}.{0}-{0}".format,
    "another's token": "ghp_{}".format,
    "signed token": "eyJ{0}.{0}.{0}".format,
    "header": "Authorization: Bearer {}".format,
    "header in a dict": "{{'authorization': 'Basic {}'}}".format,
    "header as a client keeps it": "[(b'Authorization', b'Bearer {}')]".format,
    "escaped JSON": '{{\\"authorization\\": \\"Bearer {}\\"}}'.format,
    "store's header": "X-Xet-Access-Token: {}".format,
    "cookie": "Cookie: token={}".format,
    "answer of a Hub": '{{"casUrl": "https://cas", "accessToken": "{}", "exp": 1}}'.format,
    "option": "sealift publish --token {} --to org/name".format,
    "option with =": "--token={}".format,
    "variable": "HF_TOKEN={}".format,
    "secret of S3": "AWS_SECRET_ACCESS_KEY={}".format,
    "address of S3": "https://s3/b/k?X-Amz-Date=1&X-Amz-Credential={0}%2F2026&X-Amz-Signature={0}&x=1".format,
    "address of Google": "https://g/b/k?X-Goog-Signature={}".format,
    "address of CloudFront": "https://cdn/k?Expires=1&Policy={0}_&Signature={0}~-_&Key-Pair-Id={0}".format,
    "address of Azure": "https://b.blob/k?se=1&sp=r&sig={}%3D".format,
    "token in an address": "https://hub/x?a=1&token={}".format,
    "token first in an address": "https://hub/x?access_token={}#frag".format,
    "key in an address": "https://hub/x?api_key={}&b=2".format,
    "address in an address": "https://proxy/?to=https%3A%2F%2Fs3%2Fk%3FX-Amz-Signature%3D{}%26x%3D1".format,
    "address in HTML": "https://hub/x?a=1&amp;signature={}".format,
    "address in JSON": "https://hub/x?a=1\\u0026signature={}".format,
    "login": "https://user:{}@proxy:3128/".format,
    "login without a name": "https://{}@host/x".format,
    "login with an @ in it": "s3://key:a@{}@host/b".format,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(secret=SECRET, before=AROUND, after=AROUND)
def test_every_shape_is_cut_out_wherever_it_stands(shape: str, secret: str, before: str, after: str) -> None:
    """Whatever is around it, on the lines before and behind; once more changes nothing."""
    assume(secret not in before + after)
    shown = cut(f"{before}\n{SHAPES[shape](secret)}\n{after}")
    assert secret not in shown
    assert HIDDEN in shown
    assert cut(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub and shelf_abcdefgh.flac stay",
        "column `token` of table `tokens` is null in 12 rows: token: 5",
        "audio/authorization.wav was modified",
        "the key is null; choose another --key",
        "hf://datasets/org/name@main and https://hub/datasets/org/name/tree/main?recursive=true",
        "x?tokens=5&policyholder=1&sign=2&b=3",
        "a policy = b, sig=4",
        "tokenizer: 'whisper-large-v3'",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_plain_words_stay(text: str) -> None:
    """What only sounds like a secret is said as it is."""
    assert cut(text) == text


@pytest.mark.parametrize(
    "piece", ["?token", "://a@", "a-", "eyJa", "authorization:", "&a", "hf_app_", "A_", "cookie ", "%26"]
)
def test_no_text_takes_long(piece: str) -> None:
    """A text made to be hard to search, of 200 KB, comes back: the time grows with its length, not with its square."""
    assert cut(piece * (200_000 // len(piece)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_error_says_no_secret(shape: str) -> None:
    """Neither its text nor its hint, its address fields, its traceback or what a worker sends of it to the driver."""
    secret = "q7Zk" * 6
    said = SHAPES[shape](secret)
    error = DestinationError(f"no answer: {said}", hint=f"look at {said}", url=f"https://hub/?x=1 {said}", path="a/b")
    for one in (error, pickle.loads(pickle.dumps(error))):
        everything = [str(one), repr(one), json.dumps(one.as_json()), *traceback.format_exception(one)]
        assert secret not in "".join(everything)
        assert one.fields["path"] == "a/b"


def test_paths_of_an_error_are_for_programs() -> None:
    """A name that looks like a token stays in the fields, or nobody could find the file; printed, it is hidden."""
    path = "audio/hf_abcdefgh12345678.flac"
    error = SealiftError("gone", path=path)
    assert error.fields["path"] == path
    assert path not in json.dumps(Redaction().value(error))


def test_known_values_are_hidden_whatever_they_look_like() -> None:
    """Within JSON, too: as names, values, and in what is nested."""
    redaction = Redaction.from_environment({"DB_PASSWORD": "pa$$ word", "HF_TOKEN": " plain-token\n"})
    shown = json.dumps(redaction.value({"pa$$ word": ["x", {"y": "is plain-token here"}], "z": b"pa$$ word"}))
    assert "pa$$" not in shown
    assert "plain-token" not in shown


@pytest.mark.parametrize("name", LOGGERS)
def test_a_log_of_the_client_says_no_signed_address(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever logs what the Hub's client tells of its requests gets addresses that open nothing, once and readable."""
    logger, signed = logging.getLogger(name), "https://store/a/b?X-Amz-Credential=q7Zk&X-Amz-Signature=q7Zkq7Zk&x=q7Zk"
    with caplog.at_level(logging.DEBUG, logger=name):
        logger.info('HTTP Request: %s %s "%s %d %s"', "PUT", signed, "HTTP/1.1", 200, "OK")
        logger.debug("headers=%r", [(b"Location", signed.encode()), (b"Authorization", b"Bearer q7Zkq7Zkq7Zk")])
        logger.warning(f"thrown while requesting PUT {signed} (100% of tries)")
    assert "q7Zk" not in caplog.text
    assert caplog.messages[0] == 'HTTP Request: PUT https://store/a/b "HTTP/1.1 200 OK"'
    assert caplog.messages[2].endswith("https://store/a/b (100% of tries)")


def test_the_client_has_no_other_logger_of_requests(caplog: pytest.LogCaptureFixture) -> None:
    """The names are those that it has: a request to nowhere is logged by the first of them as it is said here."""
    address = "https://store.invalid/a?X-Amz-Signature=q7Zkq7Zk"
    answering = httpx2.MockTransport(lambda _: httpx2.Response(200))
    with caplog.at_level(logging.DEBUG), httpx2.Client(transport=answering) as client:
        client.put(address)
    assert [(one.name, one.getMessage()) for one in caplog.records] == [
        ("httpx2", 'HTTP Request: PUT https://store.invalid/a "HTTP/1.1 200 OK"')
    ]

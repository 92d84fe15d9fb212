"""Downloads: every range is the bytes of the file, large or small, and the headers are those that clients keep."""

from __future__ import annotations

import random

import pytest
from tests.localhub.wire import Dataset, Wire, large, refused, sha256, small

DATA = random.Random(3).randbytes(2_500_000)


@pytest.fixture(params=["small", "large"])
def file(request: pytest.FixtureRequest, dataset: Dataset) -> Dataset:
    """A dataset with DATA as `f.bin`, as a small file or by LFS."""
    line = large("f.bin", dataset.send(DATA)) if request.param == "large" else small("f.bin", DATA)
    assert dataset.commit(line).status == 200
    return dataset


RANGES = [
    ("0-0", 0, 1),
    ("0-99", 0, 100),
    ("1234567-2345678", 1234567, 2345679),
    ("2499999-", 2499999, 2500000),
    ("100-99999999", 100, 2500000),
    ("-1", 2499999, 2500000),
    ("-1000000", 1500000, 2500000),
    ("-99999999", 0, 2500000),
]


@pytest.mark.parametrize(("asked", "start", "end"), RANGES)
def test_ranges_are_the_bytes(file: Dataset, asked: str, start: int, end: int) -> None:
    """206 with exactly these bytes, and where they lie."""
    answer = file.get("f.bin", headers={"Range": f"bytes={asked}"})
    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/2500000"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", [None, "bytes=5-2", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes=x-"])
def test_what_is_no_single_range_is_everything(file: Dataset, asked: str | None) -> None:
    """200 with the whole file: that is allowed, and no client takes it for something else."""
    answer = file.get("f.bin", headers={"Range": asked} if asked else {})
    assert (answer.status, answer.body == DATA) == (200, True)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("asked", ["2500000-", "9999999-99999999", "-0"])
def test_a_range_behind_the_end_is_refused(file: Dataset, asked: str) -> None:
    """416 with the size, so that a client that resumes knows that it has everything."""
    answer = file.get("f.bin", headers={"Range": f"bytes={asked}"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */2500000")


def test_headers_are_those_that_clients_keep(file: Dataset) -> None:
    """The same for HEAD and GET: the commit, an ETag that names the content, the size, and no encoding."""
    listed = file.wire("GET", f"{file.api}/tree/main").json()
    [entry] = [one for one in listed if one["path"] == "f.bin"]
    etag = f'"{entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]}"'
    for method in ("HEAD", "GET"):
        answer = file.wire(method, f"/datasets/{file.name}/resolve/main/f.bin")
        said = answer.headers
        assert (said["X-Repo-Commit"], said["ETag"], said["Content-Length"]) == (file.head, etag, "2500000")
        assert (said["Accept-Ranges"], said["Content-Encoding"]) == ("bytes", None)
        assert (said["X-Linked-Etag"], said["X-Linked-Size"]) == ((etag, "2500000") if "lfs" in entry else (None, None))
        assert "filename*=UTF-8''f.bin" in said["Content-Disposition"]
        assert len(answer.body) == (0 if method == "HEAD" else 2500000)


def test_what_a_client_has_is_not_sent_again(file: Dataset) -> None:
    """304 if its ETag is the one asked not to be sent; a range of what it does not have any more is everything."""
    etag = file.get("f.bin", headers={"Range": "bytes=0-0"}).headers["ETag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = file.get("f.bin", headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert file.get("f.bin", headers={"If-None-Match": '"other"'}).status == 200
    assert file.get("f.bin", headers={"Range": "bytes=0-9", "If-Range": etag}).body == DATA[:10]
    assert file.get("f.bin", headers={"Range": "bytes=0-9", "If-Range": '"other"'}).body == DATA


def test_an_empty_file_is_a_file(dataset: Dataset) -> None:
    """It has no bytes, a length of 0, and no range."""
    dataset.put({"e": b""})
    assert (dataset.get("e").status, dataset.get("e").body, dataset.get("e").headers["Content-Length"]) == (
        200,
        b"",
        "0",
    )
    assert dataset.get("e", headers={"Range": "bytes=0-"}).status == 416


def test_every_name_of_a_revision_leads_to_it(dataset: Dataset) -> None:
    """Branch, tag, full reference, commit id and its start; each file as it was there."""
    old = dataset.put({"a": b"old"})
    assert dataset.wire("POST", f"{dataset.api}/tag/main", {"tag": "v1"}).status == 200
    dataset.put({"a": b"new"})
    names = {"main": b"new", "refs%2Fheads%2Fmain": b"new", "v1": b"old", "refs%2Ftags%2Fv1": b"old"}
    for name, data in {**names, old: b"old", old[:7]: b"old"}.items():
        answer = dataset.wire("GET", f"/datasets/{dataset.name}/resolve/{name}/a")
        assert (answer.status, answer.body) == (200, data)


def test_what_is_not_there_is_said_exactly(wire: Wire, dataset: Dataset) -> None:
    """Repository, revision or entry: clients tell them apart, and remember a missing file by the commit."""
    refused(wire("GET", "/datasets/local/none/resolve/main/a"), 404, "Repository not found", "RepoNotFound")
    refused(wire("GET", "/gpt2/resolve/main/a"), 404, "Repository not found", "RepoNotFound")
    refused(wire("GET", "/api/datasets/squad"), 404, "Repository not found", "RepoNotFound")
    refused(wire("GET", f"/datasets/{dataset.name}/resolve/no/a"), 404, "Invalid rev id: no", "RevisionNotFound")
    answer = dataset.get("a")
    refused(answer, 404, "Entry not found: a", "EntryNotFound")
    assert answer.headers["X-Repo-Commit"] == dataset.head
    dataset.put({"d/e": b""})
    refused(dataset.get("d"), 404, "Entry not found: d", "EntryNotFound")


def test_raw_is_what_git_holds(dataset: Dataset) -> None:
    """The pointer of a large file, the bytes of a small one."""
    oid = dataset.send(DATA)
    dataset.commit(large("l", oid), small("s", b"text"))
    raw = f"/datasets/{dataset.name}/raw/main"
    assert f"oid sha256:{sha256(DATA)}".encode() in dataset.wire("GET", f"{raw}/l").body
    assert dataset.wire("GET", f"{raw}/s").body == b"text"


def test_a_page_is_not_run_as_the_hubs_own(dataset: Dataset) -> None:
    """What is uploaded is shown as text or not at all: it would have the address of the Hub."""
    dataset.put({"x.html": b"<script>1</script>", "x.svg": b"<svg/>", "x.js": b"1", 'a"b\u00fc.txt': b"1"})
    for path in ("x.html", "x.svg", "x.js"):
        said = dataset.get(path).headers
        assert (said["Content-Type"], said["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")
    assert 'filename="a%22b%C3%BC.txt"' in dataset.get("a%22b%C3%BC.txt").headers["Content-Disposition"]

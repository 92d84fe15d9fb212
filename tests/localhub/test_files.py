"""Listings: whole, in order, page by page, and of one moment."""

from __future__ import annotations

from typing import Any

import pytest
from tests.localhub.wire import Answer, Dataset, gone, large, refused, sha256, small


def paged(dataset: Dataset, query: str, path: str = "") -> list[list[dict[str, Any]]]:
    """Every page of a listing."""
    pages, page = [], f"{dataset.api}/tree/main{path}?{query}"
    while page:
        answer = dataset.wire("GET", page)
        assert answer.status == 200, answer.body
        pages.append(answer.json())
        page = answer.next or ""
    return pages


@pytest.fixture
def nested(dataset: Dataset) -> Dataset:
    """Folders in folders, whose names sort otherwise with a slash behind them than without."""
    paths = [f"{a}/{b}/{c}" for a in ("a", "a-b", "a.b") for b in ("x", "x y", "ü") for c in range(3)]
    dataset.put({path: path.encode() for path in [*paths, "a/0", "a/x0", "z", "a/x/deep/er"]})
    return dataset


def test_folders_come_first(nested: Dataset) -> None:
    """In a folder its folders come first, then its files, each by name; deep, each comes before what it holds."""
    [flat] = paged(nested, "recursive=false")
    assert [one["path"] for one in flat] == ["a", "a-b", "a.b", ".gitattributes", "z"]
    [inside] = paged(nested, "", "/a")
    assert [one["path"] for one in inside] == ["a/x", "a/x y", "a/ü", "a/0", "a/x0"]
    [deep] = paged(nested, "recursive=true", "/a%2Fx")
    assert [one["path"] for one in deep] == ["a/x/deep", "a/x/deep/er", *(f"a/x/{number}" for number in range(3))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("query", ["recursive=true", "recursive=true&expand=true", "recursive=false"])
def test_pages_are_the_whole(nested: Dataset, size: int, query: str) -> None:
    """Pages of any size are the listing, in its order, each entry once."""
    for place in ("", "/a"):
        pages, whole = paged(nested, f"{query}&limit={size}", place), paged(nested, query, place)
        assert [one for page in pages for one in page] == [one for page in whole for one in page]
        assert {len(page) for page in pages[:-1]} <= {size}


def test_pages_have_the_size_of_the_hubs(dataset: Dataset) -> None:
    """1000 entries, 50 if each comes with its last commit; a larger limit is not heard."""
    for turn in range(6):
        dataset.put({f"{turn}-{number % 5}/{number}": b"" for number in range(200)})
    assert [len(page) for page in paged(dataset, "recursive=true")] == [1000, 231]
    assert [len(page) for page in paged(dataset, "recursive=true&limit=5000")] == [1000, 231]
    assert [len(page) for page in paged(dataset, "expand=true")] == [31]
    assert [len(page) for page in paged(dataset, "recursive=true&expand=true")] == [50] * 24 + [31]


def test_pages_are_of_one_moment(dataset: Dataset) -> None:
    """A listing that was begun goes on in the commit in which it began, whatever is committed meanwhile."""
    dataset.put({f"f{number}": b"" for number in range(9)})
    first = dataset.wire("GET", f"{dataset.api}/tree/main?limit=4")
    dataset.commit(*(gone(f"f{number}") for number in range(9)), small("later", b""))
    found = first.json()
    answer = first
    while answer.next:
        answer = dataset.wire("GET", answer.next)
        found += answer.json()
    assert [one["path"] for one in found] == [".gitattributes", *(f"f{number}" for number in range(9))]


@pytest.mark.parametrize("cursor", ["x", "%25", "aaaa", "YWJj"])
def test_a_foreign_cursor_is_refused(dataset: Dataset, cursor: str) -> None:
    """A cursor is what a page before gave, not something else."""
    refused(dataset.wire("GET", f"{dataset.api}/tree/main?cursor={cursor}"), 400, "The cursor")


def test_an_entry_has_the_commit_that_changed_it_last(dataset: Dataset) -> None:
    """Also a folder, by what is in it; and what came back as it was before has the commit that brought it back."""
    first = dataset.head
    ids = [dataset.put({"a/x": b"1", "b/y": b"1", "c": b"1"}), dataset.put({"a/x": b"2"}), dataset.put({"c": b"2"})]
    ids.append(dataset.put({"c": b"1"}))
    [page] = paged(dataset, "recursive=true&expand=true")
    found = {one["path"]: one["lastCommit"]["id"] for one in page}
    assert found == {"a": ids[1], "a/x": ids[1], "b": ids[0], "b/y": ids[0], "c": ids[3], ".gitattributes": first}
    info = {"paths": ["a", "c"], "expand": True}
    listed = dataset.wire("POST", f"{dataset.api}/paths-info/{ids[1]}", info).json()
    assert {one["path"]: one["lastCommit"]["id"] for one in listed} == {"a": ids[1], "c": ids[0]}


def test_entries_say_what_they_are(dataset: Dataset) -> None:
    """Type, size, id; a large file its SHA-256, the size of its content and that of its pointer."""
    oid = dataset.send(b"12345")
    dataset.commit(large("d/l.bin", oid), small("s", b"123"))
    [page] = paged(dataset, "recursive=true")
    folder, big, _, little = page
    assert (folder["type"], folder["path"], folder["size"]) == ("directory", "d", 0)
    assert (big["size"], big["lfs"]) == (5, {"oid": sha256(b"12345"), "size": 5, "pointerSize": 126})
    assert (little["size"], "lfs" in little) == (3, False)
    named = dataset.wire("GET", f"{dataset.api}?blobs=true").json()["siblings"]
    assert named[0]["lfs"] == {"sha256": oid, "size": 5, "pointerSize": 126}
    assert [one["rfilename"] for one in named] == ["d/l.bin", ".gitattributes", "s"]
    assert named[2] == {"rfilename": "s", "size": 3, "blobId": little["oid"]}


def asked(dataset: Dataset, paths: list[str]) -> Answer:
    return dataset.wire("POST", f"{dataset.api}/paths-info/main", {"paths": paths})


def test_paths_are_answered_in_their_order(nested: Dataset) -> None:
    """Files and folders in the order asked, each once; what is not there is left out; a form is as good as JSON."""
    paths = ["z", "a/x", "nowhere", "z/none", "a/ü/2", "z", "a/x/", ""]
    listed = asked(nested, paths).json()
    assert [(one["type"], one["path"]) for one in listed] == [("file", "z"), ("directory", "a/x"), ("file", "a/ü/2")]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"paths=z&paths=a%2Fx&paths=a%2F%C3%BC%2F2&expand=False"
    again = nested.wire("POST", f"{nested.api}/paths-info/main", body=body, headers=form)
    assert again.json() == listed


def test_at_most_a_thousand_paths_are_answered(dataset: Dataset) -> None:
    """More are refused as too large: callers ask in batches."""
    assert asked(dataset, [f"{number}" for number in range(1000)]).json() == []
    refused(asked(dataset, [f"{number}" for number in range(1001)]), 413, "At most 1000 paths")


def test_a_file_is_no_folder(dataset: Dataset) -> None:
    """Listing a file, or what is not there, is refused; so is a revision that is not there."""
    dataset.put({"a/b": b"1"})
    refused(dataset.wire("GET", f"{dataset.api}/tree/main/a/b"), 404, "Entry not found", "EntryNotFound")
    refused(dataset.wire("GET", f"{dataset.api}/tree/main/c"), 404, "Entry not found", "EntryNotFound")
    refused(dataset.wire("GET", f"{dataset.api}/tree/none"), 404, "Invalid rev id: none", "RevisionNotFound")


def test_a_part_of_a_path_may_hold_a_slash(dataset: Dataset) -> None:
    """Paths are cut before they are decoded: a branch may be called x/y, a folder a%2Fb is one in another."""
    assert dataset.wire("POST", f"{dataset.api}/branch/x%2Fy", {}).status == 200
    assert dataset.commit(small("a b/c%d", b"1"), to="x%2Fy").status == 200
    for form in ("a%20b%2Fc%25d", "a%20b/c%25d"):
        assert dataset.wire("GET", f"/datasets/{dataset.name}/resolve/x%2Fy/{form}").body == b"1"
    listed = dataset.wire("GET", f"{dataset.api}/tree/x%2Fy/a%20b").json()
    assert [one["path"] for one in listed] == ["a b/c%d"]

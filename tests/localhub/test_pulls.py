"""Pull requests: what is merged is what both sides made, and where they collide nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.localhub.wire import Answer, Dataset, gone, refused, small


def pull(dataset: Dataset, *lines: object) -> int:
    """An open pull request with a commit of these lines."""
    answer = dataset.wire("POST", f"{dataset.api}/discussions", {"title": "a pull request", "pullRequest": True})
    number: int = answer.json()["num"]
    assert dataset.commit(*lines, to=f"refs%2Fpr%2F{number}").status == 200
    assert act(dataset, number, "status", {"status": "open"}).status == 200
    return number


def act(dataset: Dataset, number: int, name: str, said: object = None) -> Answer:
    return dataset.wire("POST", f"{dataset.api}/discussions/{number}/{name}", said or {})


def details(dataset: Dataset, number: int) -> dict[str, Any]:
    return dict(dataset.wire("GET", f"{dataset.api}/discussions/{number}?diff=1").json())


def test_a_merge_has_the_changes_of_both(dataset: Dataset) -> None:
    """Files that one side added, changed or deleted; what both did alike is no conflict. The branch gets one commit."""
    dataset.put({"a": b"1", "b": b"1", "c": b"1", "d/e": b"1", "d/f": b"1"})
    number = pull(dataset, small("a", b"theirs"), gone("b"), small("d/new", b"x"), small("same", b"y"))
    dataset.commit(small("c", b"ours"), gone("d/e"), small("same", b"y"))
    head = dataset.head
    assert details(dataset, number)["filesWithConflicts"] == []
    assert act(dataset, number, "merge").status == 200
    assert dataset.paths() == ["d/f", "d/new", ".gitattributes", "a", "c", "same"]
    assert [dataset.get(path).body for path in ("a", "c", "d/new")] == [b"theirs", b"ours", b"x"]
    newest, before, *_ = dataset.wire("GET", f"{dataset.api}/commits/main").json()
    assert (newest["title"], before["id"]) == (f"a pull request (#{number})", head)
    said = details(dataset, number)
    assert (said["status"], said["changes"]["mergeCommitId"]) == ("merged", newest["id"])


COLLISIONS = {
    "changed twice": ([small("a", b"2")], [small("a", b"3")], ["a"]),
    "changed and deleted": ([small("a", b"2")], [gone("a")], ["a"]),
    "added twice": ([small("n", b"2")], [small("n", b"3")], ["n"]),
    "a file in a file": ([small("n", b"2")], [small("n/m/o", b"3")], ["n/m/o"]),
    "a file over a folder": ([small("n/m/o", b"2")], [small("n", b"3")], ["n/m/o"]),
}


@pytest.mark.parametrize("case", COLLISIONS)
def test_a_collision_is_not_merged(dataset: Dataset, case: str) -> None:
    """409 with the files, which the details name, too; the branch stays as it is."""
    theirs, ours, files = COLLISIONS[case]
    dataset.put({"a": b"1"})
    number = pull(dataset, *theirs)
    dataset.commit(*ours)
    head = dataset.head
    assert details(dataset, number)["filesWithConflicts"] == files
    refused(act(dataset, number, "merge"), 409, f"conflicts with refs/heads/main in {files[0]}")
    assert dataset.head == head
    assert details(dataset, number)["status"] == "open"


def test_only_what_is_open_is_merged(dataset: Dataset) -> None:
    """Not a draft, not one that is closed or merged, not a discussion; those that are settled take no commits."""
    draft = dataset.wire("POST", f"{dataset.api}/discussions", {"title": "a draft", "pullRequest": True}).json()["num"]
    refused(act(dataset, draft, "merge"), 400, f"{draft} is draft")
    talk = dataset.wire("POST", f"{dataset.api}/discussions", {"title": "a talk"}).json()["num"]
    refused(act(dataset, talk, "merge"), 400, "Only an open pull request can be merged")
    closed = pull(dataset, small("a", b"1"))
    assert act(dataset, closed, "status", {"status": "closed"}).status == 200
    refused(act(dataset, closed, "merge"), 400, f"{closed} is closed")
    refused(dataset.commit(small("b", b"1"), to=f"refs%2Fpr%2F{closed}"), 403, "it takes no commits")
    assert act(dataset, closed, "status", {"status": "open"}).status == 200
    assert act(dataset, closed, "merge").status == 200
    refused(act(dataset, closed, "merge"), 400, f"{closed} is merged")
    refused(act(dataset, closed, "status", {"status": "open"}), 400, "is merged already")


def test_a_commit_may_open_a_pull_request(dataset: Dataset) -> None:
    """With `create_pr` the branch stays, and the commit is in a reference of its own, on top of the head."""
    head = dataset.head
    answer = dataset.commit(small("a", b"1"), to="main?create_pr=1", parentCommit=head)
    said = answer.json()
    assert said["pullRequestUrl"] == f"{dataset.wire.hub.endpoint}/datasets/{dataset.name}/discussions/1"
    assert dataset.head == head
    assert dataset.wire("GET", f"/datasets/{dataset.name}/resolve/refs%2Fpr%2F1/a").body == b"1"
    assert dataset.wire("GET", f"{dataset.api}/revision/refs%2Fpr%2F1").json()["sha"] == said["commitOid"]
    refused(
        dataset.commit(small("a", b"1"), to="main?create_pr=1", parentCommit="0" * 40), 412, "A commit has happened"
    )
    refused(dataset.commit(small("a", b"1"), to="refs%2Fpr%2F1?create_pr=1"), 400, "is made to a branch")


def test_the_difference_is_text(dataset: Dataset) -> None:
    """As git prints it: lines of texts, pointers of large files, and that something is binary."""
    dataset.put({"a": b"1\n2\n3\n", "gone": b"x"})
    number = pull(dataset, small("a", b"1\nzwei\n3\n"), small("n", b"no end"), small("b", b"\0"), gone("gone"))
    found = details(dataset, number)["diff"]
    for part in (
        "diff --git a/a b/a\n",
        "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+zwei\n 3\n",
        "Binary files /dev/null and b/b differ\n",
        "deleted file mode 100644\n",
        "+no end\n\\ No newline at end of file\n",
    ):
        assert part in found


def test_a_discussion_remembers_what_was_said(dataset: Dataset) -> None:
    """Comments, titles and states in their order; a hidden comment cannot be read any more."""
    said = {"title": " a title ", "description": "first"}
    number = dataset.wire("POST", f"{dataset.api}/discussions", said).json()["num"]
    comment = act(dataset, number, "comment", {"comment": "<secret>"}).json()["newMessage"]
    assert comment["data"]["latest"]["html"] == "<p>&lt;secret&gt;</p>"
    assert act(dataset, number, "title", {"title": "another title"}).json()["newTitle"]["data"]["from"] == "a title"
    assert act(dataset, number, "status", {"status": "closed", "comment": "bye"}).status == 200
    kinds = [one["type"] for one in details(dataset, number)["events"]]
    assert kinds == ["comment", "comment", "title-change", "comment", "status-change"]
    act(dataset, number, f"comment/{comment['id']}/edit", {"content": "edited"})
    act(dataset, number, f"comment/{comment['id']}/hide")
    hidden = details(dataset, number)["events"][1]["data"]
    assert (hidden["hidden"], hidden["history"]) == (True, [])
    assert "secret" not in str(hidden)


@pytest.mark.parametrize("title", ["", "ab", "x" * 201, None])
def test_a_title_is_neither_empty_nor_a_book(dataset: Dataset, title: str | None) -> None:
    """3 to 200 characters."""
    refused(dataset.wire("POST", f"{dataset.api}/discussions", {"title": title}), 400, "A title has 3 to 200")


@pytest.mark.parametrize("path", ["9", "x", "9999999999999999999"])
def test_a_discussion_that_is_not_there_is_said(dataset: Dataset, path: str) -> None:
    """404, also for what is no number."""
    refused(dataset.wire("GET", f"{dataset.api}/discussions/{path}"), 404, "There is no discussion")


def test_lists_go_by_page(dataset: Dataset) -> None:
    """50 on a page, newest first; a page that is no number is refused."""
    for number in range(51):
        assert dataset.wire("POST", f"{dataset.api}/discussions", {"title": f"talk {number}"}).status == 200
    pages = [dataset.wire("GET", f"{dataset.api}/discussions?p={page}").json() for page in range(2)]
    assert [[one["num"] for one in page["discussions"]] for page in pages] == [[*range(51, 1, -1)], [1]]
    assert [(page["count"], page["start"]) for page in pages] == [(51, 0), (51, 50)]
    refused(dataset.wire("GET", f"{dataset.api}/discussions?p=x"), 400, "`p`")

"""Downloads: a file of a revision with what clients need to keep and resume it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from urllib.parse import quote

from starlette.responses import Response

from sealift.localhub.calls import Call
from sealift.localhub.hub import Large
from sealift.localhub.objects import Blob, at_path, blob_data, blobs
from sealift.localhub.refusals import Refusal, no_entry
from sealift.localhub.revisions import Commit, Repo, revision
from sealift.localhub.serving import Read, serve_bytes


def resolve(call: Call) -> Response:
    """`GET`, `HEAD …/resolve/{rev}/{path}`: the content of the file, large or small."""
    repo, commit, blob, data = _found(call)
    path = call.part("path")
    headers, read = _headers(path, commit), _of_memory(data)
    if blob.sha256:
        if call.hub.find_large(blob.sha256) is None:
            raise Refusal(404, f"The content {blob.sha256} of {path} is not here any more")
        headers |= {"X-Linked-Size": str(blob.size), "X-Linked-Etag": f'"{blob.sha256}"'}
        read = call.hub.reader(Large(blob.sha256, blob.size, blob.xet))
    if blob.xet and call.hub.settings.xet:
        route = f"{call.endpoint}/api/{repo.type}s/{repo.name}/xet-read-token/{commit.oid}"
        headers |= {"X-Xet-Hash": blob.xet, "Link": f'<{route}>; rel="xet-auth"'}
    return serve_bytes(call.request, blob.size, blob.etag, read, headers)


def raw(call: Call) -> Response:
    """`GET …/raw/{rev}/{path}`: what git holds, so the pointer of a large file."""
    _, commit, blob, data = _found(call)
    return serve_bytes(call.request, len(data), blob.oid.hex(), _of_memory(data), _headers(call.part("path"), commit))


def _found(call: Call) -> tuple[Repo, Commit, Blob, bytes]:
    with call.hub.state.reading() as db:
        repo = call.repo(db)
        commit = revision(db, repo, call.part("rev"))
        found = at_path(db, commit.tree, call.part("path"))
        if found is None or found.folder:
            raise no_entry(call.part("path"), commit.oid)
        return repo, commit, blobs(db, [found.oid])[found.oid], blob_data(db, found.oid)


def _headers(path: str, commit: Commit) -> dict[str, str]:
    name = quote(path.rpartition("/")[2], safe="")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    # A page that someone uploaded is shown as text: it would run as this Hub's own.
    kind = "text/plain" if kind.startswith("text/") or "xml" in kind or "javascript" in kind else kind
    return {
        "X-Repo-Commit": commit.oid,
        "Content-Disposition": f"inline; filename*=UTF-8''{name}; filename=\"{name}\";",
        "Content-Type": f"{kind}; charset=utf-8" if kind == "text/plain" else kind,
        "X-Content-Type-Options": "nosniff",
    }


def _of_memory(data: bytes) -> Read:
    def read(start: int, end: int) -> Iterator[bytes]:
        yield data[start:end]

    return read

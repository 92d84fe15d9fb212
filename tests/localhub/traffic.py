"""Small traffic on every kind of route: what is sent, what is fetched, and whether it took effect."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.localhub.cas_bodies import File, Xorb, shard
from tests.localhub.wire import Answer, Dataset, large, sha256, small

SIZE = 60_000


def fresh() -> bytes:
    """Content that no Hub has yet."""
    return os.urandom(SIZE)


@dataclass(frozen=True)
class Upload:
    """A request that brings content, ready to be sent; `took_effect` says whether the Hub has it."""

    kind: str
    send: Callable[[], Answer]
    took_effect: Callable[[], bool]


@dataclass(frozen=True)
class Download:
    """A request that fetches content; `content` is what should come."""

    kind: str
    send: Callable[[], Answer]
    content: bytes


def commit_of(dataset: Dataset) -> Upload:
    path, data = f"{os.urandom(6).hex()}.txt", fresh().hex().encode()
    return Upload("commit", lambda: dataset.commit(small(path, data)), lambda: path in dataset.paths())


def lfs_put_of(dataset: Dataset) -> Upload:
    data = fresh()
    href = dataset.batch(data)["actions"]["upload"]["href"]
    return Upload(
        "lfs-put",
        lambda: dataset.wire("PUT", href, body=data, token=None),
        lambda: "actions" not in dataset.batch(data),
    )


def xorb_put_of(dataset: Dataset) -> Upload:
    xorb, allowed, root = Xorb([fresh()]), bearer(dataset), dataset.wire.hub.root
    assert root
    kept = root / "cas/xorbs" / xorb.name[:2] / xorb.name
    return Upload("cas-xorb-put", lambda: dataset.wire("POST", xorb.path, body=xorb.body, headers=allowed), kept.exists)


UPLOADS = {"api": commit_of, "lfs": lfs_put_of, "cas": xorb_put_of}


def resolve_of(dataset: Dataset) -> Download:
    data = fresh()
    dataset.put({"small.bin": data})
    return Download("resolve", lambda: dataset.get("small.bin"), data)


def lfs_get_of(dataset: Dataset) -> Download:
    data = fresh()
    dataset.send(data)
    href = dataset.batch(data, operation="download")["actions"]["download"]["href"]
    return Download("lfs-get", lambda: dataset.wire("GET", href, token=None), data)


def xorb_get_of(dataset: Dataset) -> Download:
    file = by_xet(dataset, fresh())
    url, span = whereabouts(dataset, file)
    return Download("cas-xorb-get", lambda: fetched(dataset, url, span), file.runs[0][0].body)


DOWNLOADS = {"api": resolve_of, "lfs": lfs_get_of, "cas": xorb_get_of}


def bearer(dataset: Dataset, scope: str = "write") -> dict[str, str]:
    """The header with a token for the store of chunks."""
    token = dataset.wire("GET", f"{dataset.api}/xet-{scope}-token/main").json()["accessToken"]
    return {"Authorization": f"Bearer {token}"}


def by_xet(dataset: Dataset, data: bytes) -> File:
    """Send content by Xet: its xorb, then its shard."""
    xorb = Xorb([data])
    file, allowed = File([(xorb, 0, 1)]), bearer(dataset)
    assert dataset.wire("POST", xorb.path, body=xorb.body, headers=allowed).status == 200
    assert dataset.wire("POST", "/cas/v1/shards", body=shard(file), headers=allowed).status == 200
    return file


def whereabouts(dataset: Dataset, file: File) -> tuple[str, Any]:
    """Where the bytes of a file of one xorb are to be had."""
    told = dataset.wire("GET", f"/cas/v1/reconstructions/{file.name}", headers=bearer(dataset, "read"))
    assert told.status == 200, told.body
    [[fetch]] = told.json()["fetch_info"].values()
    return fetch["url"], fetch["url_range"]


def fetched(dataset: Dataset, url: str, span: Any) -> Answer:
    return dataset.wire("GET", url, token=None, headers={"Range": f"bytes={span['start']}-{span['end']}"})


def published(dataset: Dataset, path: str, data: bytes, *, xet: bool) -> Answer:
    """The answer to a commit of content that was sent by Xet or by LFS."""
    if xet:
        by_xet(dataset, data)
    else:
        dataset.send(data)
    return dataset.commit(large(path, sha256(data)))

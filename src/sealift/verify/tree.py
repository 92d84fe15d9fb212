"""Level `tree`: every file of the manifest, with its size and SHA-256, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sealift.errors import SealiftError
from sealift.formats.ranged import sha256
from sealift.model import manifest
from sealift.model.event import Advanced, OnEvent, ignore
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.reconcile import compare
from sealift.verify.ahead import in_order
from sealift.verify.codes import problem
from sealift.verify.published import Published, Told, said

NOT_OURS = (".gitattributes", ".gitignore")
"""What a repository has beside a dataset."""
DOWNLOADER = ".cache/huggingface/"
"""Where `hf download --local-dir` keeps its notes."""


def check_tree(published: Published, found: Manifest, on_event: OnEvent) -> Iterator[Problem]:
    """What is missing, damaged or unexpected is a problem. Read, once, is what the store cannot tell the SHA-256 of."""
    owned = found.paths()
    sizes = {path: size for path, (size, _) in owned.items()}
    comparison = compare(sizes, {path: size for path, size in published.sizes.items() if not _foreign(path)})
    for path in comparison.missing:
        yield problem("file-missing", "the file is not there", path)
    for path in comparison.different:
        published.damaged.add(path)
        yield problem("file-size", f"{published.sizes[path]} bytes; the manifest says {sizes[path]}", path)
    for path in comparison.extra:
        yield problem("file-unexpected", "the manifest does not know this file", path)
    ours = [path for path in comparison.same if _ours(published, path)]
    published.checked["files"] += len(ours)
    yield from _check_told(published, found, ours, on_event)
    unread = [path for path in ours if published.told(path) is None]
    for path in unread:
        if path in published.unreadable:
            yield problem("file-unreadable", "the file may not be read, or leads out of the folder", path)
    for path, digest in _digests(published, [path for path in unread if published.usable(path)], on_event):
        if isinstance(digest, SealiftError):
            published.unreadable.add(path)
            yield problem("file-unreadable", said(digest), path)
        elif digest != owned[path][1]:
            published.damaged.add(path)
            yield problem("file-sha256", "the bytes are not those that were published", path)


def to_read(published: Published, found: Manifest) -> int:
    """The bytes that are read when every file is there."""
    unknown = ((path, size) for path, (size, _) in found.paths().items() if published.told(path) is None)
    return sum(size for path, size in unknown if _ours(published, path))


def _ours(published: Published, path: str) -> bool:
    """Whether it is for this part to prove the file's digest: what the store knows by itself, each part does."""
    return path not in published.elsewhere or published.told(path) is not None


def _foreign(path: str) -> bool:
    return path in (*NOT_OURS, manifest.PATH) or path.startswith(DOWNLOADER)


def _check_told(published: Published, found: Manifest, paths: Sequence[str], on_event: OnEvent) -> Iterator[Problem]:
    """Hold what the store says of files against the manifest; a hash that one of them does not have is passed over."""
    xet = {one.path: one.xet_hash for one in found.shards} | {one.path: one.xet_hash for one in found.files}
    owned = found.paths()
    for path in paths:
        told = published.told(path)
        if told is not None:
            yield from _differences(published, path, told, owned[path][1], xet[path])
            on_event(Advanced("verify", files=1))


def _differences(published: Published, path: str, told: Told, digest: str, xet: str | None) -> Iterator[Problem]:
    if told.sha256 != digest:
        published.damaged.add(path)
        yield problem("file-sha256", "the bytes are not those that were published", path)
    elif None not in (told.xet_hash, xet) and told.xet_hash != xet:
        published.damaged.add(path)
        yield problem("file-xet-hash", f"it has Xet hash {told.xet_hash}; the manifest says {xet}", path)


def _digests(published: Published, paths: Sequence[str], on_event: OnEvent) -> Iterator[tuple[str, str | SealiftError]]:
    """The SHA-256 of every file, which is read for it; a failure is a value."""
    if published.facts is None:
        for path in paths:
            yield path, _digest(published, on_event, path)
            on_event(Advanced("verify", files=1))
        return
    # Events are for this thread alone.
    for path, coming in in_order(partial(_digest, published, ignore), paths, published.reach.at_once):
        digest = coming.result()
        on_event(Advanced("verify", published.sizes[path], 1))
        yield path, digest


def _digest(published: Published, on_event: OnEvent, path: str) -> str | SealiftError:
    try:
        return sha256(published, published.entry(path), lambda size: on_event(Advanced("verify", size)))
    except SealiftError as error:
        return error

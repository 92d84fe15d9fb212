"""Level `tree`: every file of the manifest, with its size and SHA-256, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sealift.formats.ranged import pieces
from sealift.model import manifest
from sealift.model.event import Advanced, OnEvent
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.reconcile import compare
from sealift.verify.published import Published

NOT_OURS = (".gitattributes",)
AGAIN = "publish again from the source"


def check_tree(published: Published, found: Manifest, on_event: OnEvent) -> Iterator[Problem]:
    """Read every file once; what is missing, damaged or unexpected is a problem."""
    owned = found.paths()
    sizes = {path: size for path, (size, _) in owned.items()}
    there = {path: size for path, size in published.sizes.items() if path not in (*NOT_OURS, manifest.PATH)}
    comparison = compare(sizes, there)
    for path in comparison.missing:
        yield Problem("file-missing", "the file is not there", place=path, remedy=AGAIN)
    for path in comparison.different:
        published.damaged.add(path)
        yield Problem("file-size", f"{there[path]} bytes; the manifest says {sizes[path]}", place=path, remedy=AGAIN)
    for path in comparison.extra:
        yield Problem(
            "file-unexpected",
            "the manifest does not know this file",
            place=path,
            remedy="delete it, or list it in `also:`",
        )
    for path in comparison.same:
        digest = hashlib.sha256()
        for piece in pieces(published, published.entry(path)):
            digest.update(piece)
            on_event(Advanced("verify", len(piece)))
        on_event(Advanced("verify", files=1))
        published.checked["files"] += 1
        if digest.hexdigest() != owned[path][1]:
            published.damaged.add(path)
            yield Problem("file-sha256", "the bytes are not those that were published", place=path, remedy=AGAIN)

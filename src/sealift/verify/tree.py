"""Level `tree`: every file of the manifest, with its size and SHA-256, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from sealift.errors import SealiftError
from sealift.formats.ranged import sha256
from sealift.model import manifest
from sealift.model.event import Advanced, OnEvent
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.reconcile import compare
from sealift.verify.codes import problem
from sealift.verify.published import Published, said

NOT_OURS = (".gitattributes", ".gitignore")
"""What a repository has beside a dataset."""
DOWNLOADER = ".cache/huggingface/"
"""Where `hf download --local-dir` keeps its notes."""


def check_tree(published: Published, found: Manifest, on_event: OnEvent) -> Iterator[Problem]:
    """Read every file once; what is missing, damaged or unexpected is a problem."""
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
    for path in comparison.same:
        published.checked["files"] += 1
        try:
            if path in published.unreadable:
                yield problem("file-unreadable", "the file may not be read, or leads out of the folder", path)
            elif _digest(published, path, on_event) != owned[path][1]:
                published.damaged.add(path)
                yield problem("file-sha256", "the bytes are not those that were published", path)
        except SealiftError as error:
            published.unreadable.add(path)
            yield problem("file-unreadable", said(error), path)


def _foreign(path: str) -> bool:
    return path in (*NOT_OURS, manifest.PATH) or path.startswith(DOWNLOADER)


def _digest(published: Published, path: str, on_event: OnEvent) -> str:
    digest = sha256(published, published.entry(path), lambda size: on_event(Advanced("verify", size)))
    on_event(Advanced("verify", files=1))
    return digest

"""The certificate: what was proven of which revision, as JSON that anybody can hold against the dataset again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from sealift import __version__
from sealift.errors import RequestError
from sealift.model import manifest
from sealift.model.manifest import Manifest
from sealift.model.problem import Problem
from sealift.verify import Verified
from sealift.verify.codes import problem
from sealift.verify.extent import Extent, extent_of

FORMAT = 1
NOTE = "Not signed: it is worth what the place is that you have it from. Anybody can prove the same again."
MOST_BYTES = 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
AGAIN = "ask for the certificate again, or write a new one with --certificate"


@dataclass(frozen=True)
class Certificate:
    """What was proven, of what, when and by which versions; `against` is whether the source was looked at, too.

    `manifest` is the SHA-256 of the manifest's bytes. `files` is that of a line for each file that the manifest names,
    in the order of the paths' bytes: SHA-256, two spaces, path. `cells` is that of the shards' digests in hexadecimal,
    a line each in the manifest's order. `size` are the bytes of the files, `checked` what was looked at, by kind.
    """

    dataset: str
    revision: str | None
    extent: Extent
    against: bool
    manifest: str
    plan: str
    files: str
    cells: str
    size: int
    checked: Mapping[str, int]
    time: str
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The certificate as a JSON object."""
        part = self.extent.part
        said = {name: value for name, value in asdict(self).items() if name != "extent"}
        proven = {**asdict(self.extent), "part": list(part) if part else None}
        return {"format": FORMAT, "sealift": "certificate", "proven": proven, **said, "note": NOTE}

    def write(self, file: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            RequestError: there is no such folder, or it may not be written.
        """
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")
            beside.replace(file)
        except OSError as error:
            raise RequestError(f"{file} cannot be written: {error.strerror}", hint="name another file") from error


def certify(verified: Verified, dataset: str, *, against: bool = False, now: datetime | None = None) -> Certificate:
    """The certificate of what was proven of that dataset, which must be something."""
    if not verified.proven or verified.manifest is None or verified.manifest_sha256 is None:
        raise ValueError("only what is proven is certified")
    found = verified.manifest
    return Certificate(
        dataset=dataset,
        revision=verified.revision,
        extent=verified.extent,
        against=against,
        manifest=verified.manifest_sha256,
        plan=found.plan,
        files=_files_digest(found),
        cells=_cells_digest(found),
        size=verified.size,
        checked=dict(verified.checked),
        time=(now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        versions={"sealift": __version__, "pyarrow": pa.__version__},
    )


def _files_digest(found: Manifest) -> str:
    digests = {path: sha256 for path, (_, sha256) in found.paths().items()}
    named = sorted((path.encode("utf-8", "surrogatepass"), digest) for path, digest in digests.items())
    return hashlib.sha256(b"".join(b"%s  %s\n" % (digest.encode(), path) for path, digest in named)).hexdigest()


def _cells_digest(found: Manifest) -> str:
    return hashlib.sha256("".join(f"{shard.digest}\n" for shard in found.shards).encode()).hexdigest()


def read_certificate(file: Path) -> Certificate:
    """The certificate in the file.

    Raises:
        RequestError: there is none, it is of another format, or says what no certificate says.
    """
    try:
        with open(file, "rb") as opened:
            said = json.loads(opened.read(MOST_BYTES + 1)[:MOST_BYTES])
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}", hint="give the file of a certificate") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{file} is no certificate: it is no JSON", hint=AGAIN) from error
    if not isinstance(said, dict) or said.get("sealift") != "certificate":
        raise RequestError(f"{file} is no certificate", hint="give a file that --certificate wrote")
    if said.get("format") != FORMAT:
        raise RequestError(f"{file} is a certificate of another format", hint="install a newer sealift")
    try:
        return _stated(said)
    except (KeyError, TypeError, ValueError, OverflowError, RequestError) as error:
        raise RequestError(f"{file} is damaged: {error}", hint=AGAIN) from error


def _stated(said: Mapping[str, Any]) -> Certificate:
    proven = _as(dict, said, "proven")
    part = proven["part"]
    if part is not None and [type(number) for number in part] != [int, int]:
        raise TypeError("the part is none")
    for name in ("cells", "seed"):
        if type(proven[name]) not in (int, type(None)):
            raise TypeError(f"`{name}` is no number")
    revision = None if said["revision"] is None else _as(str, said, "revision")
    if revision is not None and not _COMMIT.fullmatch(revision):
        raise ValueError("the revision is no commit")
    return Certificate(
        dataset=_as(str, said, "dataset"),
        revision=revision,
        extent=extent_of(
            _as(str, proven, "level"), proven["cells"], proven["seed"], None if part is None else (part[0], part[1])
        ),
        against=_as(bool, said, "against"),
        size=_as(int, said, "size"),
        checked={name: int(count) for name, count in _as(dict, said, "checked").items()},
        versions={name: str(version) for name, version in _as(dict, said, "versions").items()},
        **{name: _as(str, said, name) for name in ("manifest", "plan", "files", "cells", "time")},
    )


def _as(kind: type, said: Mapping[str, Any], name: str) -> Any:
    if type(said[name]) is not kind:
        raise TypeError(f"`{name}` is no {kind.__name__}")
    return said[name]


def hold(certificate: Certificate, verified: Verified, manifest_at: Callable[[str], str | None]) -> Iterator[Problem]:
    """How what is published now differs from what was certified; whether it is damaged, `verified` says.

    `manifest_at` gives the SHA-256 of the manifest at a revision, None if it is not to be had: where the manifest is
    another one, the history says whether it was published later or whether what was certified is no more.
    """
    if verified.manifest is None:
        return
    if verified.manifest_sha256 == certificate.manifest:
        if not _agrees(certificate, verified, verified.manifest):
            yield problem("certificate-damaged", "it says other digests or sizes than its manifest", manifest.PATH)
        return
    revision, message = certificate.revision, f"it is not the one that was certified at {certificate.time}"
    if verified.revision is None or revision is None:
        yield problem("manifest-changed", message, manifest.PATH)
    elif revision != verified.revision and manifest_at(revision) == certificate.manifest:
        yield problem("manifest-changed", f"{message}, which is that of revision {revision}", manifest.PATH)
    else:
        # The name of a commit is a digest of what is in it: the same one cannot have another manifest.
        message = f"revision {revision}, which was certified, does not have the manifest that the certificate says"
        yield problem("certificate-history", message, manifest.PATH)


def _agrees(certificate: Certificate, verified: Verified, found: Manifest) -> bool:
    told = (certificate.plan, certificate.files, certificate.cells, certificate.size)
    return told == (found.plan, _files_digest(found), _cells_digest(found), verified.size)


def check_place(file: Path, where: str) -> None:
    """A certificate can be written there, as far as that shows before anything is proven.

    Raises:
        RequestError: there is no such folder, or it is the dataset itself, where every other file is unexpected.
    """
    folder = Path(os.path.realpath(file)).parent
    if not folder.is_dir():
        raise RequestError(f"there is no folder {file.parent}", hint="make it, or name another file", path=str(file))
    if Path(where).is_dir() and folder.is_relative_to(os.path.realpath(where)):
        raise RequestError(f"{file} lies in the dataset", hint="keep the certificate elsewhere", path=str(file))

"""Every problem that `verify` can find: its code, the level that finds it, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sealift.model.problem import Problem

AGAIN = "publish again with --repair"
CARD_AGAIN = "publish again with --repair: the card's text is kept, its figures are written anew"
LOOK = "publish again, or put the source back as it was"
ANEW = "go back to a revision that was proven, or publish again with --purge or to a new folder"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code stands for; `level` is the first one that surely finds it, or `certificate`, or `against`."""

    level: str
    meaning: str
    remedy: str = AGAIN


CODES: Mapping[str, Code] = {
    "manifest-missing": Code(
        "tree", "There is no `.sealift/manifest.json`, so nothing can be proven.", "check the folder, or publish to it"
    ),
    "manifest-damaged": Code(
        "tree", "The manifest is no JSON, or a value in it is missing or of another kind than it should be.", ANEW
    ),
    "manifest-format": Code(
        "tree", "The manifest has a format that this version does not know.", "install a newer sealift"
    ),
    "manifest-unknown": Code("tree", "The manifest says keys that no manifest of its format has.", ANEW),
    "manifest-duplicate": Code("tree", "The manifest says a key, or names a file, config or split, twice.", ANEW),
    "manifest-path": Code(
        "tree", "The manifest names a path that leads out of the dataset, or to none of its files.", ANEW
    ),
    "manifest-stray": Code("tree", "The manifest names a file of a config or split that it does not have.", ANEW),
    "manifest-digest": Code("tree", "What the manifest says is a digest is none.", ANEW),
    "manifest-counts": Code("tree", "Numbers in the manifest count nothing, or contradict each other.", ANEW),
    "manifest-order": Code("tree", "The shards of a split are not numbered 0, 1, 2 … as the manifest has them.", ANEW),
    "manifest-features": Code(
        "tree", "The manifest states features that are none, or media in what is no column.", ANEW
    ),
    "manifest-plan": Code("tree", "The plan's identity in the manifest is not that of its configs together.", ANEW),
    "file-missing": Code("tree", "A file of the manifest is not there."),
    "file-size": Code("tree", "A file has another size than when it was published."),
    "file-sha256": Code("tree", "A file has the right size and other bytes than those that were published."),
    "file-xet-hash": Code("tree", "The Hub has a file under another Xet hash than that of the bytes published."),
    "file-unreadable": Code(
        "tree",
        "A file may not be read, is a link that leads out of the folder, or is not delivered by the Hub.",
        "give yourself the right to read it; in place of a link put the file; ask a busy Hub again later",
    ),
    "file-unexpected": Code(
        "tree", "There is a file that the manifest does not know.", "delete it, or list it in `also:` and publish again"
    ),
    "footer-damaged": Code("footers", "The footer of a shard cannot be read."),
    "footer-rows": Code("footers", "A shard holds another number of rows than the manifest says."),
    "footer-schema": Code("footers", "A shard has other columns, or in another order, than its config."),
    "footer-storage": Code("footers", "A column is stored as a type that loaders do not read as its feature."),
    "footer-features": Code("footers", "The features in a shard's footer are not those of its config."),
    "manifest-rows": Code("footers", "The shards of a split hold another number of rows than it should have."),
    "card-damaged": Code("footers", "The metadata of the card cannot be read.", CARD_AGAIN),
    "card-counts": Code("footers", "The card says other row counts than the shards hold: loaders refuse.", CARD_AGAIN),
    "card-bytes": Code("footers", "The card says other sizes of splits and configs than the manifest.", CARD_AGAIN),
    "card-files": Code("footers", "The card's pattern for a split does not take exactly its shards.", CARD_AGAIN),
    "card-default": Code("footers", "The card calls another config the default.", CARD_AGAIN),
    "card-features": Code("footers", "The card states other features than the shards have.", CARD_AGAIN),
    "rows-damaged": Code("rows", "The rows of a shard cannot be read."),
    "row-duplicate": Code("rows", "A key occurs more than once in a config."),
    "index-missing": Code("rows", "A config has media, and no index of them."),
    "index-damaged": Code("rows", "A file of the index cannot be read."),
    "index-stray": Code("rows", "Records of the index belong to no shard, or are out of order."),
    "index-cells": Code("rows", "The index has another number of cells in a shard than the manifest says."),
    "index-bytes": Code("rows", "The index has other bytes of media in a shard than the manifest says."),
    "index-row": Code("rows", "The index names rows that a shard does not have."),
    "index-key": Code("rows", "The index names another key, config, split or column than the row it stands for has."),
    "shard-digest": Code(
        "rows", "The digests of a shard's cells in the index together are not what the manifest says."
    ),
    "manifest-present": Code("rows", "A split has files in another number of rows than the manifest and the card say."),
    "manifest-bytes": Code("rows", "A split has other bytes of media than the manifest says."),
    "pages-damaged": Code("full", "The pages of a media column cannot be walked."),
    "cell-place": Code("full", "Media cells do not lie where the index says."),
    "cell-digest": Code("full", "The bytes of a media cell are not those that were hashed at the source."),
    "manifest-changed": Code(
        "certificate",
        "The manifest is not the one that the certificate is about: another dataset was published, or it was changed.",
        "prove the one that the certificate is about with --revision, or write a new certificate for this one",
    ),
    "certificate-history": Code(
        "certificate",
        "The revision that the certificate names has another manifest than it says, or is not there.",
        "ask who keeps the dataset: its history was rewritten, or the certificate is about another one",
    ),
    "certificate-damaged": Code(
        "certificate",
        "The certificate is about this manifest, and says something else than is in it.",
        "ask for the certificate again",
    ),
    "source-config": Code("against", "The spec and the publication have different configs.", LOOK),
    "source-rows": Code("against", "The source gives another number of rows for a split.", LOOK),
    "source-row": Code("against", "Rows differ from those that the source gives.", LOOK),
    "source-cells": Code("against", "Rows name other files at the source than those that are published.", LOOK),
    "source-digest": Code("against", "A file at the source has other bytes than its published cell.", LOOK),
    "source-file": Code("against", "A file cannot be read at the source.", LOOK),
    "source-also": Code("against", "A file published beside the data is not what lies at the source.", LOOK),
}


def problem(code: str, message: str, place: str = "", count: int = 1) -> Problem:
    """A problem of that code, with the code's remedy."""
    return Problem(code, message, place, CODES[code].remedy, count=count)


def code_table() -> str:
    """The table of `docs/verify.md`, in Markdown."""
    rows = "".join(f"| `{name}` | {one.level} | {one.meaning} | {one.remedy} |\n" for name, one in CODES.items())
    return f"| code | found by | what it means | what to do |\n|---|---|---|---|\n{rows}"

"""BIDS: the entities of a file's name as columns of `files`, and a row per session out of a tree of brain scans."""

# ruff: noqa: S608 — names and literals in this SQL are quoted by rows.engine
from __future__ import annotations

from dataclasses import dataclass

from sealift.errors import SealiftError
from sealift.rows import engine
from sealift.rows.layout import Layout, Tree, column_list, in_list, left_out, slug, unique

ENTITIES = {
    "sub": "subject",
    "ses": "session",
    "sample": "sample",
    "task": "task",
    "tracksys": "tracksys",
    "acq": "acquisition",
    "nuc": "nucleus",
    "voi": "volume",
    "ce": "ceagent",
    "trc": "tracer",
    "stain": "stain",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "mod": "modality",
    "echo": "echo",
    "flip": "flip",
    "inv": "inversion",
    "mt": "mtransfer",
    "part": "part",
    "proc": "processing",
    "hemi": "hemisphere",
    "space": "space",
    "split": "split",
    "recording": "recording",
    "chunk": "chunk",
    "atlas": "atlas",
    "seg": "segmentation",
    "scale": "scale",
    "res": "resolution",
    "den": "density",
    "label": "label",
    "desc": "desc",
}
"""The entities of BIDS names: as written, and as the column of `files` is called. Values are text, without the key."""

DATATYPES = ("anat", "func", "dwi", "fmap", "perf", "eeg", "meg", "ieeg", "pet", "micr", "beh", "motion", "nirs", "mrs")
SCANS = (".nii", ".nii.gz")
MOST_DERIVED = 40
"""More kinds of derived scans than this make no sensible columns: they are left to the user."""


def _found(pattern: str) -> str:
    return f"nullif(regexp_extract(path, {engine.text(pattern)}, 1), '')"


def _entity(key: str) -> str:
    named = _found(f"(?:^|[_/]){key}-([^_./]+)[^/]*$")
    folder = _found(f"(?:^|/){key}-([^_/]+)[^/]*/")
    return f"coalesce({named}, {folder})" if key in ("sub", "ses") else named


def _columns() -> str:
    datatypes = "|".join(DATATYPES)
    said = [f"{_entity(key)} AS {engine.name(column)}" for key, column in ENTITIES.items()]
    said.append(_found("(?:^|/)(?:[A-Za-z]+-[^_./]+_)*([A-Za-z0-9]+)(?:[.][^/]*)?$") + " AS suffix")
    said.append(_found(f"(?:^|/)sub-[^/]+/(?:ses-[^/]+/)?({datatypes})/") + " AS datatype")
    pipeline, loose = _found("(?:^|/)derivatives/([^/]+)/"), _found("(?:^|/)(derivatives)/")
    said.append(
        f"CASE WHEN starts_with({pipeline}, 'sub-') THEN {loose} ELSE coalesce({pipeline}, {loose}) END AS derivative"
    )
    return ", ".join(["*", *said])


COLUMNS = _columns()
"""SQL for `Session.add_listing`: the listing with a column for every entity, suffix, datatype and derivative.

Subject and session are taken from the folders where the file's name lacks them; `derivative` is the pipeline's folder
below `derivatives/` (or that name, where subjects lie right below), null for raw data. What a query does not use is
not computed.
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of scan that the tree holds: where it comes from, and how many a session has at most."""

    derivative: str | None
    desc: str | None
    suffix: str
    most: int

    @property
    def column(self) -> str:
        source = self.desc or self.derivative
        return slug(f"{source}_{self.suffix}" if source else self.suffix)

    def condition(self, kinds: list[_Kind]) -> str:
        said = [f"f.suffix = {engine.text(self.suffix)}"]
        said.append(f"f.derivative = {engine.text(self.derivative)}" if self.derivative else "f.derivative IS NULL")
        if self.desc:
            said.append(f'f."desc" = {engine.text(self.desc)}')
        elif any((k.derivative, k.suffix) == (self.derivative, self.suffix) and k.desc for k in kinds):
            said.append('f."desc" IS NULL')
        return " AND ".join(said)


TAKEN = f"f.extension IN {in_list(SCANS)} AND f.subject IS NOT NULL AND NOT starts_with(f.path, 'sourcedata/')"


def layout(tree: Tree) -> Layout | str:
    """A row a session (or subject), a column for each kind of NIfTI scan; or why it is no BIDS tree.

    A kind that some session has twice is a list. Derived scans have columns too, named after their description or
    pipeline, and `participants.tsv` brings its columns. The tree needs the columns of `COLUMNS`.
    """
    described = tree.ask("SELECT 1 FROM files WHERE path = 'dataset_description.json'")
    foldered = tree.ask("SELECT 1 FROM files WHERE path LIKE 'sub-%/%' AND extension IN ('.nii', '.nii.gz') LIMIT 1")
    if not described and not foldered:
        return "bids: neither dataset_description.json nor NIfTI files below sub-… folders"
    kinds, notes = _kinds(tree)
    if not kinds:
        return "bids: there is no NIfTI file whose name says its subject and suffix"
    subject_id, session_id = _ids(tree, notes)
    columns: dict[str, str] = {"subject_id": subject_id, **({"session_id": session_id} if session_id else {})}
    key = tuple(columns)
    media: dict[str, str | list[str]] = {}
    for kind in kinds:
        column = unique(kind.column, [*columns])
        order = " ORDER BY f.path" if kind.most > 1 else ""
        columns[column] = f"list(f.path{order}) FILTER ({kind.condition(kinds)})"
        media[column] = ["nifti"] if kind.most > 1 else "nifti"
    people = _participants(tree, notes)
    for name in people:
        columns[unique(slug(name), [*columns])] = f"any_value(p.{engine.plain_name(name)})"
    notes += left_out(tree, f"NOT ({TAKEN} AND f.suffix IS NOT NULL)")
    rows = _rows(columns, bool(session_id), bool(people))
    tables = {"participants": "participants.tsv"} if people else {}
    return Layout("bids", tables, rows, media, "train", key, notes=tuple(notes))


def _kinds(tree: Tree) -> tuple[list[_Kind], list[str]]:
    found = tree.ask(f"""
        SELECT derivative, "desc", suffix, max(n) FROM (
            SELECT derivative, "desc", suffix, subject, session, count(*) AS n FROM files f
            WHERE {TAKEN} AND suffix IS NOT NULL GROUP BY ALL)
        GROUP BY ALL ORDER BY derivative NULLS FIRST, "desc" NULLS FIRST, suffix""")
    kinds = [_Kind(*row) for row in found]
    derived = [kind for kind in kinds if kind.derivative]
    if len(derived) <= MOST_DERIVED:
        return kinds, []
    note = (
        f"left out: {len(derived)} kinds of derived scans; add columns such as list(f.path) FILTER (f.derivative = …)"
    )
    return [kind for kind in kinds if not kind.derivative], [note]


def _ids(tree: Tree, notes: list[str]) -> tuple[str, str]:
    with_session, without = tree.ask(f"SELECT count(session), count(*) - count(session) FROM files f WHERE {TAKEN}")[0]
    session = "'ses-' || f.session"
    if with_session and without:
        notes.append(f"{without:,} scans belong to no session; their session_id is 'none'")
        session = f"coalesce({session}, 'none')"
    return "'sub-' || f.subject", session if with_session else ""


def _participants(tree: Tree, notes: list[str]) -> list[str]:
    """The columns that participants.tsv can bring; none if it cannot be joined without doubt."""
    if not tree.ask("SELECT 1 FROM files WHERE path = 'participants.tsv'"):
        return []
    try:
        source = tree.table("participants.tsv")
        names = [name for name, _ in tree.columns(source)]
        if "participant_id" not in names:
            notes.append("participants.tsv has no column participant_id: not joined")
            return []
        rows, people = tree.ask(f"SELECT count(*), count(DISTINCT participant_id) FROM {source}")[0]
    except SealiftError as error:
        notes.append(f"not joined: {error.message}")
        return []
    if rows != people:
        notes.append("participants.tsv names participants more than once, or not at all: not joined")
        return []
    return [name for name in names if name != "participant_id"]


def _rows(columns: dict[str, str], sessions: bool, people: bool) -> str:
    join = "\nLEFT JOIN participants p ON p.participant_id = 'sub-' || f.subject" if people else ""
    group, order = ("f.subject, f.session", "1, 2") if sessions else ("f.subject", "1")
    return f"SELECT {column_list(columns)}\nFROM files f{join}\nWHERE {TAKEN}\nGROUP BY {group} ORDER BY {order}"

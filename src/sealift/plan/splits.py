"""Which split a row is in: one for all, a column's, or a share by the stable hash of its group."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sealift.plan.notes import Notes
from sealift.spec import Spec, Split

USUAL = ("train", "validation", "test")
MOST = 1000
"""More splits than this are a mistake (a column of ids, say): each takes a file of its own."""


def split_of(split: Split, batch: pa.RecordBatch, key: pa.Array, notes: Notes) -> pa.Array:
    """The name of each row's split; null, and noted, where the split column is."""
    if split.all is not None:
        return pa.repeat(pa.scalar(split.all, pa.string()), batch.num_rows)
    if split.column is None:
        return _shares(split, batch.column(split.by) if split.by else key)
    names = pc.cast(batch.column(split.column), pa.string())
    notes.add(
        "null-split",
        f"the split column `{split.column}` is null",
        "give every row a split in `rows:`, or filter these rows out",
        names.null_count,
        key.filter(names.is_null())[: Notes.EXAMPLES].to_pylist() if names.null_count else [],
    )
    return names


def _shares(split: Split, by: pa.Array) -> pa.Array:
    """A split for each row by the hash of its group: the same for the same value and seed, for ever.

    The first 8 bytes of BLAKE2b, keyed by the seed, over the value as text are a number in [0, 1); the shares, in the
    order written, cut that interval. So a group is never in two splits, and new rows do not move old ones.
    """
    assert split.shares is not None
    names = list(split.shares)
    edges = np.cumsum([split.shares[name] for name in names])[:-1]
    # A null group is a group of its own.
    encoded = pc.fill_null(by.cast(pa.string()), "").dictionary_encode()
    seed = str(split.seed).encode()
    points = [_point(value, seed) for value in encoded.dictionary.to_pylist()]
    codes = np.searchsorted(edges, points, side="right")
    return pa.array(names, pa.string()).take(pa.array(codes[encoded.indices.to_numpy()]))


@functools.lru_cache(maxsize=1 << 15)
def _point(value: str, seed: bytes) -> float:
    number = int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8, key=seed).digest())
    return number / 2.0**64


def in_order(found: Iterable[str], spec: Spec) -> tuple[str, ...]:
    """The splits as they are published: as the shares are written, else the usual ones first, then as met.

    Raises:
        SpecError: one has a name that `datasets` does not take.
    """
    met = list(found)
    for name in met:
        try:
            Split(all=name)
        except ValueError as error:
            hint = "letters, digits, underscores and dots only, and not `all`"
            raise spec.mistake(f"`{name}` cannot be the name of a split", "split", hint=hint) from error
    first = list(spec.split.shares or USUAL)
    return (*(name for name in first if name in met), *(name for name in met if name not in first))


def check_count(found: Iterable[str], spec: Spec) -> None:
    """Promise that there are not absurdly many splits.

    Raises:
        SpecError: there are.
    """
    if len(list(found)) > MOST:
        message = f"column `{spec.split.column}` names more than {MOST} splits"
        raise spec.mistake(message, "split", hint="choose the column that says train, validation or test")

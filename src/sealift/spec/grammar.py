"""The grammar of a spec, as pydantic models. What a key means to the user is said in docs/spec.md."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PositiveInt,
    model_validator,
)

from sealift.model.column import MEDIA_TYPES

SPLIT_NAME = re.compile(r"\w+(\.\w+)*")
CONFIG_NAME = re.compile(r"[^<>:/\\|?*\s.][^<>:/\\|?*\s]*")
TAKEN_CONFIGS = ("data", "index", "README.md")
MAX_GROUP_BYTES = (1 << 31) - (1 << 20)
"""Readers hold a column of a row group in one 32-bit Arrow array: it must stay below 2 GiB."""


def _split_name(name: str) -> str:
    if not SPLIT_NAME.fullmatch(name) or name == "all":
        raise ValueError(
            "a split is named with letters, digits, underscores and dots, and not `all`, as `datasets` has it"
        )
    return name


def _config_name(name: str) -> str:
    if not CONFIG_NAME.fullmatch(name) or name in TAKEN_CONFIGS:
        taken = ", ".join(TAKEN_CONFIGS)
        raise ValueError(rf"a config cannot be called {taken}, begin with a dot, or hold a space or < > : / \ | ? *")
    return name


SplitName = Annotated[str, AfterValidator(_split_name)]
ConfigName = Annotated[str, AfterValidator(_config_name)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
# In YAML, `missing: null` arrives as None.
Missing = Annotated[Literal["fail", "skip", "null"], BeforeValidator(lambda value: "null" if value is None else value)]
MediaName = Literal["audio", "image", "video", "nifti", "midi", "pdf", "binary"]
assert MediaName.__args__ == MEDIA_TYPES  # type: ignore[attr-defined]


class Part(BaseModel):
    """Every part of a spec: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True)


class Split(Part):
    """Where a row's split comes from: one for all (`all`), a `column`, or `shares` by the stable hash of `by`."""

    all: SplitName | None = None
    column: str | None = None
    shares: dict[SplitName, float] | None = None
    by: str | None = None
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, said: Any) -> Any:
        if isinstance(said, str):
            return {"all": said}
        if isinstance(said, dict) and not said.keys() & {"all", "column", "shares"}:
            rest = {name: said[name] for name in ("by", "seed") if name in said}
            return {"shares": {name: share for name, share in said.items() if name not in rest}, **rest}
        return said

    @model_validator(mode="after")
    def _sound(self) -> Split:
        if sum(form is not None for form in (self.all, self.column, self.shares)) != 1:
            raise ValueError("say one split for all, {column: NAME}, or shares such as {train: 0.9, test: 0.1}")
        if self.shares is not None:
            if not self.shares or min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-6:
                raise ValueError("shares must be above 0 and add up to 1")
        elif self.by is not None or "seed" in self.model_fields_set:
            raise ValueError("`by` and `seed` go with shares")
        return self


class Media(Part):
    """A media column: `audio`, `[nifti]` for a list of them, or {type: audio, sampling_rate: 44100}."""

    type: MediaName
    many: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, said: Any) -> Any:
        if isinstance(said, list):
            if len(said) != 1:
                raise ValueError("a list column is written [nifti], with one type in it")
            return {**cls._one(said[0]), "many": True}
        return cls._one(said)

    @staticmethod
    def _one(said: Any) -> Any:
        if isinstance(said, str):
            return {"type": said}
        if isinstance(said, dict) and "options" not in said:
            options = {name: value for name, value in said.items() if name not in ("type", "many")}
            return {name: said[name] for name in ("type", "many") if name in said} | {"options": options}
        return said


class Feature(Part):
    """A column's type instead of the inferred one: a dtype such as `float32`, or {class_label: [names, in order]}."""

    dtype: str | None = None
    class_label: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, said: Any) -> Any:
        return {"dtype": said} if isinstance(said, str) else said

    @model_validator(mode="after")
    def _sound(self) -> Feature:
        if (self.dtype is None) == (self.class_label is None):
            raise ValueError("say a dtype such as float32, or {class_label: [first, second]}")
        if self.class_label is not None and (
            not self.class_label or len(set(self.class_label)) < len(self.class_label)
        ):
            raise ValueError("class names must be given, and differ")
        return self


class ConfigSpec(Part):
    """A selection of the columns: all but those in `drop`, or those in `columns`."""

    default: bool = False
    drop: Names = ()
    columns: Names | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ConfigSpec:
        if self.drop and self.columns is not None:
            raise ValueError("say `drop` or `columns`, not both")
        return self


class Shards(Part):
    """How the rows are cut into files. Sizes are bytes (`1GB` is 10^9, `1GiB` is 2^30)."""

    format: Literal["parquet", "webdataset", "tar", "none"] = "parquet"
    max_bytes: ByteSize = ByteSize(1_000_000_000)
    rows: PositiveInt | None = None
    count: PositiveInt | None = None
    row_group_bytes: ByteSize = ByteSize(64_000_000)
    row_group_rows: PositiveInt | None = None
    groups_per_chunk: PositiveInt | None = None
    cut: str | None = None
    members: Literal["path", "basename"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Shards:
        if self.rows is not None and self.count is not None:
            raise ValueError("say `rows` (in each shard) or `count` (of shards in each split), not both")
        if self.max_bytes <= 0 or self.row_group_bytes <= 0:
            raise ValueError("sizes must be above 0")
        if self.row_group_bytes > MAX_GROUP_BYTES:
            raise ValueError("`row_group_bytes` must stay below 2 GiB: readers hold a row group's column in one array")
        return self


class Expect(Part):
    """Counts that a plan must find: in all, by split, and not null by media column; `tolerance` is a share."""

    rows: int | None = None
    splits: dict[str, int] = Field(default_factory=dict)
    media: dict[str, int] = Field(default_factory=dict)
    tolerance: float = Field(default=0.0, ge=0, lt=1)


class Card(Part):
    """What the card says beyond the data: the Hub's metadata keys; `readme` is a file whose text is kept."""

    readme: str | None = None
    pretty_name: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    language: Names = ()
    tags: Names = ()
    task_categories: Names = ()
    task_ids: Names = ()
    annotations_creators: Names = ()
    language_creators: Names = ()
    multilinguality: Names = ()
    source_datasets: Names = ()
    paperswithcode_id: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class Groups(Part):
    """A bucket of groups, each with its manifest: a folder pattern with {fields}, and the manifest's name in it."""

    path: str
    manifest: str


class Transform(Part):
    """A step over batches of rows: `file.py:function`, and how many rows a batch holds."""

    function: str
    batch: PositiveInt = 1000


class Grammar(Part):
    """The keys of a spec, in the order in which people write them."""

    to: str | None = None
    from_: str | None = Field(default=None, alias="from")
    private: bool = False
    layout: Literal["bids", "folder"] | None = None
    listing: str | None = None
    groups: Groups | None = None
    tables: dict[str, str] = Field(default_factory=dict)
    rows: Any = None
    key: Names = ()
    split: Split = Split(all="train")
    media: dict[str, Media] = Field(default_factory=dict)
    features: dict[str, Feature] = Field(default_factory=dict)
    partition: str | None = None
    configs: dict[ConfigName, ConfigSpec] = Field(default_factory=dict)
    also: dict[str, Names] = Field(default_factory=dict)
    publish: Literal["replace", "append"] = "replace"
    missing: Missing = "fail"
    shards: Shards = Shards()
    transform: Transform | None = None
    expect: Expect | None = None
    card: Card = Card()

    @model_validator(mode="after")
    def _one_default(self) -> Grammar:
        if sum(config.default for config in self.configs.values()) > 1:
            raise ValueError("only one config can be the default")
        return self

"""A job in words, for people and for programs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sealift.cli.units import size_text
from sealift.journal.places import endpoint_of
from sealift.journal.records import Count, Progress

PUBLIC = "https://huggingface.co"


def facts(job: Progress, then: str) -> Iterator[tuple[str, str]]:
    """What is to be said of the job, each under a word, most important first; `then` is the command that goes on,
    if one is to be named."""
    yield "job", job.to if job.url is None else f"{job.to} at {endpoint_of(job)}"
    yield "begun", _when(job.began)
    yield "now", _now(job)
    yield from ((state, _counted(count)) for state, count in job.shards.items() if count.shards or not job.over)
    if job.commits:
        yield "commits", f"{job.commits} so far" + (f", the last one {job.revision[:12]}" if job.revision else "")
    if job.url is not None and not job.over:
        yield "replaces", "nothing" if job.base is None else f"revision {job.base[:12]}"
    if job.pinned:
        yield "kept by", job.pinned
    if job.uncertain and job.running is None:
        yield "commit", "was about to be sent; whether it has taken effect is not known"
    if job.error and job.running is None and not job.over:
        yield "ended with", job.error
    yield "record", str(job.folder)
    if then:
        yield "next", then


def line(job: Progress) -> str:
    """The job in one line."""
    total = _sum(job, *job.shards)
    there = _sum(job, "staged", "committed")
    amounts = f"{size_text(there.media_bytes)} of {size_text(total.media_bytes)}"
    return f"{job.to}: {there.shards:,} of {total.shards:,} shards staged ({amounts}); {_now(job)}"


def next_command(job: Progress, state: Path | None = None) -> str:
    """What to type next; `state` is where the user keeps jobs, if that was said."""
    to = shlex.quote(job.to)
    endpoint = endpoint_of(job)
    usual = (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
    at = "" if endpoint in (None, usual) else f" --endpoint {shlex.quote(str(endpoint))}"
    kept = "" if state is None else f" --state {shlex.quote(str(state))}"
    if job.running is not None:
        return f"sealift status {to} --watch{kept}"
    if job.over:
        return f"sealift verify {to}{at}"
    if job.uncertain:
        return f"sealift finish {to}{at}{kept}"
    return f"sealift publish SPEC --to {to}{at}{kept}"


def as_json(job: Progress, then: str) -> dict[str, Any]:
    """The job for programs: times as text in UTC, counts by state, and in one word whether it is running, stopped or
    over."""
    state = "running" if job.running is not None else "over" if job.over else "stopped"
    times = {"began": _stamp(job.began), "changed": _stamp(job.changed)}
    return {**asdict(job), "state": state, **times, "running": process_json(job.running), "next": then}


def process_json(running: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The process at work, for programs."""
    return None if running is None else {**running, "since": _stamp(running.get("since"))}


def process_text(running: Mapping[str, Any]) -> str:
    """The process at work, for people."""
    pid, host, since = (running.get(name) for name in ("pid", "host", "since"))
    who = f"process {pid} on {host}" if pid else "a process"
    return f"{who} is at work, since {_when(since)}" if since else f"{who} is at work"


def _now(job: Progress) -> str:
    """Who is at work, or since when nobody is."""
    running, ended = job.running, f"over since {_when(job.changed)}"
    if job.revision:
        ended += f": revision {job.revision[:12]}"
    if running is None:
        return ended if job.over else f"nobody is at work; the last word is of {_when(job.changed)}"
    if not job.over:
        return process_text(running)
    # The record is that of the job before until the next one has its plan.
    makes_plan = running.get("since", job.changed) > job.changed
    return f"{process_text(running)}: it makes a plan; the job before is {ended}" if makes_plan else ended


def _counted(count: Count) -> str:
    if not count.shards:
        return "none"
    return ", ".join((_of(count.shards, "shard"), _of(count.rows, "row"), size_text(count.media_bytes)))


def _of(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _sum(job: Progress, *states: str) -> Count:
    counts = [count for state, count in job.shards.items() if state in states]
    return Count(sum(one.shards for one in counts), 0, sum(one.media_bytes for one in counts))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

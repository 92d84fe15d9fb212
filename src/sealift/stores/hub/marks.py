"""How a job's commits and pull requests are known again: a line of their text that names it."""

from __future__ import annotations

TRAILER = "Sealift-Job"


def line(job: str) -> str:
    """The line that marks what the job did; for one commit of it, `job` is `<job>/<number>`."""
    return f"{TRAILER}: {job}"


def is_marked(text: str, job: str) -> bool:
    """Whether the text has the very line of the job."""
    return line(job) in (one.strip() for one in text.splitlines())


def is_of_job(text: str, job: str) -> bool:
    """Whether the text has the line of the job, or of one of its commits."""
    mark = line(job)
    return any(one.strip() == mark or one.strip().startswith(f"{mark}/") for one in text.splitlines())


def marked(text: str, job: str) -> str:
    """The text with the line of the job at its end."""
    return f"{text.strip()}\n\n{line(job)}".strip()

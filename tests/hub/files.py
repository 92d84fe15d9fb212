"""Files brought to a dataset repository through a client, and what is there then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd
from tests.hub.client import Client


def add(files: dict[str, bytes]) -> Iterable[CommitOperationAdd]:
    """Additions of these files."""
    return [CommitOperationAdd(path, data) for path, data in files.items()]


def commit(
    client: Client, repo: str, *operations: object, message: str = "Change", more: str = "", **to: Any
) -> CommitInfo:
    """One commit to a dataset repository."""
    done: CommitInfo = client.api.create_commit(
        repo, operations, commit_message=message, commit_description=more, repo_type="dataset", **to
    )
    return done


def upload(client: Client, repo: str, path: str, content: bytes | Path, **more: object) -> Any:
    """Upload one file; what the client says of it."""
    return client.api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo, repo_type="dataset", **more)


def upload_folder(client: Client, repo: str, folder: Path, **more: object) -> Any:
    return client.api.upload_folder(repo_id=repo, folder_path=folder, repo_type="dataset", **more)


def contents(client: Client, repo: str, **revision: Any) -> Mapping[str, bytes]:
    """Every file of a dataset repository but `.gitattributes`, read through the file system."""
    return dict(client.call(_contents, repo, **revision))


def _contents(repo: str, revision: str = "main") -> dict[str, bytes]:
    import huggingface_hub

    files = huggingface_hub.HfFileSystem(skip_instance_cache=True)
    root = f"datasets/{repo}@{revision.replace('/', '%2F')}"
    found = {path: files.cat_file(path) for path in files.find(root)}
    named = {path.removeprefix(root).lstrip("/"): data for path, data in found.items()}
    return {path: data for path, data in named.items() if path != ".gitattributes"}


def requested(repo: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one GET, redirections followed."""
    from huggingface_hub import get_session, get_token, hf_hub_url, hf_raise_for_status

    url = hf_hub_url(repo, path, repo_type="dataset")
    sent = {"Authorization": f"Bearer {get_token()}", "Accept-Encoding": "identity", **headers}
    answer = get_session().get(url, headers=sent, follow_redirects=True)
    hf_raise_for_status(answer)
    return answer.status_code, dict(answer.headers), answer.content

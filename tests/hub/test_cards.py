"""Cards: README.md with metadata that a Hub checks and understands."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from huggingface_hub.errors import EntryNotFoundError
from tests.hub.client import Client
from tests.hub.files import add, commit, contents

GOOD = """---
license: mit
language:
- en
tags:
- audio
- tést
size_categories:
- n<1K
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
---
# A dataset

Words of its own: ünïcödé.
"""
NO_YAML = "---\nlicense: [mit\n---\n"
UPDATE = "huggingface_hub:metadata_update"
BAD = {
    "an unknown license": "---\nlicense: no-such-license\n---\n",
    "a number where words belong": "---\ntags: 5\n---\n",
    "configs that are no list": "---\nconfigs: everything\n---\n",
}


def test_a_card_comes_back_as_it_was_pushed(client: Client, repo: str) -> None:
    """`DatasetCard.push_to_hub` makes a commit; `load` gives the same text; the repository's info has the metadata."""
    client.call(push_card, repo, GOOD)
    assert client.call(load_card, repo)["text"] == GOOD
    info = client.api.dataset_info(repo)
    assert info.card_data.license == "mit"
    assert info.card_data.tags == ["audio", "tést"]
    assert {"license:mit", "language:en"} <= set(info.tags)


def test_there_is_no_card_at_first(client: Client, repo: str) -> None:
    """Loading the card of a new repository says that there is none."""
    with pytest.raises(EntryNotFoundError):
        client.call(load_card, repo)


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_card_that_is_wrong_is_refused(content: str, client: Client, repo: str) -> None:
    """By `validate` and by `push_to_hub`, with a sentence that says what is wrong."""
    for bring in (validate_card, push_card):
        with pytest.raises(ValueError, match="- Error: "):
            client.call(bring, repo, content)
    assert contents(client, repo) == {}


@pytest.mark.parametrize("content", [NO_YAML, *BAD.values()], ids=["no YAML", *BAD])
def test_a_commit_with_a_wrong_card_is_refused(content: str, client: Client, repo: str) -> None:
    """The whole of it, before any content is uploaded."""
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        commit(client, repo, *add({"README.md": content.encode(), "a.bin": b"\0" * 500}))
    assert contents(client, repo) == {}


def test_a_card_that_is_right_is_accepted(client: Client, repo: str) -> None:
    """`validate` has nothing to say of it, with no token needed."""
    client.call(validate_card, repo, GOOD)


def test_a_card_without_metadata_is_warned_of(client: Client, repo: str) -> None:
    """It is committed all the same."""
    with pytest.raises(UserWarning, match="Warnings while validating metadata"):
        client.call(warned_of, repo, "# Nothing but text\n")
    commit(client, repo, *add({"README.md": b"# Nothing but text\n"}))
    assert contents(client, repo) == {"README.md": b"# Nothing but text\n"}


def test_metadata_are_updated_in_place(client: Client, repo: str) -> None:
    """`metadata_update` adds keys and keeps the text; a key that is there is replaced only if that is asked for."""
    client.call(push_card, repo, GOOD)
    client.call(UPDATE, repo, {"pretty_name": "A name"}, repo_type="dataset")
    with pytest.raises(ValueError, match="license"):
        client.call(UPDATE, repo, {"license": "apache-2.0"}, repo_type="dataset")
    client.call(UPDATE, repo, {"license": "apache-2.0"}, repo_type="dataset", overwrite=True)
    card = client.call(load_card, repo)
    assert (card["data"]["pretty_name"], card["data"]["license"]) == ("A name", "apache-2.0")
    assert card["data"]["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert card["text"].endswith("# A dataset\n\nWords of its own: ünïcödé.\n")
    assert len(client.api.list_repo_commits(repo, repo_type="dataset")) == 4


def test_a_card_may_be_proposed(client: Client, repo: str) -> None:
    """With `create_pr` the card is on the pull request's ref and not on the branch."""
    client.call(push_card, repo, GOOD, create_pr=True)
    assert contents(client, repo) == {}
    assert contents(client, repo, revision="refs/pr/1") == {"README.md": GOOD.encode()}


def test_a_models_card_has_its_results(client: Client, name: Callable[[], str]) -> None:
    """A model's card with evaluation results passes the check and comes back."""
    repo = name()
    client.api.create_repo(repo)
    assert client.call(push_model_card, repo) == {"license": "mit", "result": 0.5}
    client.api.delete_repo(repo)


def push_card(repo: str, content: str, create_pr: bool = False) -> None:
    from huggingface_hub import DatasetCard

    DatasetCard(content, ignore_metadata_errors=True).push_to_hub(repo, create_pr=create_pr)


def validate_card(repo: str, content: str) -> None:
    from huggingface_hub import DatasetCard

    DatasetCard(content, ignore_metadata_errors=True).validate()


def load_card(repo: str) -> dict[str, object]:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(repo)
    return {"text": card.content, "data": card.data.to_dict()}


def warned_of(repo: str, content: str) -> None:
    """A commit of the card, for which a warning is an error."""
    from huggingface_hub import upload_file

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        upload_file(path_or_fileobj=content.encode(), path_in_repo="README.md", repo_id=repo, repo_type="dataset")


def push_model_card(repo: str) -> dict[str, object]:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    result = EvalResult(
        task_type="text-classification", dataset_type="x", dataset_name="X", metric_type="accuracy", metric_value=0.5
    )
    data = ModelCardData(license="mit", model_name="m", eval_results=[result])
    ModelCard(f"---\n{data.to_yaml()}\n---\n# m\n").push_to_hub(repo)
    loaded = ModelCard.load(repo).data
    assert loaded.eval_results is not None
    return {"license": loaded.license, "result": loaded.eval_results[0].metric_value}

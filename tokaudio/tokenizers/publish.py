"""Tokenizers to the Hub, each with its card."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tokaudio.atomic import atomic_write
from tokaudio.hub import push_folder
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.card import model_card


def push_tokenizer(
    tokenizer: Tokenizer,
    repo_id: str,
    *,
    private: bool = False,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
) -> str:
    """Upload configuration, weights and card of a tokenizer in one commit, and return the repository's address.

    The card says licence, paper, origin, rates, the fingerprint of the weights, and how to load them from there.

    Args:
        tokenizer: the one to upload.
        repo_id: `OWNER/NAME`; made if need be.
        private: whether a new repository shall be visible to its owner only.
        token: access token; None for the stored one.
        revision: branch, made if need be; None for `main`.
        commit_message: of the commit.

    Raises:
        HubError: if the Hub cannot be reached, or refuses the upload.
        UnknownNameError: if `repo_id` is not of the form `OWNER/NAME`.

    Example:
        >>> push_tokenizer(Tokenizer.from_pretrained("mini-codec"), "no name", token=False)
        Traceback (most recent call last):
        tokaudio.errors.UnknownNameError: no name: is no name of a repository; give OWNER/NAME
    """
    with TemporaryDirectory() as scratch:
        folder = tokenizer.save_pretrained(Path(scratch) / "tokenizer")
        card = model_card(tokenizer.spec, tokenizer.fingerprint, name=repo_id, decodes=tokenizer.decodes)
        atomic_write(folder / "README.md", card.encode(), overwrite=True)
        message = commit_message or f"Upload {tokenizer.spec.name}"
        return push_folder(
            folder,
            repo_id,
            private=private,
            token=token,
            revision=revision,
            commit_message=message,
            subfolders=True,
        )

"""What a corpus is encoded with, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.shards import corpus_format
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.storage.formats import ShardFormat, shard_format


@dataclass(frozen=True)
class EncodeOptions:
    """How a corpus is encoded.

    Args:
        tokenize: how sound becomes codes.
        form: format of the shards.
        sharding: when a shard is full.
        readers: threads of each process that decode ahead of the model.
        retry_failed: try inputs once more that failed before.

    Example:
        >>> EncodeOptions(TokenizeBatch("mini-semantic")).form.name
        'parquet'
    """

    tokenize: TokenizeBatch = field(default_factory=TokenizeBatch)
    form: ShardFormat = field(default_factory=lambda: shard_format("parquet"))
    sharding: Sharding = field(default_factory=Sharding)
    readers: int = 2
    retry_failed: bool = False

    def to_document(self) -> dict[str, Any]:
        """Return, in types of JSON, what is written down of them in `job.json`: whatever may change a byte."""
        return {
            "tokenizer": self.tokenize.tokenizer,
            "num_codebooks": self.tokenize.num_codebooks,
            "layers": None if self.tokenize.layers is None else list(self.tokenize.layers),
            "device": self.tokenize.device,
            "allow_truncated": self.tokenize.allow_truncated,
            "format": self.form.name,
        }

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, batch_seconds: float = 60.0, readers: int = 2
    ) -> EncodeOptions:
        """Return options of what `to_document` gave.

        Args:
            document: as written down.
            batch_seconds: of `TokenizeBatch`.
            readers: as above.

        Example:
            >>> given = EncodeOptions(TokenizeBatch(layers=(3, 6)))
            >>> EncodeOptions.from_document(given.to_document()) == given
            True
        """
        given = dict(document)
        form, layers = corpus_format(given.pop("format")), given.pop("layers")
        tokenize = TokenizeBatch(layers=None if layers is None else tuple(layers), batch_seconds=batch_seconds, **given)
        return cls(tokenize, form, readers=readers)

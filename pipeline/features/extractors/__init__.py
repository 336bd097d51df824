"""Extractors: a real set -> embeddings, and for some also sentences -> embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import torch

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import Features, RealSet
    from pipeline.models.model import NetworkPlugin


class FeatureExtractor(Protocol):
    """An extractor plugin: embeds the samples of a real set."""

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        cache: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """Embed every sample of one split.

        Args:
            real: the split.
            networks: name -> network, for extractors that train one.
            cache: keeps finished work, so that it survives an interruption.
            device: where the encoder runs.
            report: called with (done, total) samples or steps.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """An extractor that embeds sentences too."""

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Return float32 [n, D], and the digest of the encoder's weights or of its file.

        Args:
            sentences: n sentences.
            device: where the encoder runs.
        """
        ...

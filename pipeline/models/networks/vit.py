"""A small transformer pair: ViT on frames, AST on log-mels.

Dosovitskiy et al., ICLR 2021; Gong et al., Interspeech 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from pipeline.core.errors import ParamsError
from pipeline.core.params import PositiveInt
from pipeline.core.plugins import pick
from pipeline.models.initialisation import PositionEmbedding
from pipeline.models.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Network:
    """Patches as tokens, learned positions, pre-norm blocks; the features are the mean token.

    The mean replaces ViT's class token, as in its appendix. Patches do not overlap, unlike AST's,
    so there are fewer tokens.

    Args:
        patch: modality -> rows and columns of a patch; they divide those of the data.
        width: numbers per token, and features.
        depth: number of blocks.
        heads: number of attention heads; a divisor of width.
        mlp_ratio: hidden units of the MLP, in multiples of width; published: 4.
    """

    patch: dict[str, tuple[PositiveInt, PositiveInt]]
    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt
    mlp_ratio: PositiveInt

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ParamsError(
                f"vit: width {self.width} is no multiple of heads {self.heads}; choose one that is"
            )

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of `width` features each; see `NetworkPlugin.build`."""
        towers = {
            modality: self._build_tower(modality, shape) for modality, shape in shapes.items()
        }
        return Towers(towers, shapes, generator)

    def _build_tower(self, modality: str, shape: tuple[int, ...]) -> nn.Sequential:
        (rows, columns), (high, wide) = shape[-2:], pick(self.patch, modality, "patch")
        if rows % high or columns % wide:
            raise ParamsError(
                f"vit: patch.{modality} is {high} x {wide}, but a {modality} has {rows} rows and "
                f"{columns} columns; choose a patch that divides both"
            )
        return nn.Sequential(
            nn.Conv2d(shape[-3], self.width, (high, wide), stride=(high, wide)),
            PatchTokens(),
            PositionEmbedding((rows // high) * (columns // wide), self.width),
            *(TransformerBlock(self.width, self.heads, self.mlp_ratio) for _ in range(self.depth)),
            nn.LayerNorm(self.width),
            TokenMean(),
        )


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each on layer-normalised tokens and added to them.

    Args:
        width: numbers per token.
        heads: number of attention heads.
        mlp_ratio: hidden units of the MLP, in multiples of width.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        hidden = mlp_ratio * width
        self.attention = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> [B, tokens, width]."""
        attended: Tensor = x + self.attention(x)
        total: Tensor = attended + self.mlp(attended)
        return total


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017).

    Written out, for F.scaled_dot_product_attention has no second derivative on a CPU, which
    gradient and trajectory matching need, and no batching rule, which networks under
    torch.func.vmap need. At 64 tokens this takes a third longer.

    Args:
        width: numbers per token.
        heads: number of heads; a divisor of width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> [B, tokens, width]."""
        # Each [B, heads, tokens, width / heads].
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query * query.shape[-1] ** -0.5 @ key.mT).softmax(-1)
        attended: Tensor = self.out((weights @ value).transpose(1, 2).flatten(2))
        return attended


class PatchTokens(nn.Module):
    """Reshape maps to tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, rows, columns] -> [B, rows * columns, width]."""
        return x.flatten(2).mT


class TokenMean(nn.Module):
    """Average the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> [B, width]."""
        return x.mean(1)

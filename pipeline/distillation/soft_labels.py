"""Soft labels: what the experts of a bank take each piece of a synthetic set for.

p_m(x) = mean over experts of softmax(z_m(x) / (T T_m)), with z_m an expert's logits from modality m at the end of its course, T
the temperature (Hinton et al., Distilling the Knowledge in a Neural Network, 2015), and T_m the one that makes experts as certain
of modality m as they are right (pipeline/calibration.py): of two predictions that are averaged the more certain one decides, and
one temperature for both modalities is fair where that is earned. One label per piece, of the piece as it is stored, or,
where rows are samples still, of the sample that it was made from, which experts see as sharp as what they learned from:
students augment it and learn the same p. That few pieces and such labels go far is the finding of Qin et al., A Label is Worth a
Thousand Images in Dataset Distillation (NeurIPS 2024); theirs have one modality, whole images and one expert.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core.plugins import pick
from pipeline.models.heads import modalities_of
from pipeline.training import formation, instances, loop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch import Tensor

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.training.bank import ExpertBank
    from pipeline.training.formation import Grid
    from pipeline.training.instances import Instances


def add_soft_labels(
    synthetic: SyntheticSet,
    bank: ExpertBank,
    real: RealSet,
    temperature: Mapping[str, float | None],
    device: torch.device,
    still: Collection[str] = (),
) -> SyntheticSet:
    """The same rows with a soft label for each piece of each modality.

    An output that sees several modalities speaks for each of them.

    Args:
        temperature: T by modality; None gives its pieces the class as a certain label. Where all are None, the set stays as it is.
        still: modalities whose pieces are the samples that `source_key` names, which experts are shown in their place.

    Raises:
        CellError: the bank is of other data than the real set.
    """
    heats = {m: pick(temperature, m, "temperature") for m in synthetic.rows}
    if not any(heats.values()):
        return synthetic
    data = instances.decode_synthetic_set(synthetic, device)
    certain = F.one_hot(data.label.cpu(), len(real.classes)).float()
    taken = {m: certain if heat is None else torch.zeros_like(certain) for m, heat in heats.items()}
    for outputs in _predict_experts(
        _substitute_samples(data, synthetic, real, still, device), bank, real, device
    ):
        for m, heat in heats.items():
            if heat is not None:
                seen = [
                    (logits / heat).softmax(1)
                    for name, logits in outputs.items()
                    if m in modalities_of(name)
                ]
                taken[m] = taken[m] + torch.stack(seen).mean(0) / len(bank.courses)
    return replace(
        synthetic, soft_label=_group_by_row(taken, synthetic.formation, len(synthetic.label))
    )


def _substitute_samples(
    data: Instances,
    synthetic: SyntheticSet,
    real: RealSet,
    still: Collection[str],
    device: torch.device,
) -> Instances:
    """The instances, with whole samples in place of the pieces that were made from them."""
    if not still:
        return data
    place = {key: row for row, key in enumerate(real.keys)}
    sources = torch.tensor([[place[key] for key in keys.split()] for keys in synthetic.source_key])
    count = len(data.label) // len(sources)
    rows = {
        m: formation.flatten_pieces(sources[:, : high * wide], (high, wide), count)
        for m, (high, wide) in synthetic.formation.items()
    }

    def take(index: Tensor) -> dict[str, Tensor]:
        samples = {m: real.normalise(rows[m][index])[m].to(device) for m in still}
        return {**data.take(index), **samples}

    return replace(data, take=take)


@torch.no_grad()
def _predict_experts(
    data: Instances, bank: ExpertBank, real: RealSet, device: torch.device
) -> Iterator[dict[str, Tensor]]:
    """Each expert's logits at the end of its course, as certain as they may be, [N, classes] by output."""
    module, passes = (
        bank.build_empty_model(real, device),
        torch.split(torch.arange(len(data.label)), loop.PASS),
    )
    for expert in range(len(bank.courses)):
        module.load_state_dict(bank.interpolate(expert, 1.0))
        parts = [module(data.take(index)) for index in passes]
        yield {
            name: torch.cat([part[name] for part in parts]).cpu() / bank.temperature[name]
            for name in parts[0]
        }


def _group_by_row(
    taken: Mapping[str, Tensor], formation: Mapping[str, Grid], rows: int
) -> dict[str, Tensor]:
    """Of training instances, piece by piece [count * N, classes] -> of each row's own pieces [N, pieces, classes].

    What is said of a piece that was paired with several others is their mean.
    """
    own = {m: high * wide for m, (high, wide) in formation.items()}
    return {
        m: p.reshape(-1, own[m], rows, p.shape[1]).mean(0).transpose(0, 1).contiguous()
        for m, p in taken.items()
    }

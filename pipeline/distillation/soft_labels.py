"""Soft labels: the class probabilities that experts give each piece of a synthetic set.

p_m(x) = mean over experts of softmax(z_m(x) / (T T_m)). z_m are an expert's logits from modality m
after its last epoch. T is the temperature (Hinton et al., Distilling the Knowledge in a Neural
Network, 2015). T_m calibrates the experts on modality m (training/experts.py): in a mean of two
predictions the more certain one decides, so T_m makes certainty match accuracy first.

There is one label per piece, of the piece as it is stored. Where rows are unchanged samples, it is
the label of the whole sample, which experts see as sharp as their training data. Students augment
the piece and learn the same p.

Few pieces with such labels go far: Qin et al., A Label is Worth a Thousand Images in Dataset
Distillation, NeurIPS 2024. They have one modality, whole images and one expert.
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
    from collections.abc import Collection, Iterator, Mapping, Sequence

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
    unchanged: Collection[str] = (),
) -> SyntheticSet:
    """Return the same rows with a soft label for each piece of each modality.

    Args:
        synthetic: the set to label.
        bank: the experts.
        real: the training split.
        temperature: modality -> T; None gives its pieces one-hot labels of their class, and if all
            are None, the set is returned as it is.
        device: where the experts run.
        unchanged: modalities whose pieces are real samples, those that `source_key` names; experts
            see these samples in place of the pieces.

    Raises:
        CellError: the bank was trained on other data.

    Example:
        labelled = add_soft_labels(synthetic, bank, real, {"frame": 4.0, "logmel": 4.0}, device)
        labelled.soft_label["frame"]  # float32 [N, pieces, classes]
    """
    temperatures = {m: pick(temperature, m, "temperature") for m in synthetic.rows}
    if not any(temperatures.values()):
        return synthetic
    data = instances.decode_synthetic_set(synthetic, device)
    one_hot = F.one_hot(data.label.cpu(), len(real.classes)).float()
    data = _substitute_samples(data, synthetic, real, unchanged, device)
    experts = list(_predict_experts(data, bank, real, device))
    labels = {
        m: one_hot if t is None else _average_experts(experts, m, t)
        for m, t in temperatures.items()
    }
    by_row = _group_by_row(labels, synthetic.formation, len(synthetic.label))
    return replace(synthetic, soft_label=by_row)


def _average_experts(
    experts: Sequence[Mapping[str, Tensor]], modality: str, temperature: float
) -> Tensor:
    """Return mean probabilities [N, classes] over experts and the outputs that see a modality.

    An output that sees several modalities counts for each of them.
    """
    total = torch.zeros(())
    for outputs in experts:
        logits = [z for name, z in outputs.items() if modality in modalities_of(name)]
        mean = torch.stack([(z / temperature).softmax(1) for z in logits]).mean(0)
        total = total + mean / len(experts)
    return total


def _substitute_samples(
    data: Instances,
    synthetic: SyntheticSet,
    real: RealSet,
    unchanged: Collection[str],
    device: torch.device,
) -> Instances:
    """Replace the pieces of unchanged modalities by the whole samples that they were made from."""
    if not unchanged:
        return data
    position = {key: row for row, key in enumerate(real.keys)}
    sources = torch.tensor(
        [[position[key] for key in keys.split()] for keys in synthetic.source_key]
    )
    count = len(data.label) // len(sources)
    rows = {
        m: formation.flatten_pieces(sources[:, : high * wide], (high, wide), count)
        for m, (high, wide) in synthetic.formation.items()
    }

    def take(index: Tensor) -> dict[str, Tensor]:
        samples = {m: real.normalise(rows[m][index])[m].to(device) for m in unchanged}
        return {**data.take(index), **samples}

    return replace(data, take=take)


@torch.no_grad()
def _predict_experts(
    data: Instances, bank: ExpertBank, real: RealSet, device: torch.device
) -> Iterator[dict[str, Tensor]]:
    """Yield each expert's calibrated logits after its last epoch, [N, classes] by output."""
    module = bank.build_empty_model(real, device)
    batches = torch.split(torch.arange(len(data.label)), loop.PASS)
    for expert in range(len(bank.trajectories)):
        module.load_state_dict(bank.interpolate(expert, 1.0))
        parts = [module(data.take(index)) for index in batches]
        yield {
            name: torch.cat([part[name] for part in parts]).cpu() / bank.temperature[name]
            for name in parts[0]
        }


def _group_by_row(
    labels: Mapping[str, Tensor], grids: Mapping[str, Grid], rows: int
) -> dict[str, Tensor]:
    """Turn labels of training instances into labels of each row's pieces.

    A piece that was paired with several others gets the mean of its labels.

    Args:
        labels: modality -> [count * N, classes], piece by piece.
        grids: modality -> grid of its pieces.
        rows: N.

    Returns:
        modality -> [N, pieces, classes].
    """
    pieces = {m: high * wide for m, (high, wide) in grids.items()}
    return {
        m: p.reshape(-1, pieces[m], rows, p.shape[1]).mean(0).transpose(0, 1).contiguous()
        for m, p in labels.items()
    }

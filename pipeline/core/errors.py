"""The errors that a user can cause; each message says what, where and what to do next.

PipelineError
├── ParamsError        a params file, or a --set, does not fit its dataclass
├── PluginError        there is no plugin of that name
├── SourceError        a folder, a table or a manifest is not what its reader expects
├── EngineError        an engine is not available, or lost a task
├── MediaError         one clip cannot be decoded; carries the ledger's reason
├── ShardError         shards are missing, damaged or made from something else
├── TableError         an HDF5 file is damaged, or not one of avdistill's
│   ├── StoreError     a feature table is stale, mixed or has other keys
│   └── ArtifactError  an artifact cannot be read, or does not fit the shards
├── TensorError        a safetensors file between two stages is missing or damaged
├── CellError          this method cannot make sets at this IPC from these data
│   ├── DivergedError  a loss became NaN or infinite
│   └── InfeasibleError  a class has too few samples
├── MachineError       this machine's decoders return wrong times, or its names are not UTF-8
├── RankError          the processes of one run cannot be joined, or one was lost
│   └── EchoError      this process failed after another one, which has reported why
├── RejectError        finished, with more rejects than allowed (exit code 3)
└── OutputError        the output exists already, or cannot be written
"""

from __future__ import annotations


class PipelineError(Exception):
    """An error that the command line prints as one line, with exit code 1."""


class ParamsError(PipelineError):
    """A params file, or a --set, does not fit its dataclass."""


class PluginError(PipelineError):
    """There is no plugin of that name."""


class SourceError(PipelineError):
    """A folder, a table or a manifest is not what its reader expects."""


class EngineError(PipelineError):
    """An engine is not available, or lost a task."""


class MediaError(PipelineError):
    """One clip cannot be decoded.

    Args:
        reason: one of REASONS.
        detail: the decoder's message.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ShardError(PipelineError):
    """Shards are missing, damaged or made from something else."""


class TableError(PipelineError):
    """An HDF5 file is damaged, or not one of avdistill's."""


class StoreError(TableError):
    """A feature table is stale, mixed or has other keys."""


class ArtifactError(TableError):
    """An artifact cannot be read, or does not fit the shards."""


class TensorError(PipelineError):
    """A safetensors file between two stages is missing or damaged."""


class CellError(PipelineError):
    """This method cannot make sets at this IPC from these data."""


class DivergedError(CellError):
    """A loss became NaN or infinite."""


class InfeasibleError(CellError):
    """A class has fewer samples than the cell needs."""


class MachineError(PipelineError):
    """This machine's decoders return wrong times, or its file names are not read as UTF-8."""


class RankError(PipelineError):
    """The processes of one run cannot be joined, or one was lost."""


class EchoError(RankError):
    """This process failed after another one of the run, which has reported why."""


class RejectError(PipelineError):
    """Finished, with more rejects than allowed; the command line exits with 3."""


class OutputError(PipelineError):
    """The output exists already, or cannot be written."""


# Reasons why a clip or a window is not among the samples; the ledger has no others (design, 4).
REASONS = (
    "no_audio",
    "no_video",
    "truncated_audio",
    "truncated_video",
    "short",
    "silent",
    "still",
    "black",
    "clipping",
    "av_offset",
    "near_duplicate",
    "duplicate",
    "decode_error",
    "timeout",
    "memory",
    "crash",
    "missing_file",
    "outside_root",
    "bad_id",
    "bad_span",
)

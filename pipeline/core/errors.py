"""Everything a user can cause, as one tree of exceptions; each message says what, where and what to do next.

PipelineError
├── ParamsError        a params file, or a --set, does not fit the dataclass it is for
├── PluginError        nothing of that name under pipeline/<kind>/
├── SourceError        a folder, a table or a manifest is not what its adapter expects
├── EngineError        an engine cannot be had, or lost what it was given
├── MediaError         one clip cannot be decoded; carries the ledger's reason
├── ShardError         shards are missing, damaged or made from something else
├── TableError         an HDF5 file is damaged or is not ours
│   ├── StoreError     a feature table is stale, mixed or of other keys
│   └── ArtifactError  an artifact cannot be read, or does not fit the shards
├── TensorError        a safetensors file between two stages is missing or damaged
├── CellError          this method at this IPC cannot be done with these data
│   └── DivergedError  a loss became NaN or infinite
├── MachineError       this machine's decoders do not tell the time
├── RankError          the processes of one run cannot be joined, or one was lost
│   └── EchoError      this process failed after another of the run, which has told why
├── RejectError        finished, with more rejects than allowed (exit code 3)
└── OutputError        the output exists already, or cannot be written
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class PipelineError(Exception):
    """The root: the command line turns it into one line and exit code 1."""


class ParamsError(PipelineError):
    """A params file, or a --set, does not fit the dataclass it is for."""


class PluginError(PipelineError):
    """Nothing of that name under pipeline/<kind>/."""


class SourceError(PipelineError):
    """A folder, a table or a manifest is not what its adapter expects."""


class EngineError(PipelineError):
    """An engine cannot be had, or lost what it was given."""


class MediaError(PipelineError):
    """One clip cannot be decoded.

    Args:
        reason: one of the ledger's closed list (`records.REASONS`).
        detail: what the decoder said.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class ShardError(PipelineError):
    """Shards are missing, damaged or made from something else."""


class TableError(PipelineError):
    """An HDF5 file is damaged or is not ours."""


class StoreError(TableError):
    """A feature table is stale, mixed or of other keys."""


class ArtifactError(TableError):
    """An artifact cannot be read, or does not fit the shards."""


class TensorError(PipelineError):
    """A safetensors file between two stages is missing or damaged."""


class CellError(PipelineError):
    """This method at this IPC cannot be done with these data."""


class DivergedError(CellError):
    """A loss became NaN or infinite."""


class MachineError(PipelineError):
    """This machine's decoders do not tell the time."""


class RankError(PipelineError):
    """The processes of one run cannot be joined, or one was lost."""


class EchoError(RankError):
    """This process failed after another of the run, which has told why: nothing is left to say."""


class RejectError(PipelineError):
    """Finished, with more rejects than allowed; the command line exits with 3."""


class OutputError(PipelineError):
    """The output exists already, or cannot be written."""


# Why a clip or a window is not among the samples: the ledger knows these words and no others (design, section 4).
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

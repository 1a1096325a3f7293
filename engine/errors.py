"""The errors that a user of the engine can cause; knows nothing of games or terminals.

    UserError
      CheckpointError    a file of weights that can't be used
      SnapshotError      a saved state that can't be used
      TokenizerError     a tokenizer file that can't be used

Each message is one sentence: what is wrong (the value seen, the value wanted) and what to do.
Mistakes in calling code stay ordinary exceptions (ValueError, TypeError).
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend; shown without a traceback."""


class CheckpointError(UserError):
    """A checkpoint file is missing, damaged, unsafe, or not one that this engine can run."""


class SnapshotError(UserError):
    """A snapshot does not belong to this engine, this model, or is damaged."""


class TokenizerError(UserError):
    """A tokenizer file is missing, damaged, or lacks a token that is needed."""

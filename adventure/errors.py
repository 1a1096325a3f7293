"""The errors a user sees, one tree: engine.errors.UserError and what the game adds to it.

UserError
+- CheckpointError, SnapshotError, TokenizerError   (engine)
+- PackError     a world that can't be read
+- SaveError     a save that can't be written or read
+- TrainError    a training run or an evaluation that can't go on
"""

from __future__ import annotations

from engine.errors import UserError


class PackError(UserError):
    """A world pack is missing or wrong. faults: a sentence on each thing that is wrong with it."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class SaveError(UserError):
    """A save can't be written, or isn't one, or belongs to another world or model."""


class TrainError(UserError):
    """A training run can't start or go on."""


__all__ = ["PackError", "SaveError", "TrainError", "UserError"]

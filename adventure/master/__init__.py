"""The game master: its corpus, training, judging, and the turns it plays."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "weights" / "master.safetensors"
"""The game master that comes with the program; tokenizer.json is beside it."""
LEARNT = 7_000
"""Tokens of a pack in the largest random worlds that SHIPPED was trained on."""

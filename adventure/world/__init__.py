"""Worlds: what authors write, and how it becomes text. Knows no network and no player."""

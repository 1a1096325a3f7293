"""The game master: its corpus, training, judging, and the turns it plays."""

"""The referee: exact rules over a world, to learn from and to be judged by. It never answers the player."""

"""The referee: exact rules, to learn from and to be judged by. It never answers the player."""

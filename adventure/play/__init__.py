"""Playing: the session, its saves, and the terminal around them."""

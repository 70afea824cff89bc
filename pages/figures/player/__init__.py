"""Lists of clips that play, one sound at a time."""

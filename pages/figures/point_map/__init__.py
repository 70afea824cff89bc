"""A map of dots to look at, click, hear and select."""

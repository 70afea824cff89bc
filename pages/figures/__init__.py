"""Custom components: the Python, JavaScript and CSS of one figure together."""

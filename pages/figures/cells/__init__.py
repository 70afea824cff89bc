"""Tables of coloured cells that open something."""

"""What pages ask of an opened workspace: why clips match, what steering does, where clips move, what a sound holds."""

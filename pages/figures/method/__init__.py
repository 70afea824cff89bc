"""One embedding through the autoencoder and back."""

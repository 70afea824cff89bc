"""The sparse autoencoder: its equations, its training, its codes and their index."""

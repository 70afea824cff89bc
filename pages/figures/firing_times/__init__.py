"""When each latent is active within one sound."""

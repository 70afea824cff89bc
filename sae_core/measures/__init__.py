"""Pure functions over codes and labels: how well latents detect, verify, move, split and steer."""

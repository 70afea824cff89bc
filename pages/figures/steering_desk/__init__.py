"""Sliders of steered latents beside the similarities they move."""

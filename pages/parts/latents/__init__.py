"""What only the page Latents draws."""

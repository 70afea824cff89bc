"""What only the page Sweep draws."""

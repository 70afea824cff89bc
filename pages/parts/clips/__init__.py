"""What only the page Clips draws."""

"""What only the page Map draws."""

"""What only the page Notes draws."""

"""What only the page Universality draws."""

"""What only the page Movement draws."""

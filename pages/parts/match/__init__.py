"""What only the page Match draws."""

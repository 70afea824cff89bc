"""What only the page Erasure draws."""

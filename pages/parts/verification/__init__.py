"""What only the page Verification draws."""

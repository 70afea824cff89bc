"""What only the page Steering draws."""

"""What only the page Data check draws."""

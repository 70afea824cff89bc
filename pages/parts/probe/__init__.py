"""What only the page Probe draws."""

"""Flow diagrams whose flows and names can be clicked."""

"""What people see: one file a page, each of them choose → ask sae_core → draw."""

"""Reports: what a workspace or a latent shows, as one HTML file that needs neither a server nor a network."""

"""The demo of real voices: how it is gathered from Debian packages, and the bundle that ships."""

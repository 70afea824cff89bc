"""One recording at a time: decoded from its content, resampled, measured, made ready for a browser."""

"""Ranked lists of named bars."""

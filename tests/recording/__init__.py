"""Recordings: kept, read back, watched."""

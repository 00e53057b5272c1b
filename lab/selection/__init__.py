"""Choosing between checkpoints, by scores and by blind votes."""

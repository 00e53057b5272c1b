"""Data sets on disk: the names and records that ``data_prep`` writes and ``lab`` reads."""

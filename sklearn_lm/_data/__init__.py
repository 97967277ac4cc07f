"""Rows of data: validation, splitting, scaling, and sources that are read in parts."""

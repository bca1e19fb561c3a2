"""Codes beside what is heard and labelled in the same frames."""

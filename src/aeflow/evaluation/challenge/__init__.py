"""Harder questions to models of expression."""

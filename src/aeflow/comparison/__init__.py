"""Runs of a dataset beside PCA."""

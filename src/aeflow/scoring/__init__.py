"""Families of anomaly scores; `aeflow.scores` composes them."""

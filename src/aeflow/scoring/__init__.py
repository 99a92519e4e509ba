"""Families of anomaly scores; `aeflow.scoring.scores` composes them."""

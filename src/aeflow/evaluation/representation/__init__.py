"""Evaluations of latents."""

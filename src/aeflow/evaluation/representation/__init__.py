"""What latents are good for."""

"""aeflow: which autoencoder is worth using on this data, and for what?"""

__version__ = "0.1.0"

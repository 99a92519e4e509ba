"""What models do, in the figures of the autoencoder lectures: each a function of trained models and held-out rows.

`catalogue.FIGURES` lists them; the figure of an entry is the function of its name in the module it states.
"""

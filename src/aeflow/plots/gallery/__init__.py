"""What models do, in the figures of the autoencoder lectures: each a function of trained models and held-out rows.

A figure is one function of one file of this folder, marked with `gallery_figure`, which states what it needs and its
caption. A configuration asks for it as file.function, and names the model that plays each role:
`latent_space.bottleneck: {pca: pca_2, ae: ae_2}`.
"""

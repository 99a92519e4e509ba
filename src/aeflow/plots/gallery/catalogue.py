"""The figures of the gallery. A literal: Snakemake reads it without importing torch or matplotlib.

module : file of this folder that holds the function of the figure's name.
kind : observations it can show; "any", "images" or "expression".
roles : role -> class or capability that its model must have, "" for any; {} takes any roles, which label the curves.
scores, task : whether it reads the runs' scores, and whether it needs a task.
caption : what to see.
"""

FIGURES = {
    "linear_reconstructions": {
        "module": "images",
        "kind": "images",
        "roles": {"pca": "PCA", "linear": "LinearAE"},
        "scores": False,
        "task": False,
        "caption": "Test images, and what PCA and a linear autoencoder of equal size give back. A linear autoencoder "
        "has PCA's subspace as its optimum, so the two rows should look alike and their errors should "
        "agree; PCA's is the least any linear map can reach on its training rows. MSE: mean squared error "
        "per pixel over the whole test set.",
    },
    "shallow_reconstructions": {
        "module": "images",
        "kind": "images",
        "roles": {"ae": "AE"},
        "scores": False,
        "task": False,
        "caption": "Test images above what the plainest autoencoder gives back: one hidden layer of rectified units, "
        "one sigmoid output per pixel. Strokes survive, fine detail is blurred; compare the error with "
        "PCA's of equal size in linear_reconstructions. MSE: mean squared error per pixel over the whole "
        "test set.",
    },
    "bottleneck": {
        "module": "latents",
        "kind": "any",
        "roles": {"pca": "PCA", "ae": "AE"},
        "scores": False,
        "task": False,
        "caption": "Test rows in two dimensions, coloured by class (which no model saw), of each study with its own "
        "mark: two principal components beside the bottleneck of a deep autoencoder. See whether the "
        "classes part; the neighbour accuracy says how well, the share of rows whose five nearest "
        "neighbours in the picture vote for their class. Where studies part, too, the latents hold what is "
        "not biology. MSE, per variable, tells how much two numbers keep of a row.",
    },
    "embedding": {
        "module": "latents",
        "kind": "any",
        "roles": {"pca": "PCA", "ae": ""},
        "scores": False,
        "task": False,
        "caption": "All latents of two models in two dimensions, coloured by class (which no model saw), of each study "
        "with its own mark. Above: their first two principal components, which keep distances as far as two axes "
        "can. Below: t-SNE, which keeps neighbours and nothing else; sizes of clusters and distances between them "
        "mean nothing. The neighbour accuracy is measured in the latents, not in the picture: the share of rows whose "
        "five nearest neighbours vote for their class.",
    },
    "overfitting": {
        "module": "training",
        "kind": "any",
        "roles": {"narrow": "AE", "wide": "AE"},
        "scores": False,
        "task": False,
        "caption": "Reconstruction error of training and validation rows per epoch, of a narrow autoencoder and of an "
        "overcomplete one. Where the validation curve leaves the training curve, the model learns its "
        "training rows by heart; the dotted line is the epoch whose weights were kept. With many rows even "
        "the wide one need not overfit: it may simply copy. Training values are means over an epoch whose "
        "weights still change, so the first lie above validation.",
    },
    "sparse_features": {
        "module": "codes",
        "kind": "images",
        "roles": {"sparse": "SparseAE", "dense": ""},
        "scores": False,
        "task": False,
        "caption": "What the most used latents of a sparse and of a dense autoencoder add to an image (orange "
        "brighter, purple darker, each on its own scale), and how their activations on test images are "
        "distributed. Sparse latents are silent on most images, so each can stand for one stroke or place. "
        "Silent: below 1 % of the latent's own maximum.",
    },
    "denoising": {
        "module": "images",
        "kind": "images",
        "roles": {"dae": "DAE"},
        "scores": False,
        "task": False,
        "caption": "Test images, the same images corrupted as in training, and what the denoising autoencoder makes "
        "of them. The noise should be gone, at the price of fine detail; the errors, against the clean "
        "images of the whole test set, say how much of it. Corrupted values are drawn within 0 to 1.",
    },
    "jacobian": {
        "module": "codes",
        "kind": "any",
        "roles": {"ae": "AE", "dae": "DAE", "cae": "CAE"},
        "scores": False,
        "task": False,
        "caption": "How far the latents move when a test row moves a little: Frobenius norm of the encoder's "
        "Jacobian, one value per row. Left as it is, which a model lowers by merely shrinking its latents; "
        "right divided by the spread of the latents, which it cannot. A contractive autoencoder is "
        "penalised by this norm, a denoising one lowers it indirectly. One layer without activation has "
        "the same Jacobian at every row: a single bar.",
    },
    "manifold": {
        "module": "latents",
        "kind": "images",
        "roles": {"vae": "VAE"},
        "scores": False,
        "task": False,
        "caption": "Left: posterior means of test images in the two latents of a variational autoencoder; they fill a "
        "disc about zero, as the prior asks. Right: decoded latents on a grid that is even in the prior's "
        "probability (inverse normal distribution function of 0.03 to 0.97), so that each picture stands "
        "for an equal share of draws. Neighbours change smoothly, classes have regions.",
    },
    "epochs": {
        "module": "images",
        "kind": "images",
        "roles": {"early": "AE", "late": "AE"},
        "scores": False,
        "task": False,
        "caption": "Test images and what one autoencoder gives back early and late in one training (same seed, same "
        "batches). The first epoch already finds the shape; later ones sharpen it. MSE: mean squared error "
        "per pixel over the whole test set.",
    },
    "prior_draws": {
        "module": "images",
        "kind": "images",
        "roles": {"ae": "AE", "vae": "VAE"},
        "scores": False,
        "task": False,
        "caption": "Draws from N(0, 1) decoded by a plain and by a variational autoencoder; none was picked. Nothing "
        "places the plain one's latents there (see their spread and correlations over its panel), so its "
        "decoder meets points it was never trained on; the variational one is trained to be a decoder of "
        "just these draws.",
    },
    "interpolation": {
        "module": "images",
        "kind": "images",
        "roles": {"ae": "AE", "vae": "VAE"},
        "scores": False,
        "task": False,
        "caption": "From one test image to another in equal steps along the straight line between their latents, "
        "beside the cross-fade of pixels, which needs no model. A good latent space passes through "
        "plausible images instead of showing two at once. Both ends are reconstructions.",
    },
    "walkback": {
        "module": "chains",
        "kind": "images",
        "roles": {"walkback": "AbstractMarkovChain", "plain": "AbstractMarkovChain"},
        "scores": False,
        "task": False,
        "caption": "Markov chains of corrupting and denoising, started at test images: states after 0, 1, 10, 100 and "
        "1,000 steps, of a model trained with walkback and of one trained without. Walkback trains on "
        "states its own chain wanders to, which should keep late states looking like data; without it "
        "chains may end in patterns no image has, or stay in one.",
    },
    "conditional": {
        "module": "images",
        "kind": "images",
        "roles": {"cvae": "CVAE"},
        "scores": False,
        "task": False,
        "caption": "Images generated for each class by a conditional variational autoencoder: a row per class, the "
        "same latents in each column. The class should change down a column while slant and stroke stay, "
        "because the latents need not hold what the class says.",
    },
    "loss_parts": {
        "module": "training",
        "kind": "any",
        "roles": {},
        "scores": False,
        "task": False,
        "caption": "The parts of the loss per epoch, means per observation: reconstruction, penalty times its weight, "
        "and their sum, which training lowers. For a variational autoencoder the sum is its negative ELBO "
        "and the penalty the divergence of posterior from prior. Parts trade off: a penalty may rise while "
        "the sum falls. Compare within a panel, not between panels. Training values are means over an "
        "epoch whose weights still change, so the first lie above validation.",
    },
    "roc": {
        "module": "detection",
        "kind": "any",
        "roles": {},
        "scores": True,
        "task": True,
        "caption": "How well the squared reconstruction error of each model ranks anomalies above normal test rows, "
        "beside the distance to the training mean, which knows no model: what is not above it was not "
        "learnt. Dashed curves, where the task has a control, are the same score on two groups of normals: "
        "far from the diagonal, the score sees what tells these apart, such as the study.",
    },
    "gene_sets": {
        "module": "genes",
        "kind": "expression",
        "roles": {"gsae": "GSAE"},
        "scores": False,
        "task": True,
        "caption": "Activity of each gene-set node of a gene-superset autoencoder (rows, clustered) in test samples "
        "(columns, by tissue, condition and study), in standard deviations of the task's normal test "
        "samples. Nodes are turned so that more means higher expression of the set's genes. A block that "
        "changes from the normals of one study to its tumours is a set that differs; one that changes "
        "between the normals of two studies sees the study.",
    },
    "volcano": {
        "module": "genes",
        "kind": "expression",
        "roles": {"model": ""},
        "scores": False,
        "task": True,
        "caption": "Genes that a model of normal samples cannot explain in anomalies: difference of the mean residual "
        "(measured minus reconstructed) of anomalous and normal test samples, against its q-value (Welch's "
        "t on one mean per donor and group, Benjamini-Hochberg over genes). Named are the surest genes on "
        "either side. A gene the model reconstructs well is not here, however different it is.",
    },
}

"""The training loop, pretraining, the choice of a hyperparameter, checkpoints."""

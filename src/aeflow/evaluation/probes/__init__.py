"""What classifiers can tell of study, tissue and tumour."""

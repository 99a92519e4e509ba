"""Classifiers of study, tissue and tumour."""

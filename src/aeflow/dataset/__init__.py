"""From a cohort to split, fitted tables."""

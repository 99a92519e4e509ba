"""Columns of the observations of a unified expression cohort.

Literals: the configuration is checked against them without running a source.
"""

OBS_COLUMNS = (
    "sample_id",
    "donor_id",
    "study",
    "tissue",
    "condition",
    "project",
    "sample_type_code",
    "centre",
    "source_file",
    "sex",
    "age_bracket",
)
OBS_COLUMNS_WITH_SITE = (*OBS_COLUMNS, "collection_site")  # of sources that name where a sample was taken

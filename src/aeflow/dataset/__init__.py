"""From a cohort to split, fitted tables.

What stands here needs no library, because Snakemake reads it before any job.
"""

SPLITS = ("train", "val", "test")
FILES = {  # of results/datasets/{dataset}: the one list of names, for rules and for `Dataset`
    "X_train": "X_train.parquet",
    "X_val": "X_val.parquet",
    "X_test": "X_test.parquet",
    "obs": "obs.parquet",
    "var": "var.parquet",
    "transform": "transform.json",
    "correction": "correction.safetensors",
    "dataset": "dataset.json",
}


def dataset_files(folder: str, *names: str) -> dict[str, str]:
    """Return {name: path} of the files of a dataset, all of `FILES` or those of `names`; KeyError for another name.

    Rules unpack it (`**dataset_files(DATASET)`), so `folder` may hold wildcards.
    """
    return {name: f"{folder}/{FILES[name]}" for name in names or FILES}

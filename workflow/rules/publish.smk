# What people look at.
# In:  results/runs, results/comparison
# Out: figures, results/mlflow (a view of the files), and by `snakemake --report` results/report.html


rule log_run:
    input:
        metrics=runs("metrics.json"),
        leaderboards=[f"results/comparison/{d}/leaderboard.parquet" for d in DATASETS],
    output:
        logged="results/mlflow/logged.json",
    log:
        "logs/log_run.log",
    params:
        uri=config["tracking"].get("uri"),
        folder="results/mlflow",
    script:
        "../scripts/log_run.py"

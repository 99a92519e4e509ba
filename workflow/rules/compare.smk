# Leaderboards: runs of a dataset beside its baseline. Study probes of the dataset.
# In:  results/runs, results/cohorts, results/datasets/{dataset}
# Out: results/comparison/{dataset}


rule compare:
    input:
        metrics=lambda w: runs("metrics.parquet", dataset=w.dataset),
        models=lambda w: runs("model.json", dataset=w.dataset),
        scores=lambda w: runs("scores.parquet", dataset=w.dataset),
        latents=lambda w: runs("latent.parquet", dataset=w.dataset),
        obs=f"{DATASET}/obs.parquet",
        dropped=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/dropped.parquet",
        quality=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/quality.json",
        code=code(
            "aeflow.comparison.across_views",
            "aeflow.comparison.leaderboard",
            "aeflow.comparison.paired",
            "aeflow.comparison.stability",
            "aeflow.dataset.cohort",
            "aeflow.expression.quality",
        ),
    output:
        csv=report(
            "results/comparison/{dataset}/leaderboard.csv",
            category="Leaderboards",
            labels={"dataset": "{dataset}", "kind": "table"},
            caption="../report/leaderboard.rst",
        ),
        parquet="results/comparison/{dataset}/leaderboard.parquet",
        text="results/comparison/{dataset}/leaderboard.txt",
        ranks=report(
            "results/comparison/{dataset}/ranks.csv",
            category="Leaderboards",
            labels={"dataset": "{dataset}", "kind": "ranks"},
            caption="../report/ranks.rst",
        ),
        views=report(
            "results/comparison/{dataset}/views.csv",
            category="Leaderboards",
            labels={"dataset": "{dataset}", "kind": "means over views"},
            caption="../report/views.rst",
        ),
        unfinished="results/comparison/{dataset}/unfinished.csv",
        dropped=report(
            "results/comparison/{dataset}/dropped.csv",
            category="Data",
            labels={"dataset": "{dataset}", "figure": "what was left out"},
            caption="../report/dropped.rst",
        ),
    log:
        "logs/compare/{dataset}.log",
    params:
        tasks=lambda w: {n: t for n, t in config["tasks"].items() if w.dataset in t["datasets"]},
        baseline=config["baseline"],
        unfinished=lambda w: UNFINISHED.rows(w.dataset),
    script:
        "../scripts/compare.py"


rule probe:
    input:
        unpack(cohort_of),
        **dataset_files(DATASET, "transform", "correction"),
        code=lambda w: code(
            "aeflow.dataset.transform",
            "aeflow.evaluation.probes.probe_dataset",
            "aeflow.plots.probe_figures",
            *cells.correction_modules(w.dataset, config),
        ),
    output:
        parquet="results/comparison/{dataset}/probes.parquet",
        csv=report(
            "results/comparison/{dataset}/probes.csv",
            category="Study probes",
            labels={"dataset": "{dataset}", "kind": "table"},
            caption="../report/probes.rst",
        ),
        figure=report(
            "results/comparison/{dataset}/probes.png",
            category="Study probes",
            labels={"dataset": "{dataset}", "kind": "classifiers"},
            caption="../report/probes.rst",
        ),
        pca=report(
            "results/comparison/{dataset}/probes_pca.png",
            category="Study probes",
            labels={"dataset": "{dataset}", "kind": "principal components"},
            caption="../report/probes.rst",
        ),
    log:
        "logs/probe/{dataset}.log",
    benchmark:
        "benchmarks/probe/{dataset}.tsv"
    resources:
        mem_mb=8000,
    params:
        options=lambda w: preprocess_options(w.dataset),
        seed=lambda w: config["datasets"][w.dataset]["split_seed"],
    script:
        "../scripts/probe.py"

# Figures of runs and datasets, report, MLflow.
# In:  results/runs, results/comparison
# Out: figures beside them, results/mlflow (a view of the files); `snakemake --report` makes results/report.html


rule draw_run:
    input:
        unpack(beside_draws),
        model=f"{RUN}/model.json",
        history=f"{RUN}/history.parquet",
        scores=f"{RUN}/scores.parquet",
        tables=f"{RUN}/tables",
        obs=f"{DATASET}/obs.parquet",
        code=code("aeflow.plots.run_figures", "aeflow.dataset.dataset", "aeflow.evaluation.generation.draw_table"),
    output:
        report(
            directory(f"{RUN}/figures"),
            patterns=["{figure}.png"],
            category="Runs on {dataset}",
            subcategory="view {view}",
            labels={"model": "{model}", "seed": "{seed}", "figure": "{figure}"},
            caption="../report/run.rst",
        ),
    log:
        "logs/draw_run/{dataset}/{view}/{model}/seed{seed}.log",
    params:
        view=lambda w: config["views"][w.view],
        tasks=lambda w: cells.tasks_of(w.dataset, w.view, config),
    script:
        "../scripts/draw_run.py"


rule draw_leaderboard:
    input:
        leaderboard="results/comparison/{dataset}/leaderboard.parquet",
        code=code("aeflow.comparison.leaderboard", "aeflow.plots.leaderboard_figure"),
    output:
        report(
            "results/comparison/{dataset}/leaderboard.png",
            category="Leaderboards",
            labels={"dataset": "{dataset}", "kind": "figure"},
            caption="../report/leaderboard.rst",
        ),
    log:
        "logs/draw_leaderboard/{dataset}.log",
    params:
        baseline=config["baseline"],
    script:
        "../scripts/draw_leaderboard.py"


rule draw_cohort:
    input:
        **dataset_files(DATASET, "X_train", "obs", "var", "dataset"),
        code=code("aeflow.dataset.dataset", "aeflow.plots.components"),
    output:
        report(
            "results/comparison/{dataset}/cohort.png",
            category="Data",
            labels={"dataset": "{dataset}", "figure": "principal components"},
            caption="../report/cohort.rst",
        ),
    log:
        "logs/draw_cohort/{dataset}.log",
    script:
        "../scripts/draw_cohort.py"


rule draw_reconstructions:
    input:
        weights=lambda w: first_runs("model.safetensors", w.dataset, w.view),
        models=lambda w: first_runs("model.json", w.dataset, w.view),
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        dataset=f"{DATASET}/dataset.json",
        code=code("aeflow.plots.image_grids", "aeflow.run"),
    output:
        report(
            "results/comparison/{dataset}/reconstructions_{view}.png",
            category="Reconstructions",
            labels={"dataset": "{dataset}", "view": "{view}"},
            caption="../report/reconstructions.rst",
        ),
    log:
        "logs/draw_reconstructions/{dataset}/{view}.log",
    script:
        "../scripts/draw_reconstructions.py"


rule log_run:
    input:
        metrics=runs("metrics.parquet"),
        figures=finished_figures(),
        leaderboards=UNFINISHED.without(f"results/comparison/{d}/leaderboard.parquet" for d in DATASETS),
        comparisons=comparisons(),
        code=code("aeflow.tracking.log"),
    output:
        logged="results/mlflow/logged.json",
    log:
        "logs/log_run.log",
    benchmark:
        "benchmarks/log_run.tsv"
    params:
        baseline=config["baseline"],
        uri=config["tracking"].get("uri"),
        folder=lambda w, output: os.path.dirname(output.logged),
    script:
        "../scripts/log_run.py"

# What a trained model is worth.
# In:  results/runs/.../model.*, results/datasets/{dataset}
# Out: results/runs/.../latent, scores, generated, metrics; results/comparison/{dataset}, with study probes


rule score:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        X_val=f"{DATASET}/X_val.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        code=code("aeflow.scores", "aeflow.run_folder"),
    output:
        latent=f"{RUN}/latent.parquet",
        scores=f"{RUN}/scores.parquet",
    log:
        "logs/score/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/score/{dataset}/{view}/{model}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        view=lambda w: config["views"][w.view],
        n_importance=config["scores"]["n_importance"],
    script:
        "../scripts/score.py"


rule generate:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        code=code("aeflow.run_folder"),
    output:
        f"{RUN}/generated.parquet",
    log:
        "logs/generate/{dataset}/{view}/{model}/seed{seed}.log",
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=2000,
    params:
        view=lambda w: config["views"][w.view],
        generate=lambda w: config["datasets"][w.dataset]["generate"],
    script:
        "../scripts/generate.py"


rule export:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        X_val=f"{DATASET}/X_val.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        code=code("aeflow.run_folder"),
    output:
        directory(f"{RUN}/exports"),
    log:
        "logs/export/{dataset}/{view}/{model}/seed{seed}.log",
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        view=lambda w: config["views"][w.view],
    script:
        "../scripts/export.py"


rule evaluate:
    input:
        scores=f"{RUN}/scores.parquet",
        model=f"{RUN}/model.json",
        generated=generated,
        X_test=lambda w: f"{DATASET}/X_test.parquet" if generated(w) else [],
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        code=code("aeflow.evaluation.run"),
    output:
        f"{RUN}/metrics.json",
    log:
        "logs/evaluate/{dataset}/{view}/{model}/seed{seed}.log",
    params:
        view=lambda w: config["views"][w.view],
        tasks=lambda w: aeflow_config.tasks_of(w.dataset, w.view, config),
    script:
        "../scripts/evaluate.py"


rule compare:
    input:
        metrics=lambda w: runs("metrics.json", dataset=w.dataset),
        models=lambda w: runs("model.json", dataset=w.dataset),
        code=code("aeflow.evaluation.comparison"),
    output:
        csv=report(
            "results/comparison/{dataset}/leaderboard.csv",
            category="Leaderboards",
            labels={"dataset": "{dataset}", "kind": "table"},
            caption="../report/leaderboard.rst",
        ),
        parquet="results/comparison/{dataset}/leaderboard.parquet",
        text="results/comparison/{dataset}/leaderboard.txt",
    log:
        "logs/compare/{dataset}.log",
    script:
        "../scripts/compare.py"


rule probe:
    input:
        X=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/X.parquet",
        obs=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/obs.parquet",
        var=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/var.parquet",
        quality=lambda w: f"results/cohorts/{config['datasets'][w.dataset]['cohort']}/quality.json",
        dataset_var=f"{DATASET}/var.parquet",
        correction=f"{DATASET}/correction.safetensors",
        code=lambda w: code(
            "aeflow.evaluation.probe_dataset",
            "aeflow.plots.probes",
            *aeflow_config.correction_modules(w.dataset, config),
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

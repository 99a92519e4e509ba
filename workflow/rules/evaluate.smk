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
        code=code("aeflow.scoring.scores", "aeflow.run_folder"),
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
        mixture_rows=config["scores"]["mixture_rows"],
        validation_anomalies=lambda w: grid.scores_validation_anomalies(w.dataset, w.view, config),
    script:
        "../scripts/score.py"


rule generate:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        code=code("aeflow.evaluation.generation.sampling", "aeflow.run_folder"),
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


rule challenge:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        X_val=f"{DATASET}/X_val.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        gene_sets=lambda w: gene_set_file(config["datasets"][w.dataset]["challenge"].get("gene_sets")),
        code=code("aeflow.evaluation.challenge.challenge", "aeflow.run_folder"),
    output:
        metrics=f"{RUN}/challenged.json",
        contributions=f"{RUN}/contributions.parquet",
        enrichment=f"{RUN}/enrichment.parquet",
    log:
        "logs/challenge/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/challenge/{dataset}/{view}/{model}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        view=lambda w: config["views"][w.view],
        task=lambda w: config["tasks"][config["datasets"][w.dataset]["challenge"]["task"]],
        min_genes=lambda w: config["gene_sets"][config["datasets"][w.dataset]["challenge"]["gene_sets"]]["min_genes"],
        n_importance=config["scores"]["n_importance"],
    script:
        "../scripts/challenge.py"


rule train_judge:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        code=code("aeflow.evaluation.generation.judge", "aeflow.run_folder"),
    output:
        weights="results/judges/{dataset}/judge.safetensors",
        description="results/judges/{dataset}/judge.json",
    log:
        "logs/train_judge/{dataset}.log",
    benchmark:
        "benchmarks/train_judge/{dataset}.tsv"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        label=lambda w: config["datasets"][w.dataset]["generate"]["judge"],
        kind=lambda w: grid.kind(w.dataset, config),
        seed=lambda w: config["datasets"][w.dataset]["split_seed"],
    script:
        "../scripts/train_judge.py"


rule judge:
    input:
        generated=f"{RUN}/generated.parquet",
        X_train=f"{DATASET}/X_train.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        judge="results/judges/{dataset}/judge.safetensors",
        judge_description="results/judges/{dataset}/judge.json",
        code=code("aeflow.evaluation.generation.judging"),
    output:
        f"{RUN}/judged.json",
    log:
        "logs/judge/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/judge/{dataset}/{view}/{model}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        view=lambda w: config["views"][w.view],
    script:
        "../scripts/judge.py"


rule export:
    input:
        X_train=f"{DATASET}/X_train.parquet",
        X_val=f"{DATASET}/X_val.parquet",
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        code=code("aeflow.evaluation.representation.activity", "aeflow.run_folder"),
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
        tasks=lambda w: grid.tasks_of(w.dataset, w.view, config),
    script:
        "../scripts/export.py"


rule evaluate:
    input:
        unpack(model_of_baselines),
        unpack(loadings),
        scores=f"{RUN}/scores.parquet",
        latent=f"{RUN}/latent.parquet",
        model=f"{RUN}/model.json",
        judged=judged,
        challenged=challenged,
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        code=code("aeflow.evaluation.run_metrics", "aeflow.evaluation.representation.latents"),
    output:
        metrics=f"{RUN}/metrics.json",
        calibrated=f"{RUN}/calibrated.parquet",
    log:
        "logs/evaluate/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/evaluate/{dataset}/{view}/{model}/seed{seed}.tsv"
    params:
        view=lambda w: config["views"][w.view],
        tasks=lambda w: grid.tasks_of(w.dataset, w.view, config),
        labels=lambda w: config["datasets"][w.dataset]["labels"],
        heads=lambda w: config["datasets"][w.dataset]["heads"],
    script:
        "../scripts/evaluate.py"


rule compare:
    input:
        metrics=lambda w: runs("metrics.json", dataset=w.dataset),
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
            "aeflow.evaluation.probes.probe_dataset",
            "aeflow.plots.probes",
            *grid.correction_modules(w.dataset, config),
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

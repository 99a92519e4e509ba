# Evaluation of trained models.
# In:  results/runs/.../model.*, results/datasets/{dataset}
# Out: results/runs/.../latent, scores, calibrated, metrics, tables/*; results/judges/{dataset}


rule train_judge:
    input:
        **DATASET_FILES,
        code=code("aeflow.evaluation.generation.judge", "aeflow.dataset.dataset"),
    output:
        weights="results/judges/{dataset}/judge.safetensors",
        description="results/judges/{dataset}/judge.json",
    log:
        "logs/train_judge/{dataset}.log",
    benchmark:
        "benchmarks/train_judge/{dataset}.tsv"
    threads: 1
    resources:
        gpu=config["assess"]["gpu"],
        mem_mb=4000,
    params:
        label=lambda w: config["datasets"][w.dataset]["generate"]["judge"],
        kind=lambda w: cells.kind(w.dataset, config),
        seed=lambda w: config["datasets"][w.dataset]["split_seed"],
    script:
        "../scripts/train_judge.py"


rule assess:
    input:
        unpack(companions),
        **DATASET_FILES,
        **RUN_FILES,
        code=assess_code,
    output:
        latent=f"{RUN}/latent.parquet",
        scores=f"{RUN}/scores.parquet",
        calibrated=f"{RUN}/calibrated.parquet",
        metrics=f"{RUN}/metrics.parquet",
        tables=directory(f"{RUN}/tables"),
    log:
        "logs/assess/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/assess/{dataset}/{view}/{model}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=config["assess"]["gpu"],
        mem_mb=4000,
    params:
        is_baseline=lambda w: w.model == config["baseline"],
        tasks=lambda w: cells.tasks_of(w.dataset, w.view, config),
        scores=config["scores"],
        evaluations=lambda w: cells.evaluations(w.dataset, config),
        min_genes=lambda w: cells.challenge_min_genes(w.dataset, config),
    script:
        "../scripts/assess.py"

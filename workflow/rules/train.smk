# One model on one view of a dataset, with one seed.
# In:  results/datasets/{dataset}, gene sets
# Out: results/runs/.../model.safetensors, model.json, history.parquet; resumable state in results/checkpoints


rule train:
    input:
        **TRAINING_FILES,
        gene_sets=model_gene_sets,
        code=lambda w: code(
            "aeflow.models.build",
            "aeflow.training.describe",
            "aeflow.training.permute",
            "aeflow.dataset.batch",
            "aeflow.expression.masks",
            f"aeflow.models.{config['models'][w.model]['architecture'].split('.')[0]}",
        ),
    output:
        weights=f"{RUN}/model.safetensors",
        model=f"{RUN}/model.json",
        history=f"{RUN}/history.parquet",
    log:
        "logs/train/{dataset}/{view}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/train/{dataset}/{view}/{model}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        view=lambda w: config["views"][w.view],
        architecture=lambda w: config["models"][w.model]["architecture"],
        hyperparameters=lambda w: cells.hyperparameters(w.model, config),
        condition_on=lambda w: config["models"][w.model].get("condition_on", []),
        permute=lambda w: config["models"][w.model].get("permute", False),
        choose=lambda w: config["models"][w.model].get("choose", {}),
        min_genes=lambda w: config["gene_sets"].get(config["models"][w.model].get("gene_sets"), {}).get("min_genes"),
        training=lambda w: cells.training_settings(w.dataset, w.model, config),
        checkpoint="results/checkpoints/{dataset}/{view}/{model}/seed{seed}",
    script:
        "../scripts/train.py"

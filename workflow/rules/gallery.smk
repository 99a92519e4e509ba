# The gallery: figures of what models do, from real runs.
# In:  results/runs/... of the models that a figure shows, results/datasets/{dataset}
# Out: results/comparison/{dataset}/gallery/{figure}.png and its caption in .txt; figure is file.function
from aeflow.plan.figures import declared


rule draw_gallery:
    input:
        weights=lambda w: gallery_runs("model.safetensors", w),
        models=lambda w: gallery_runs("model.json", w),
        histories=lambda w: gallery_runs("history.parquet", w),
        scores=lambda w: gallery_runs("scores.parquet", w) if declared(w.figure).scores else [],
        X_test=f"{DATASET}/X_test.parquet",
        obs=f"{DATASET}/obs.parquet",
        var=f"{DATASET}/var.parquet",
        code=lambda w: code("aeflow.plots.gallery.material", f"aeflow.plots.gallery.{w.figure.split('.')[0]}"),
    output:
        figure=report(
            "results/comparison/{dataset}/gallery/{figure}.png",
            category="Gallery",
            subcategory="{dataset}",
            labels={"figure": "{figure}"},
            caption="../report/gallery.rst",
        ),
        caption="results/comparison/{dataset}/gallery/{figure}.txt",
    log:
        "logs/draw_gallery/{dataset}/{figure}.log",
    wildcard_constraints:
        figure=r"[a-z_0-9]+\.[a-z_0-9]+",
    params:
        roles=lambda w: list(gallery_of(w, "figures")[w.figure]),
        view=lambda w: config["views"][gallery_of(w, "view")],
        task=lambda w: config["tasks"].get(gallery_of(w, "task")) if declared(w.figure).task else None,
        caption=lambda w: declared(w.figure).caption,
    script:
        "../scripts/draw_gallery.py"

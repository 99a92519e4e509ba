# Raw files to datasets.
# In:  public hosts or mirrors, resources/{source}/{path}
# Out: results/matrices, results/cohorts/{cohort}, results/datasets/{dataset}


rule fetch:
    output:
        "resources/{source}/{path}",
    log:
        "logs/fetch/{source}/{path}.log",
    wildcard_constraints:
        path=r"[^.].+",
    script:
        "../scripts/fetch.py"


rule simulate:
    input:
        gene_sets=lambda w: gene_set_file(config["cohorts"][w.cohort].get("gene_sets")),
        code=lambda w: code(f"aeflow.sources.{SOURCES[w.cohort]}"),
    output:
        directory("results/simulated/{cohort}"),
    log:
        "logs/simulate/{cohort}.log",
    benchmark:
        "benchmarks/simulate/{cohort}.tsv"
    params:
        source=lambda w: SOURCES[w.cohort],
        options=lambda w: config["cohorts"][w.cohort]["options"],
    script:
        "../scripts/simulate.py"


rule convert:
    input:
        raw=raw_input,
        code=lambda w: code(f"aeflow.sources.{w.source}"),
    output:
        "results/matrices/{source}/{name}.parquet",
    log:
        "logs/convert/{source}/{name}.log",
    benchmark:
        "benchmarks/convert/{source}/{name}.tsv"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        raw=lambda w: raw_path(w.source, w.name),
    script:
        "../scripts/convert.py"


rule unify:
    input:
        matrices=lambda w: matrix_files(w.cohort),
        option_files=lambda w: option_files(w.cohort),
        code=lambda w: code(f"aeflow.sources.{SOURCES[w.cohort]}", "aeflow.dataset.cohort"),
    output:
        X="results/cohorts/{cohort}/X.parquet",
        obs="results/cohorts/{cohort}/obs.parquet",
        var="results/cohorts/{cohort}/var.parquet",
        dropped="results/cohorts/{cohort}/dropped.parquet",
        quality="results/cohorts/{cohort}/quality.json",
    log:
        "logs/unify/{cohort}.log",
    benchmark:
        "benchmarks/unify/{cohort}.tsv"
    resources:
        mem_mb=8000,
    params:
        source=lambda w: SOURCES[w.cohort],
        names=lambda w: list(COHORTS[w.cohort]),
        options=lambda w: config["cohorts"][w.cohort]["options"],
    script:
        "../scripts/unify.py"


rule preprocess:
    input:
        unpack(cohort_of),
        code=lambda w: code("aeflow.dataset.preprocess", "aeflow.table", *cells.correction_modules(w.dataset, config)),
    output:
        **dataset_files(DATASET),
    log:
        "logs/preprocess/{dataset}.log",
    benchmark:
        "benchmarks/preprocess/{dataset}.tsv"
    resources:
        mem_mb=8000,
    params:
        options=lambda w: preprocess_options(w.dataset),
        fit_on=lambda w: fit_filter(w.dataset),
        seed=lambda w: config["datasets"][w.dataset]["split_seed"],
    script:
        "../scripts/preprocess.py"

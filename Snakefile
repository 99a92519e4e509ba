# aeflow: which autoencoder is worth using on this data, and for what? Run: snakemake --cores N
from snakemake.utils import min_version

min_version("9.0")


# a --configfile replaces the demo's configuration; it is never mixed with it
if "cohorts" not in config:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/assess.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/gallery.smk"
include: "workflow/rules/publish.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    log_run,


onerror:
    compare_the_rest(workflow, config, cells.cells(config))


rule all:
    default_target: True
    input:
        targets(),
    log:
        "logs/all.log",

"""Convert and unify made files of Toil's shape: time and peak memory at several numbers of samples, and zcat beside it.

python tests/bench/toil.py [500 1000 2000]   (19131 is the whole; it takes some minutes and 7 GB of disk)
"""

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_GENES = 60498
SRC = Path(__file__).parents[2] / "src"
STEP = """
import resource, sys, time
from pathlib import Path
from aeflow.expression.sheets import convert_sheet
from aeflow.sources import xena_toil
folder, step = Path(sys.argv[1]), sys.argv[2]
begun = time.perf_counter()
if step == "convert":
    xena_toil.convert(folder / "TcgaTargetGtex_rsem_gene_tpm.gz", folder / "gene_tpm.parquet")
else:
    convert_sheet(folder / "phenotype.txt", folder / "phenotype.parquet", xena_toil.PHENOTYPE_COLUMNS)
    convert_sheet(folder / "probemap.txt", folder / "probemap.parquet", xena_toil.PROBEMAP_COLUMNS)
    names = ("gene_tpm", "phenotype", "probemap")
    cohort = xena_toil.unify({name: folder / f"{name}.parquet" for name in names}, "tpm")
    cohort.write(**{key: folder / f"out_{key}" for key in ("X", "obs", "var", "dropped", "quality")})
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)
"""


def make(folder: Path, n_samples: int) -> None:
    """Write matrix, sample sheet and probemap with Toil's headers, streamed; half GTEx normals, half TCGA tumours."""
    rng = np.random.default_rng(0)
    ids = [
        f"GTEX-{i:05d}-0126-SM-5GZYK" if i % 2 else f"TCGA-{i // 1000:02d}-{i % 1000:04d}-01" for i in range(n_samples)
    ]
    header = (
        "sample",
        "detailed_category",
        "primary disease or tissue",
        "_primary_site",
        "_sample_type",
        "_gender",
        "_study",
    )
    gtex = ("Lung", "Lung", "Lung", "Normal Tissue", "Male", "GTEX")
    tcga = ("Lung Adenocarcinoma", "Lung Adenocarcinoma", "Lung", "Primary Tumor", "Female", "TCGA")
    rows = [header, *((i, *(gtex if i.startswith("GTEX") else tcga)) for i in ids)]
    (folder / "phenotype.txt").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    genes = [f"ENSG{g:011d}.1" for g in range(N_GENES)]
    probemap = ["id\tgene\tchrom\tchromStart\tchromEnd\tstrand"]
    probemap += [f"{gene}\tG{g % 58581}\tchr1\t{g}\t{g + 1}\t+" for g, gene in enumerate(genes)]
    (folder / "probemap.txt").write_text("\n".join(probemap) + "\n")
    values = np.array([b"-9.9658", *(b"%.4f" % v for v in rng.normal(2, 3, 5000).clip(-9, 15))])
    with gzip.open(folder / "TcgaTargetGtex_rsem_gene_tpm.gz", "wb", compresslevel=1) as out:
        out.write(("sample\t" + "\t".join(ids) + "\n").encode())
        for gene in genes:
            drawn = rng.integers(0, len(values), n_samples) * (rng.random(n_samples) > 0.4)
            out.write(gene.encode() + b"\t" + b"\t".join(values[drawn]) + b"\n")


def main() -> None:
    print("samples   zcat s  convert s     GB      unify+write s     GB  convert ms/sample")
    for n_samples in [int(n) for n in sys.argv[1:]] or [500, 1000, 2000]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder, n_samples)
            begun = time.perf_counter()
            with open("/dev/null", "wb") as null:
                subprocess.run(["zcat", folder / "TcgaTargetGtex_rsem_gene_tpm.gz"], stdout=null, check=True)
            figures = [time.perf_counter() - begun]
            for step in ("convert", "unify"):
                command = [sys.executable, "-c", STEP, folder, step]
                done = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True)
                figures += [float(word) for word in done.stdout.split()]
            zcat, convert, convert_gb, unify, unify_gb = figures
            row = f"{n_samples:>8} {zcat:>8.1f} {convert:>10.1f} {convert_gb:>6.2f} {unify:>18.1f} {unify_gb:>6.2f}"
            print(f"{row} {1000 * convert / n_samples:>18.1f}", flush=True)


if __name__ == "__main__":
    main()

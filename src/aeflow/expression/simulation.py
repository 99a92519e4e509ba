"""A generative model of GTEx and TCGA expression with known truth.

For sample i, gene g, tissue t and study s, all in log2 of the expected count at GTEx depth:

    deviation_ig = sum_k activity_ik loading_gk + sum_f factor_if weight_gf
    normal_ig    = base_g + tissue_tg + [s = TCGA] location_g + spread_sg deviation_ig
    tumour_ig    = normal_ig + spread_sg (sum_k shift_ik loading_gk + strength_i lfc_tg + private_ig)
    rate_ig      = (1 - purity_i) 2^normal_ig + purity_i 2^tumour_ig                       mixing of cells is linear
    count_ig     ~ NB(depth_i rate_ig / sum_g rate_ig, dispersion_g), zero where a study's detection limit hides it

Programs k are gene sets; factors f are dense, like RNA quality. Tables of numbers below are measured on RNAseqDB's
expected_count matrices of kidney, salivary gland, KIRC and HNSC (Wang et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# quantiles of log2 mean count of a gene at GTEx's depth
BASE_LEVELS = np.array([0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.99, 1])
BASE_LOG2 = np.array([-6.6, -3.8, -1.0, 1.2, 2.8, 4.3, 5.5, 6.5, 7.3, 8.4, 9.2, 9.8, 10.5, 11.3, 11.9, 13.4, 16.0])
# negative binomial dispersion by log2 mean count, as far as programs and factors do not make it; a gene's own scatters
# around it by DISPERSION_SD (natural log)
DISPERSION_LOG2 = np.array([1, 3, 5, 7, 9, 11, 13, 15])
DISPERSION = np.array([0.9, 0.75, 0.5, 0.2, 0.045, 0.035, 0.05, 0.08])
DISPERSION_SD = 1.1
GTEX_DEPTH = 31e6  # reads over the 20,242 genes, at which BASE_LOG2 holds
DEPTH_SD = 0.28  # log2
TISSUE_SCALE = 0.39  # of a t distribution with 2 degrees of freedom: most genes hardly differ, some by 2^6
LOADING, LOADING_SD, NEGATIVE_SHARE = 0.15, 0.07, 0.15
FACTOR_SDS = (0.29, 0.21, 0.15)  # log2 per unit of a factor
TCGA_TIGHTER = 0.4  # genes spread less in TCGA, by this many times the `scale` of a study effect
HIDDEN_IN_TCGA = 0.7  # share of the genes that one study hardly detects: TCGA has more zeros in spite of its depth
FRACTIONAL_SHARE = 0.27  # of genes whose reads map to several places, so that RSEM splits them
UP = ("E2F_TARGETS", "G2M_CHECKPOINT", "MYC_TARGETS", "MTORC1", "MITOTIC_SPINDLE", "DNA_REPAIR")
DOWN = ("MYOGENESIS", "ADIPOGENESIS", "BILE_ACID", "FATTY_ACID", "XENOBIOTIC", "OXIDATIVE", "COAGULATION")


@dataclass(frozen=True)
class StudyEffect:
    """How TCGA differs from GTEx, whatever the tissue.

    Parameters
    ----------
    depth_gtex, depth_tcga : median reads of a sample over the 20,242 genes of RNAseqDB.
    location : spread (log2) of the genes' shifts.
    scale : spread (log2) of the genes' ratios of standard deviations.
    dropout : share of genes that one of the studies hardly detects.
    """

    depth_gtex: float = 31e6
    depth_tcga: float = 65e6
    location: float = 0.6
    scale: float = 0.4
    dropout: float = 0.08


@dataclass(frozen=True)
class TumourEffect:
    """How tumour cells differ from normal ones.

    Parameters
    ----------
    programs : mean shift of the activity of a program that is up (or, negative, down) in tumours (in its own sd).
    genes : spread (log2) of gene-wise changes that follow no program and that all tumours of a tissue share.
    private : the same, of changes that one tumour alone has.
    heterogeneity : coefficient of variation between tumours of the strength of what they share; above 0.
    """

    programs: float = 1.5
    genes: float = 0.35
    private: float = 0.25
    heterogeneity: float = 0.5


@dataclass(frozen=True)
class Genome:
    """What is true of the genes; axes G genes, K programs, F factors, T tissues, S studies (GTEx, TCGA)."""

    base: np.ndarray  # (G,) log2 mean count at GTEx depth
    dispersion: np.ndarray  # (G,)
    fractional: np.ndarray  # (G,) bool
    loadings: np.ndarray  # (G, K) log2 per unit of activity
    weights: np.ndarray  # (G, F) log2 per unit of a factor
    tissue: np.ndarray  # (T, G) log2
    tissue_activity: np.ndarray  # (T, K)
    shift: np.ndarray  # (T, K) mean activity change in tumours
    lfc: np.ndarray  # (T, G) log2 change in tumours besides programs
    location: np.ndarray  # (G,) log2, TCGA minus GTEx
    spread: np.ndarray  # (S, G) factor on the deviation
    limit: np.ndarray  # (S, G) log2 count below which the study sees nothing; -inf where there is none


@dataclass(frozen=True)
class Group:
    """Samples of one file. Axes n samples, K programs, F factors; donor effects are shared by a donor's samples."""

    tissue: int
    study: int  # 0 GTEx, 1 TCGA
    donor_activity: np.ndarray  # (n, K)
    donor_factors: np.ndarray  # (n, F)
    purity: np.ndarray  # (n,) share of tumour cells; 0 for normals


def draw_genome(
    membership: np.ndarray,
    programs: Sequence[str],
    n_tissues: int,
    study: StudyEffect,
    tumour: TumourEffect,
    rng: np.random.Generator,
) -> Genome:
    """Return random gene-wise truth; `membership` (G, K) says which gene is in which program."""
    n_genes, n_programs = membership.shape
    levels = (rng.permutation(n_genes) + 0.5) / n_genes
    base = np.interp(levels, BASE_LEVELS, BASE_LOG2)
    noise = np.exp(DISPERSION_SD * rng.standard_normal(n_genes))
    sign = np.where(rng.random(membership.shape) < NEGATIVE_SHARE, -1.0, 1.0)
    loadings = membership * sign * np.abs(LOADING + LOADING_SD * rng.standard_normal(membership.shape))
    location = study.location * np.clip(rng.standard_t(4, n_genes), -6, 6)
    spread = np.ones((2, n_genes))
    spread[1] = np.exp2(study.scale * (rng.standard_normal(n_genes) - TCGA_TIGHTER))
    limit = np.full((2, n_genes), -np.inf)
    hidden = (rng.random(n_genes) < study.dropout) & (base < 8)
    blind = (rng.random(n_genes) < HIDDEN_IN_TCGA).astype(int)
    limit[blind[hidden], np.flatnonzero(hidden)] = (base + rng.uniform(-1, 2, n_genes))[hidden]
    direction = np.array([any(u in p for u in UP) for p in programs], dtype=float)
    direction -= np.array([any(d in p for d in DOWN) for p in programs], dtype=float)
    if not direction.any():  # gene sets that are not Hallmark: some programs of their own
        direction = rng.choice([-1.0, 0.0, 1.0], n_programs, p=[0.15, 0.7, 0.15])
    jitter = np.exp(0.3 * rng.standard_normal((n_tissues, n_programs)))
    return Genome(
        base=base,
        dispersion=np.interp(base, DISPERSION_LOG2, DISPERSION) * noise,
        fractional=rng.random(n_genes) < FRACTIONAL_SHARE,
        loadings=loadings,
        weights=rng.standard_normal((n_genes, len(FACTOR_SDS))) * np.array(FACTOR_SDS),
        tissue=np.clip(TISSUE_SCALE * rng.standard_t(2, (n_tissues, n_genes)), -6, 6),
        tissue_activity=0.5 * rng.standard_normal((n_tissues, n_programs)),
        shift=tumour.programs * direction * jitter,
        lfc=tumour.genes * rng.standard_t(4, (n_tissues, n_genes)),
        location=location,
        spread=spread,
        limit=limit,
    )


def draw_group(
    genome: Genome, group: Group, study: StudyEffect, tumour: TumourEffect, rng: np.random.Generator
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Return counts (n, G), RSEM-like: two decimals, most of them whole, and the truth of the samples.

    The truth holds activity (n, K; of the tumour cells, where there are any), factors (n, F), depth (n,; reads over
    these genes) and strength (n,).
    """
    n, n_programs = group.donor_activity.shape
    activity = genome.tissue_activity[group.tissue] + group.donor_activity
    activity = activity + 0.8 * rng.standard_normal((n, n_programs))
    factors = group.donor_factors + 0.8 * rng.standard_normal(group.donor_factors.shape)
    spread = genome.spread[group.study]
    log_normal = genome.base + genome.tissue[group.tissue] + group.study * genome.location
    log_normal = log_normal + spread * (activity @ genome.loadings.T + factors @ genome.weights.T)
    rate = np.exp2(log_normal)
    strength = np.zeros(n)
    if group.purity.any():
        shape = 1 / tumour.heterogeneity**2
        strength = rng.gamma(shape, 1 / shape, n)
        shift = strength[:, None] * genome.shift[group.tissue] * rng.gamma(shape, 1 / shape, (n, n_programs))
        private = tumour.private * rng.standard_normal(rate.shape)
        change = shift @ genome.loadings.T + strength[:, None] * genome.lfc[group.tissue] + private
        activity = activity + shift
        rate *= 1 - group.purity[:, None] + group.purity[:, None] * np.exp2(spread * change)
    median_depth = (study.depth_gtex, study.depth_tcga)[group.study]
    reads = np.exp2(genome.base).sum() * median_depth / GTEX_DEPTH * np.exp2(DEPTH_SD * rng.standard_normal(n))
    mean = rate * (reads / rate.sum(1))[:, None]
    counts = rng.poisson(mean * rng.gamma(1 / genome.dispersion, genome.dispersion, mean.shape)).astype(np.float64)
    limit = genome.limit[group.study]
    seen = rng.random(counts.shape) < 1 / (1 + np.exp2(2 * (limit - np.log2(mean + 1e-9))))
    counts = np.where(seen, counts, 0.0)
    split = genome.fractional & (counts > 0)
    counts = np.where(split, np.maximum(counts + rng.uniform(-0.5, 0.5, counts.shape), 0.01), counts)
    truth = {"activity": activity, "factors": factors, "depth": reads, "strength": strength}
    return np.round(counts, 2), truth

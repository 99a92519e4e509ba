"""One tissue vocabulary over all sources: GTEx's detailed tissues, TCGA's project codes and Xena's disease names."""

from __future__ import annotations

import re

from aeflow.errors import DataError

GTEX = {  # slug of SMTSD, or its first word where all of a family are one organ -> tissue
    "adipose": "adipose",
    "adrenal_gland": "adrenal_gland",
    "artery": "artery",
    "bladder": "bladder",
    "brain": "brain",
    "breast_mammary_tissue": "breast",
    "cervix": "cervix",
    "colon": "colon",
    "esophagus": "esophagus",
    "fallopian_tube": "fallopian_tube",
    "heart": "heart",
    "kidney": "kidney",
    "liver": "liver",
    "lung": "lung",
    "minor_salivary_gland": "salivary_gland",
    "muscle_skeletal": "muscle",
    "nerve_tibial": "nerve",
    "ovary": "ovary",
    "pancreas": "pancreas",
    "pituitary": "pituitary",
    "prostate": "prostate",
    "skin": "skin",
    "small_intestine_terminal_ileum": "small_intestine",
    "spleen": "spleen",
    "stomach": "stomach",
    "testis": "testis",
    "thyroid": "thyroid",
    "uterus": "uterus",
    "vagina": "vagina",
    "whole_blood": "blood",
}
FAMILIES = ("adipose", "artery", "brain", "cervix", "colon", "esophagus", "heart", "kidney", "skin")
TCGA = {  # project code -> tissue, disease as UCSC Xena spells it
    "ACC": ("adrenal_gland", "Adrenocortical Cancer"),
    "BLCA": ("bladder", "Bladder Urothelial Carcinoma"),
    "BRCA": ("breast", "Breast Invasive Carcinoma"),
    "CESC": ("cervix", "Cervical & Endocervical Cancer"),
    "CHOL": ("bile_duct", "Cholangiocarcinoma"),
    "COAD": ("colon", "Colon Adenocarcinoma"),
    "DLBC": ("lymph_node", "Diffuse Large B-Cell Lymphoma"),
    "ESCA": ("esophagus", "Esophageal Carcinoma"),
    "GBM": ("brain", "Glioblastoma Multiforme"),
    "HNSC": ("head_neck", "Head & Neck Squamous Cell Carcinoma"),
    "KICH": ("kidney", "Kidney Chromophobe"),
    "KIRC": ("kidney", "Kidney Clear Cell Carcinoma"),
    "KIRP": ("kidney", "Kidney Papillary Cell Carcinoma"),
    "LAML": ("blood", "Acute Myeloid Leukemia"),
    "LGG": ("brain", "Brain Lower Grade Glioma"),
    "LIHC": ("liver", "Liver Hepatocellular Carcinoma"),
    "LUAD": ("lung", "Lung Adenocarcinoma"),
    "LUSC": ("lung", "Lung Squamous Cell Carcinoma"),
    "MESO": ("pleura", "Mesothelioma"),
    "OV": ("ovary", "Ovarian Serous Cystadenocarcinoma"),
    "PAAD": ("pancreas", "Pancreatic Adenocarcinoma"),
    "PCPG": ("paraganglia", "Pheochromocytoma & Paraganglioma"),
    "PRAD": ("prostate", "Prostate Adenocarcinoma"),
    "READ": ("rectum", "Rectum Adenocarcinoma"),
    "SARC": ("soft_tissue", "Sarcoma"),
    "SKCM": ("skin", "Skin Cutaneous Melanoma"),
    "STAD": ("stomach", "Stomach Adenocarcinoma"),
    "TGCT": ("testis", "Testicular Germ Cell Tumor"),
    "THCA": ("thyroid", "Thyroid Carcinoma"),
    "THYM": ("thymus", "Thymoma"),
    "UCEC": ("uterus", "Uterine Corpus Endometrioid Carcinoma"),
    "UCS": ("uterus", "Uterine Carcinosarcoma"),
    "UVM": ("eye", "Uveal Melanoma"),
}
DISEASES = {disease: code for code, (_, disease) in TCGA.items()}
TISSUES = tuple(sorted({*GTEX.values(), *(tissue for tissue, _ in TCGA.values())}))
CELL_LINE = "cells"  # first word of the GTEx tissues that are cultures
SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


def slug(tissue: str, where: str) -> str:
    """Return a GTEx tissue (SMTSD) as GTEx writes it in file names: ``Adipose - Visceral (Omentum)`` ->
    ``adipose_visceral_omentum``, ``Cells - EBV-transformed lymphocytes`` -> ``cells_ebv-transformed_lymphocytes``.

    DataError beginning with `where` for anything that has other characters than ASCII letters, digits, `` -()``.
    """
    bare = re.sub(r"[()]", " ", tissue.strip().lower().replace(" - ", " "))
    found = "_".join(bare.split())
    if not SLUG.fullmatch(found):
        raise DataError(f"{where}: not the name of a GTEx tissue, found {tissue!r}")
    return found


def is_cell_line(tissue: str) -> bool:
    """Whether a GTEx tissue (SMTSD) is a cell culture, such as ``Cells - Transformed fibroblasts``."""
    return tissue.strip().lower().split(" ")[0] == CELL_LINE


def gtex_tissue(tissue: str, where: str) -> str:
    """Return the word for a GTEx tissue (SMTSD), whatever its capitals; DataError beginning with `where` if none."""
    name = slug(tissue, where)
    family = name.split("_")[0]
    word = GTEX.get(family if family in FAMILIES else name)
    if word is None:
        raise DataError(f"{where}: GTEx tissue {tissue!r} ({name}) is not in the vocabulary")
    return word


def tcga_tissue(code: str, where: str) -> str:
    """Return the word for a TCGA project, ``KIRC`` or ``TCGA-KIRC``; DataError beginning with `where` if none."""
    entry = TCGA.get(code.removeprefix("TCGA-"))
    if entry is None:
        raise DataError(f"{where}: TCGA project {code!r} is not in the vocabulary")
    return entry[0]


def project_of_disease(disease: str, where: str) -> str:
    """Return the TCGA project code of a disease as UCSC Xena spells it; DataError beginning with `where` if none."""
    if disease not in DISEASES:
        raise DataError(f"{where}: disease {disease!r} is not that of a TCGA project")
    return DISEASES[disease]

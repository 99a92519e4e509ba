"""A correction fitted and applied within each tissue, as Wang et al. (2018) did by cluster of tissues.

Within a tissue, what differs between studies is the study; across tissues it is also the anatomy, and a correction over
all tissues takes part of it away. The price: a tissue needs normals of more than one study.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

import numpy as np

from aeflow.correction import fit_correction
from aeflow.correction.correction import (
    Correction,
    check_fit,
    decode_labels,
    encode_labels,
    need_tissue,
    nested,
    unnested,
)
from aeflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)
SingleStudy = Literal["error", "keep"]


class PerTissue(Correction):
    """One inner correction for each tissue."""

    by_tissue = True

    @classmethod
    def fit(
        cls, X, batch, tissue=None, *, method: str, options: dict | None = None, single_study: SingleStudy = "error"
    ):
        """Fit on X (n_fit, n_vars).

        Parameters
        ----------
        method, options : the inner correction.
        single_study : what to do with a tissue of one study: "error", or "keep" its rows as they are (and log it).
        """
        X, batch, tissue = check_fit(X, batch, tissue, cls.name)
        tissue = need_tissue(tissue, cls.name)
        if single_study not in get_args(SingleStudy):
            raise ConfigError(
                f"correct: single_study {single_study!r} does not exist; known: {', '.join(get_args(SingleStudy))}"
            )
        names = sorted(set(tissue))
        arrays = {"batches": encode_labels(sorted(set(batch))), "n_vars": np.array(X.shape[1])}
        arrays |= {"tissues": encode_labels(names), "method": encode_labels([method])}
        kept = []
        for i, name in enumerate(names):
            rows = tissue == name
            studies = sorted(set(batch[rows]))
            if len(studies) > 1:
                try:
                    inner = fit_correction(method, X[rows], batch[rows], None, **(options or {}))
                except DataError as error:
                    raise DataError(f"correction {cls.name}: tissue {name!r}: {error}") from None
                arrays |= nested(f"tissue{i}", inner)
                continue
            if single_study == "error":
                raise DataError(
                    f"correction {cls.name}: tissue {name!r} is in study {studies[0]!r} only, so nothing tells the "
                    "study from the tissue; leave it out, or set single_study: keep"
                )
            log.warning("correction %s: tissue %r is in study %r only and is kept as it is", cls.name, name, studies[0])
            kept.append(f"{name}\t{studies[0]}")
        return cls(arrays | {"kept": encode_labels(kept)})

    def _apply(self, X, batch, tissue):
        tissue = need_tissue(tissue, self.name)
        names = decode_labels(self.arrays["tissues"])
        method = decode_labels(self.arrays["method"])[0]
        kept = dict(line.split("\t") for line in decode_labels(self.arrays["kept"]))
        for name in sorted(set(tissue)):
            rows = tissue == name
            if name not in names:
                raise DataError(
                    f"correction {self.name}: tissue {name!r} was not seen when fitting; known: {', '.join(names)}"
                )
            inner = None if name in kept else unnested(f"tissue{names.index(name)}", method, self.arrays)
            known = [kept[name]] if inner is None else inner.batches
            unknown = sorted(set(batch[rows]) - set(known))
            if unknown:
                raise DataError(
                    f"correction {self.name}: tissue {name!r} of study {unknown[0]!r} was not seen when fitting; "
                    f"its studies: {', '.join(known)}"
                )
            if inner is not None:
                X[rows] = inner._apply(X[rows], batch[rows], None)
        return X

"""Types of keyword arguments with the values that may be given: a configuration is checked against them.

Models and corrections write them beside their keywords; the checks read them from the source, so no model is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Size = Annotated[int, Ge(1)]  # of a layer, or a number of latents, draws, steps
Sizes = Sequence[Size]
Count = Annotated[int, Ge(0)]  # 0 means none
Weight = Annotated[float, Ge(0)]  # of a term of the loss, or a level of noise
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
PositiveShare = Annotated[float, Gt(0), Le(1)]
Probability = Annotated[float, Ge(0), Lt(1)]  # of dropping a unit, of another step
Mean = Annotated[float, Gt(0), Lt(1)]  # of a quantity between 0 and 1

"""Settings of the bilateral filter and of the dense CRF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from tagseg.settings import Count, NotNegative, Positive, Section, Within

FilterMethod: TypeAlias = Literal["auto", "exact", "lattice"]
"""How a Gaussian filter over position and colour is evaluated (``pairwise/bilateral.py``)."""


@dataclass(frozen=True)
class CrfConfig(Section):
    """Dense CRF over predicted probabilities (section 9 of docs/method.md; Krähenbühl & Koltun 2011)."""

    SECTION: ClassVar[str] = "crf_settings"

    iterations: Count = 10
    """Iterations of mean field."""
    gaussian_sigma: Positive = 1.0
    """Standard deviation of the position-only kernel in pixels."""
    gaussian_weight: NotNegative = 1.0
    """Its weight."""
    bilateral_sigma_xy: Positive = 121.0
    """Standard deviation in pixels of the kernel over position and colour."""
    bilateral_sigma_rgb: Positive = 5.0
    """Its standard deviation in colour levels (0 to 255)."""
    bilateral_weight: NotNegative = 4.0
    """Its weight."""
    method: FilterMethod = "lattice"
    """How the bilateral kernel is evaluated: ``lattice`` (as the common C++ implementation does), ``exact`` (small
    images, or a GPU) or ``auto`` (the faster of the two)."""
    negligible: Annotated[float, Within(0, 0.1, expected="a share from 0 to 0.1")] = 1e-3
    """A class whose probability nowhere exceeds this share of the most probable one's is not filtered, as it could not
    win (``pairwise/relevant.py``). 0 filters every class."""


PUBLISHED_CRF = CrfConfig()
"""The published kernels."""

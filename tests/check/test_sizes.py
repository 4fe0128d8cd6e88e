from pathlib import Path

import pytest

from tagseg.check.photos import Photo
from tagseg.check.sizes import size_findings
from tagseg.data.dataset import Sample


@pytest.mark.parametrize(
    ("name", "size", "codes"),
    [
        ("a.jpg", (375, 500), []),
        ("a.jpg", (64, 64), []),
        ("a.jpg", (63, 200), ["small_images"]),
        ("a.jpg", (100, 400), []),
        ("a.jpg", (401, 100), ["extreme_shapes"]),
        ("a.jpg", (10, 400), ["small_images", "extreme_shapes"]),
        ("a.jpg", (4000, 6000), []),
        ("a.png", (4000, 6000), ["slow_images"]),
        ("a.JPG", (9000, 6000), ["slow_images"]),
        ("a.jpg", (0, 0), []),
    ],
)
def test_sizes(name, size, codes):
    findings = size_findings([Photo("train", Sample("a", Path(name), ()), size=size)])
    assert [finding.code for finding in findings] == codes
    assert all(finding.severity == "warning" for finding in findings)
    assert all(finding.examples == (f"{name} ({size[1]} × {size[0]})",) for finding in findings)

from numpy import ndarray

from tagseg.data.dataset import Sample


def true_mask(sample: Sample) -> ndarray:
    """The ground truth of an image that has one."""
    assert sample.mask is not None
    return sample.mask()

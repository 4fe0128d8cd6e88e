import copy

import pytest
import torch

from tagseg.exporting.tag_prior import ExportedPrior
from tagseg.model.heads import TagPrior


@pytest.mark.parametrize("scale", [1, 30, 300])
def test_it_is_the_networks_own_however_unlikely_a_tag_is(scale):
    generator = torch.Generator().manual_seed(0)
    prior = TagPrior(8, 5)
    with torch.no_grad():
        prior.classifier.weight.copy_(scale * torch.randn((5, 8), generator=generator))
    logits, maps = (torch.randn((2, channels, 3, 4), generator=generator) for channels in (6, 8))
    exported = ExportedPrior(copy.deepcopy(prior))(logits, maps)
    assert exported.isfinite().all()
    torch.testing.assert_close(exported, prior(logits, maps))

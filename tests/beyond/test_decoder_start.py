"""A decoder that starts from nearly equal scores."""

import torch

from tagseg.beyond.decoder_start import scale_last_layer
from tagseg.config import replace
from tagseg.model.heads import LargeFOV

from ..conftest import tiny_config
from ..steps import module_of


def decoder():
    torch.manual_seed(0)
    return LargeFOV(8, classes=4, hidden=6, dilation=5)


def test_the_decoder_may_start_from_smaller_scores():
    published, smaller = decoder(), decoder()
    scale_last_layer(smaller, 0.1)
    features = torch.randn(2, 8, 7, 9)
    torch.testing.assert_close(smaller(features), 0.1 * published(features))


def test_the_setting_holds_for_student_and_teacher(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path)
    published, smaller = module_of(config), module_of(replace(config, beyond={"decoder_start": 0.1}))
    for name, network in smaller.networks.items():
        expected = published.networks[name].state_dict()
        expected["decoder.4.weight"] *= 0.1
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, expected[key], msg=key)

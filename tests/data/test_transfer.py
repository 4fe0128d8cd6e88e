"""Small tensors on their way to a device."""

import pytest
import torch

from tagseg.data.transfer import send


def test_on_a_cpu_nothing_moves():
    values = torch.arange(3)
    assert send(values, torch.device("cpu")) is values
    assert send(values, torch.device("meta")).device.type == "meta"


@pytest.mark.gpu
def test_a_gpu_gets_them_without_being_waited_for():
    values = torch.arange(1000)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = send(values, torch.device("cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert there.cpu().equal(values)
    assert send(there, torch.device("cuda")).data_ptr() == there.data_ptr()

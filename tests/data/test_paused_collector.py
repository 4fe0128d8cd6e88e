import gc

import pytest

from tagseg.data.paused_collector import paused_collector


def test_the_collector_is_as_before_after_the_block_and_after_an_error():
    assert gc.isenabled()
    with paused_collector():
        assert not gc.isenabled()
        with paused_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="bad"), paused_collector():
        raise ValueError("bad")
    assert gc.isenabled()

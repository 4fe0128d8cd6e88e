"""The fifth that is kept for scoring."""

from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.held_back import held_back

NAMES = st.lists(st.text(), unique=True, min_size=1)


@given(NAMES)
def test_at_least_one_is_kept(names):
    assert any(held_back(names))


def test_a_fifth_is_kept_and_others_do_not_move_it():
    names = [f"photo{i}.jpg" for i in range(1000)]
    kept = dict(zip(names, held_back(names), strict=True))
    assert 150 < sum(kept.values()) < 250
    some = names[::7]
    assert held_back(some) == [kept[name] for name in some]
    assert held_back([]) == []

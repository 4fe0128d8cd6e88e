from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.palette import colour, colours_with

RGB = st.one_of(st.integers(1, 30).map(colour), st.tuples(*[st.integers(0, 255)] * 3))


def test_without_own_colours_they_are_those_of_voc():
    assert colours_with({}, 4) == tuple(colour(label) for label in range(4))


@given(st.dictionaries(st.integers(1, 9), RGB.filter(lambda rgb: rgb != (0, 0, 0)), max_size=9), st.integers(10, 20))
def test_given_colours_are_taken_and_none_is_there_twice(given_colours, count):
    if len(set(given_colours.values())) < len(given_colours):
        return  # a class map refuses it
    colours = colours_with(given_colours, count)
    assert {label: colours[label] for label in given_colours} == given_colours
    assert len(set(colours)) == count
    assert colours[0] == (0, 0, 0)
    kept = [
        label for label in range(count) if label not in given_colours and colour(label) not in given_colours.values()
    ]
    assert all(colours[label] == colour(label) for label in kept)

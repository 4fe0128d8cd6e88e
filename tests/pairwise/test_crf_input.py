"""What a dense CRF may be given: any form of probabilities and pictures gives the same, everything else one line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.fast import dense_crf as fast
from tagseg.pairwise import crf as plain
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.crf_input import crf_input

from ..conftest import assert_refused
from .conftest import some_images

pytestmark = pytest.mark.usefixtures("unchecked")

SHORT = CrfConfig(iterations=2)
FORMS = {"plain": plain.dense_crf, "fast": fast.dense_crf}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def dense_crf(request):
    return request.param


def pillow(images):
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


PICTURES: dict[str, Callable[[torch.Tensor], Any]] = {
    "float32": lambda x: x.float(),
    "float64": lambda x: x.double(),
    "half": lambda x: x.half(),
    "int64": lambda x: x.long(),
    "int16": lambda x: x.short(),
    "numpy uint8": lambda x: x.numpy(),
    "numpy float64": lambda x: x.double().numpy(),
    "numpy uint16": lambda x: x.numpy().astype(np.uint16),
    "numpy big-endian": lambda x: x.numpy().astype(">i4"),
    "numpy reversed twice": lambda x: x.numpy()[..., ::-1].copy()[..., ::-1],
    "Pillow images": pillow,
    "requires a gradient": lambda x: x.float().requires_grad_(),
}


@pytest.mark.parametrize("form", PICTURES)
def test_pictures_of_any_form(form, dense_crf):
    probabilities, images = some_images(2)
    before = images.clone()
    expected = dense_crf(probabilities, images, SHORT)
    torch.testing.assert_close(dense_crf(probabilities, PICTURES[form](images), SHORT), expected, rtol=0, atol=1e-6)
    assert torch.equal(images, before)


@pytest.mark.parametrize("form", ["numpy", "numpy float64", "one-hot integers", "one-hot bools"])
def test_probabilities_of_any_form(form, dense_crf):
    probabilities, images = some_images(2)
    if form.startswith("numpy"):
        kind = np.float64 if "64" in form else np.float32
        given_ = probabilities.numpy().astype(kind)
    else:
        probabilities = torch.nn.functional.one_hot(probabilities.argmax(1)).permute(0, 3, 1, 2).float()
        given_ = probabilities.bool() if "bools" in form else probabilities.long()
    result = dense_crf(given_, images, SHORT)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, dense_crf(probabilities, images, SHORT), rtol=0, atol=1e-6)


def test_a_grey_picture_is_one_of_three_equal_colours(dense_crf):
    probabilities, images = some_images(2)
    grey = images[:, :1]
    expected = dense_crf(probabilities, grey.expand(-1, 3, -1, -1), SHORT)
    assert torch.equal(dense_crf(probabilities, grey, SHORT), expected)
    grey_pillow = [Image.fromarray(one[0].numpy()) for one in grey]
    assert torch.equal(dense_crf(probabilities, grey_pillow, SHORT), expected)


def test_a_single_pillow_image(dense_crf):
    probabilities, images = some_images(1)
    result = dense_crf(probabilities, pillow(images)[0], SHORT)
    assert torch.equal(result, dense_crf(probabilities, images, SHORT))


def test_dark_pictures_are_taken_where_they_can_be_read_one_way_only(dense_crf):
    probabilities, images = some_images(2)
    for dark in (torch.zeros_like(images), images // 128, torch.zeros(images.shape), (images // 128).int()):
        assert dense_crf(probabilities, dark, SHORT).shape == probabilities.shape


BAD_PICTURES: dict[str, tuple[Callable[[torch.Tensor], Any], list[str]]] = {
    "0 to 1": (lambda x: x.float() / 255, ["floats from", "expected 0 to 255", "multiply 0 to 1 by 255"]),
    "one of two is 0 to 1": (lambda x: x * torch.tensor([1, 1 / 255])[:, None, None, None], ["expected 0 to 255"]),
    "normalised": (lambda x: (x / 255 - 0.45) / 0.225, ["values from -", "0 to 255", "undo their normalisation"]),
    "16 bits": (lambda x: x.int() * 257, ["values from", "scale or clamp"]),
    "not a number": (lambda x: x.float().masked_fill(x > 99, torch.nan), ["not finite"]),
    "bools": (lambda x: x > 99, ["true and false"]),
    "complex": (lambda x: x.to(torch.complex64), ["complex64", "real numbers"]),
    "sparse": (lambda x: x.float().to_sparse(), ["sparse", "real numbers"]),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), ["(2, 20, 26, 3)", "images.permute(0, 3, 1, 2)"]),
    "four channels": (lambda x: torch.cat([x, x[:, :1]], 1), ["(2, 4, 20, 26)", "images[:, :3]"]),
    "two channels": (lambda x: x[:, :2], ["(2, 2, 20, 26)", "red, green and blue"]),
    "no batch axis": (lambda x: x[0], ["(3, 20, 26)", "images[None]"]),
    "no batch axis, channels last": (lambda x: x[0].permute(1, 2, 0), ["(20, 26, 3)", "[None].permute(0, 3, 1, 2)"]),
    "a plane": (lambda x: x[0, 0], ["(20, 26)", "expected (B, 3, H, W)"]),
    "a list of lists": (lambda x: x.tolist(), ["a list", "expected"]),
    "an empty list": (lambda x: [], ["a list", "expected"]),
    "nothing": (lambda x: None, ["a NoneType", "expected"]),
    "a file name": (lambda x: "photo.jpg", ["a str", "expected"]),
    "words": (lambda x: np.array(["a"]), ["an array of", "expected"]),
    "Pillow images of two sizes": (
        lambda x: [pillow(x)[0], Image.new("RGB", (3, 3))],
        ["3 x 3 and 26 x 20", "one size"],
    ),
    "turned": (lambda x: x.transpose(2, 3), ["26 x 20 pixels", "20 x 26", "transpose(2, 3)"]),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_pictures_that_would_be_misread_are_refused_in_one_line(case, dense_crf):
    change, parts = BAD_PICTURES[case]
    probabilities, images = some_images(2)
    assert_refused(lambda: dense_crf(probabilities, change(images), SHORT), *parts)


def test_other_probabilities_and_settings_are_refused_in_one_line(dense_crf):
    probabilities, images = some_images(2)
    for wrong, parts in (
        (probabilities[0], ["(4, 20, 26)", "probabilities[None]"]),
        (probabilities.tolist(), ["a list as probabilities"]),
        (probabilities.to(torch.complex64), ["complex64"]),
        (probabilities.log().numpy(), ["a probability of -", "softmax"]),
    ):
        assert_refused(lambda wrong=wrong: dense_crf(wrong, images, SHORT), *parts)
    assert_refused(lambda: dense_crf(probabilities, images, {"iterations": 2}), "a dict as its config", "CrfConfig")


TORCH_KINDS = [torch.uint8, torch.int8, torch.int16, torch.int64, torch.bool, torch.float16, torch.bfloat16,
               torch.float32, torch.float64, torch.complex64]  # fmt: skip
NUMPY_KINDS = ["u1", "i1", ">u2", "i4", "u8", "?", "f2", ">f4", "f8", "c8", "U1", "O"]


@settings(max_examples=200)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 4, 5]), max_size=5),
    kind=st.sampled_from([*TORCH_KINDS, *NUMPY_KINDS]),
    low=st.sampled_from([0, 0, -1, 3]),
    high=st.sampled_from([1, 2, 200, 255, 256, 70_000]),
    data=st.data(),
)
def test_any_array_gives_pictures_of_0_to_255_or_one_line(shape, kind, low, high, data):
    values = np.random.default_rng(data.draw(st.integers(0, 9))).uniform(low, max(low, high), shape)
    with np.errstate(all="ignore"):
        images = torch.tensor(values).to(kind) if isinstance(kind, torch.dtype) else values.astype(kind)
    size = (shape[0], 2, *shape[2:]) if len(shape) == 4 else (1, 2, 3, 3)
    try:
        planes, pictures = crf_input(torch.full(size, 0.5), images, SHORT)
    except TagsegError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert pictures.shape == (planes.shape[0], 3, *planes.shape[2:])
    assert pictures.dtype in (torch.uint8, torch.float32)
    assert 0 <= pictures.min() <= pictures.max() <= 255
    floats = kind in TORCH_KINDS[5:9] or kind in ("f2", ">f4", "f8")
    assert pictures.dtype == (torch.float32 if floats else torch.uint8)
    assert not floats or all(float(one.max()) > 3 or not one.any() for one in pictures), "no colours of 0 to 1"

"""Equals ``fsr.distillation.project_teacher``: a few images at a time, and only masked patches are projected."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tagseg.fast.engine import Engine
from tagseg.fast.packed_tokens import encode_packed
from tagseg.fast.prepared import prepare
from tagseg.fast.threads import part_size
from tagseg.fsr.distillation import TeacherProjections
from tagseg.model.encoder import Encoder
from tagseg.model.network import Network

IMAGES_AT_ONCE = {"cpu": 2, "cuda": 1_000}
"""Most images that go through the encoder together. CPU: more do not fit its caches."""


@torch.no_grad()
def project_teacher(
    teacher: Network,
    x1: Float[Tensor, "B 3 H W"],
    x2: Float[Tensor, "B 3 H W"],
    masked: Int64[Tensor, " M"],
    engine: Engine | None = None,
) -> TeacherProjections:
    """Arguments as of the plain form; ``engine`` is what it runs on."""
    tokens = encode(teacher.encoder, torch.cat([x1, x2]), engine or Engine())
    token = teacher.project(teacher.encoder.aggregate(tokens[: len(x1)]))
    # The prototypes are linear: the mean of all patches' projections is the projection of the mean.
    embedded = teacher.projector.embed(teacher.encoder.norm(tokens[len(x1) :]))
    patches = teacher.projector.prototypes(embedded.flatten(0, 1)[masked])
    return TeacherProjections(token, patches, teacher.projector.prototypes(embedded.mean((0, 1))))


def encode(encoder: Encoder, images: Float[Tensor, "B 3 H W"], engine: Engine) -> Float[Tensor, "B N D"]:
    """Final patch tokens, not normalised, of normalised images; encoder in evaluation mode, no gradient."""
    size = part_size(len(images), IMAGES_AT_ONCE.get(images.device.type, IMAGES_AT_ONCE["cpu"]), images.device)
    ready = prepare(encoder, images, engine)

    def tokens_of(part: Tensor) -> tuple[Tensor, ...]:
        return (encode_packed(ready.encoder, [part], ready.packed, engine.run_block)[0].tokens,)

    several = images.split(size)

    def encoded(part: Tensor) -> Tensor:
        tokens = ready.run("teacher", tokens_of, part)[0]
        return tokens.clone() if len(several) > 1 and tokens.is_cuda else tokens  # the next part's take its place

    return torch.cat(engine.cores.map(encoded, several, images.device))

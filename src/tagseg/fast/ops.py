"""The operations of a step, faster. Each equals the plain one of ``fsr.step.PLAIN`` to rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

from torch import Tensor

from tagseg.fast import cam, dense_losses, masking, pseudo_labels, student_forward, teacher_forward
from tagseg.fast.engine import Engine
from tagseg.fast.prepared import Prepared, prepare
from tagseg.fast.present_classes import present_classes
from tagseg.fsr.cam import CamClasses, Cams
from tagseg.fsr.step import PLAIN, Ops
from tagseg.model.network import Network


def fast_ops(engine: Engine) -> Ops:
    """The fast table on an engine."""
    return dataclasses.replace(
        PLAIN,
        cam_classes=present_classes,
        auxiliary_cam=partial(cam.auxiliary_cam, engine=engine),
        draw_mask=masking.draw_mask,
        masked_places=masking.masked_places,
        cams=partial(cam.multi_scale_cam, engine=engine),
        encode_student=partial(student_forward.encode_student, engine=engine),
        project_teacher=partial(teacher_forward.project_teacher, engine=engine),
        patch_label=pseudo_labels.patch_label,
        pseudo_label=pseudo_labels.pseudo_label,
        dense_losses=partial(dense_losses.dense_losses, engine=engine),
    )


FAST = fast_ops(Engine())
"""The fast table on an engine of its own."""


def sharing_weights(ops: Ops, student: Network, engine: Engine) -> Ops:
    """A fast table for one step: both CAMs of it share the student's weights, which the first of them packs."""

    ready: list[Prepared] = []

    def prepared(images: Tensor) -> Prepared:
        if not ready:
            ready.append(prepare(student.encoder, images, engine))
        return ready[0]

    def auxiliary_cam(network: Network, images: Tensor, scales: Sequence[float], classes: CamClasses) -> Tensor:
        return cam.auxiliary_cam(network, images, scales, classes, engine, prepared(images))

    def cams(network: Network, images: Tensor, scales: Sequence[float], classes: CamClasses) -> Cams:
        return cam.multi_scale_cam(network, images, scales, classes, engine, prepared(images))

    return dataclasses.replace(ops, auxiliary_cam=auxiliary_cam, cams=cams)

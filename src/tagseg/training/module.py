"""One training step, in the order of METHOD §5, as a thin LightningModule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import Config, step_of
from tagseg.data.loaders import Batch, ScoreBatch
from tagseg.data.seeds import seed_of
from tagseg.errors import NonFiniteLoss, TagsegError
from tagseg.model.encoder import Features
from tagseg.model.network import Network
from tagseg.model.teacher import make_teacher, update_teacher
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.energy import dense_energy
from tagseg.pairwise.exact import check_size
from tagseg.pseudo.cam import multi_scale_aux_cam, multi_scale_cam
from tagseg.pseudo.labels import cam_to_label, refined_label
from tagseg.pseudo.masking import block_mask, block_noise, to_patches
from tagseg.pseudo.partition import partition, uncertain
from tagseg.training.distillation import Centres, certain_loss, uncertain_loss
from tagseg.training.losses import affinity_loss, classification_loss, segmentation_loss
from tagseg.training.optimiser import adopt_rates, make_optimiser
from tagseg.training.schedules import loss_weights, mask_choice, teacher_momentum, teacher_temperature
from tagseg.training.validation import Validation


@dataclass
class StepLosses:
    """What a step returns.

    Attributes:
        total: weighted sum, to go backward from.
        terms: each term by name, unweighted.
        health: of the distillation: teacher entropy and KL beside each cross-entropy.
    """

    total: Tensor
    terms: dict[str, Tensor]
    health: dict[str, Tensor]


class FSR(lightning.LightningModule):
    """Progressive feature self-reinforcement.

    Args:
        config: the resolved configuration.
        classes: names of the K foreground classes.
    """

    def __init__(self, config: Config, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        self.student = Network(config.network, classes)
        self.teacher = make_teacher(self.student)
        self.centres = Centres(config.network.prototypes, config.distillation.centre_momentum)
        self.validation = Validation(len(classes), config.cam)

    def train(self, mode: bool = True) -> FSR:
        """Switch the student's stochastic depth; the teacher never has any."""
        super().train(mode)
        self.teacher.eval()
        return self

    def losses(self, batch: Batch, step: int) -> StepLosses:
        """The losses of one step (METHOD §5, numbered as there)."""
        weights = loss_weights(step, self.config)
        terms: dict[str, Tensor] = {}
        health: dict[str, Tensor] = {}

        # 1. Two views (drawn by the loader).
        x1 = self.student.normalise(batch.view1)

        # 2. Auxiliary CAM of view 2 → partition → mask.
        mask = self.mask_for(batch, step)

        # 3. Student on [x1; x2 masked], teacher on [x1; x2].
        if mask is None:
            view1 = self.student.encoder(x1)
        else:
            x2 = self.student.normalise(batch.view2)
            both = self.student.encoder(torch.cat([x1, x2]), torch.cat([torch.zeros_like(mask), mask]))
            view1, view2 = both[: len(x1)], both[len(x1) :]
            if weights["certain"] or weights["uncertain"]:
                self._distil(x1, x2, view2, mask, batch, step, terms, health)

        # 4. Multi-scale CAM of view 1 → pseudo-labels. 5. The losses that read view 1 alone.
        terms["classification"] = classification_loss(*self.student.classify(view1), batch.tags)
        if weights["affinity"] or weights["segmentation"] or weights["energy"]:
            self._supervise(x1, view1, batch, weights, terms)

        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return StepLosses(total, terms, health)

    @torch.no_grad()
    def mask_for(self, batch: Batch, step: int) -> Bool[Tensor, "B h w"] | None:
        """Which patches of view 2 are masked (True); ``None`` where nothing ever is."""
        choice = mask_choice(step, self.config.run.steps, self.config.mask)
        if choice == "none":
            return None
        height, width = batch.view2.shape[-2:]
        blocks = (height // self.config.mask.block, width // self.config.mask.block)
        noise = block_noise(batch.mask_seeds.tolist(), blocks).to(batch.tags.device)
        region = uncertain(self.regions_of(batch.view2, batch.tags)) if choice == "uncertain" else None
        patch = self.student.patch_size
        return to_patches(block_mask(noise, region, self.config.mask.ratio), (height // patch, width // patch))

    @torch.no_grad()
    def regions_of(self, view: UInt8[Tensor, "B 3 H W"], tags: Float[Tensor, "B K"]) -> UInt8[Tensor, "B H W"]:
        """Certain background, uncertain and certain foreground of a view, by the student's auxiliary CAM."""
        cam = multi_scale_aux_cam(self.student, self.student.normalise(view), self.config.cam.scales, tags)
        return partition(cam, tags, view.float() / 255, self.config.partition)

    def _distil(
        self,
        x1: Tensor,
        x2: Tensor,
        view2: Features,
        mask: Bool[Tensor, "B h w"],
        batch: Batch,
        step: int,
        terms: dict[str, Tensor],
        health: dict[str, Tensor],
    ) -> None:
        """L_unc and L_cer, then the centres."""
        config = self.config.distillation
        warmup = step_of(config.temperature_warmup, self.config.run.steps)
        temperatures = config.student_temperature, teacher_temperature(step, warmup, *config.teacher_temperature)
        with torch.no_grad():
            seen = self.teacher.encoder(torch.cat([x1, x2]))
            taught_token = self.teacher.project(seen.token[: len(x1)])
            patches = seen.patches[len(x1) :].flatten(2).transpose(1, 2)
            taught_patches = self.teacher.project(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        hidden = mask.flatten(1)
        token = self.student.project(torch.cat([view2.token, self._local_tokens(batch)]))
        recovered = self.student.project(view2.patches.flatten(2).transpose(1, 2)[hidden])
        cer = certain_loss(token, taught_token, self.centres.token, *temperatures)
        unc = uncertain_loss(recovered, taught_patches[hidden], hidden, self.centres.patch, *temperatures)
        self.centres.update(taught_token, taught_patches)
        terms |= {"uncertain": unc.loss, "certain": cer.loss}
        for name, part in (("uncertain", unc), ("certain", cer)):
            health |= {f"{name}_teacher_entropy": part.teacher_entropy, f"{name}_kl": part.kl}

    def _local_tokens(self, batch: Batch) -> Float[Tensor, "M D"]:
        """Global tokens of the local crops, one crop of each image after the other; none by default."""
        crops = batch.local.transpose(0, 1).flatten(0, 1)
        if len(crops) == 0:
            return self.student.encoder.class_token.new_zeros((0, self.student.encoder.width))
        return self.student.encoder(self.student.normalise(crops)).token

    def _supervise(
        self, x1: Tensor, view1: Features, batch: Batch, weights: dict[str, float], terms: dict[str, Tensor]
    ) -> None:
        """L_aff, L_seg and L_reg on pseudo-labels of view 1."""
        cams = multi_scale_cam(self.student, x1, self.config.cam.scales, batch.tags)
        if weights["affinity"]:
            label = cam_to_label(cams.auxiliary, batch.tags, self.config.labels.high, self.config.labels.low)
            small = F.interpolate(label.unsqueeze(1).float(), size=view1.patches.shape[-2:], mode="nearest")
            terms["affinity"] = affinity_loss(view1.patches, small.squeeze(1).long())
        if weights["segmentation"] or weights["energy"]:
            label = self.pseudo_label(batch.view1, cams.final, batch.tags)
            logits = self.student.decoder(view1.patches).float()
            logits = F.interpolate(logits, size=label.shape[-2:], mode="bilinear", align_corners=False)
            terms["segmentation"] = segmentation_loss(logits, label)
            if weights["energy"]:
                terms["energy"] = dense_energy(logits, batch.view1.float(), label, self.config.energy)

    @torch.no_grad()
    def pseudo_label(
        self, view: UInt8[Tensor, "B 3 H W"], cam: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"]
    ) -> Tensor:
        """Pseudo-label (B, H, W) of a view: PAR-refined, or thresholds alone where refinement is off."""
        if not self.config.labels.refine:
            return cam_to_label(cam, tags, self.config.labels.high, self.config.labels.low)
        return refined_label(view.float() / 255, cam, tags, self.config.labels)

    # --- What Lightning calls ---------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Refuse at once what would only fail when L_reg starts: an exact energy too large for a CPU."""
        points = (self.config.views.size // 2) ** 2
        if self.config.losses.energy and choose(self.config.energy.method, points, self.device.type) == "exact":
            check_size(points, self.device.type)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Losses of a batch, checked and logged."""
        step = self.global_step
        torch.manual_seed(seed_of(self.config.run.seed, step, self.global_rank, index % self.config.run.accumulate))
        losses = self.losses(batch, step)
        check_finite(losses.terms, step)
        named = {"loss": losses.total} | losses.terms
        self.log_dict({f"train/{k}": v.detach() for k, v in named.items()}, batch_size=len(batch.tags))
        self.log_dict({f"distillation/{k}": v for k, v in losses.health.items()}, batch_size=len(batch.tags))
        return losses.total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """6. AdamW step, then the teacher's update."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        first, last = self.config.distillation.teacher_momentum
        update_teacher(self.teacher, self.student, teacher_momentum(step, self.config.run.steps, first, last))

    def configure_optimizers(self) -> Any:
        """AdamW and its schedule (METHOD §8)."""
        optimiser, schedule = make_optimiser(self.student, self.config)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def validation_step(self, batch: ScoreBatch, index: int) -> None:
        """Score student and teacher."""
        images = self.student.normalise(batch.images)
        for name, network in (("student", self.student), ("teacher", self.teacher)):
            self.validation.update(name, network, images, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of student and teacher."""
        scores = self.validation.compute()
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, rank_zero_only=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the class names: a checkpoint of other classes must not be resumed."""
        checkpoint["classes"] = list(self.student.classes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes; go on with the configuration's rates."""
        self.check_classes(checkpoint)
        adopt_rates(checkpoint, self.student, self.config)

    def check_classes(self, checkpoint: dict[str, Any]) -> None:
        """Raise ``TagsegError`` unless a checkpoint's classes are ours."""
        theirs, ours = checkpoint.get("classes", []), list(self.student.classes)
        if theirs != ours:
            raise TagsegError(
                f"the checkpoint has {len(theirs)} classes ({', '.join(theirs[:3])} …), the data {len(ours)} "
                f"({', '.join(ours[:3])} …): resume with the data it was trained on"
            )


def check_finite(terms: dict[str, Tensor], step: int) -> None:
    """Stop on a loss that is not finite, naming the step and the term.

    Raises:
        NonFiniteLoss: a term is infinite or not a number.
    """
    names = list(terms)
    finite = torch.isfinite(torch.stack([terms[name].detach() for name in names])).tolist()
    for name, ok in zip(names, finite, strict=True):
        if not ok:
            raise NonFiniteLoss(
                f"step {step}: loss term {name!r} is {terms[name].item()}, expected a finite number: lower "
                "--optimiser.rate, or train with --run.precision 32; an earlier last.ckpt is kept and can be resumed"
            )

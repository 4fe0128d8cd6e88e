"""What is trained, as a LightningModule: both networks, the parts of a step that both its forms share, the optimiser.

The step itself is in ``step``, in the order of METHOD §5.
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import Config, step_of
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import Batch, ScoreBatch
from tagseg.data.seeds import seed_of
from tagseg.errors import TagsegError
from tagseg.model.network import Network
from tagseg.model.onednn import weights_packed
from tagseg.model.teacher import make_teacher, update_teacher
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.exact import check_size
from tagseg.pseudo.cam import present_aux_cam
from tagseg.pseudo.labels import cam_to_label, refined_label
from tagseg.pseudo.masking import block_mask, block_noise, to_patches
from tagseg.pseudo.partition import partition, uncertain
from tagseg.pseudo.present import present_classes
from tagseg.training.distillation import Centres, temperature_of
from tagseg.training.losses import StepLosses, check_finite
from tagseg.training.optimiser import adopt_rates, make_optimiser
from tagseg.training.plain import plain_losses
from tagseg.training.processes import averaged
from tagseg.training.schedules import mask_choice, teacher_momentum, teacher_temperature
from tagseg.training.speed import prepare
from tagseg.training.start import fit_classifiers
from tagseg.training.step import fast_losses
from tagseg.training.validation import Validation


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

    def fit_classifiers(self, images: TaggedImages, device: torch.device) -> None:
        """Start both networks with classifiers that know the tags (``start``); before the first step alone."""
        fit_classifiers(self.student, images, self.config, device)
        self.teacher = make_teacher(self.student)

    def losses(self, batch: Batch, step: int) -> StepLosses:
        """The losses of one step (METHOD §5): in ``step``, or word for word in ``plain``."""
        if self.config.speed.step == "plain":
            return plain_losses(self, batch.augmented(), step)
        with weights_packed(self.student.encoder.blocks):  # both CAMs of a step share them
            return fast_losses(self, batch.augmented(), step)

    @torch.no_grad()
    def mask_for(self, batch: Batch, step: int) -> Bool[Tensor, "B h w"] | None:
        """Which patches of view 2 are masked (True); ``None`` where nothing ever is."""
        choice = mask_choice(step, self.config.run.steps, self.config.mask)
        if choice == "none":
            return None
        return self.draw_mask(batch, self.regions_of(batch.view2, batch.tags) if choice == "uncertain" else None)

    def draw_mask(self, batch: Batch, regions: UInt8[Tensor, "B H W"] | None) -> Bool[Tensor, "B h w"]:
        """Masked patches of view 2 (True): uncertain regions first, or where there are none given, at random."""
        height, width = batch.view2.shape[-2:]
        blocks = (height // self.config.mask.block, width // self.config.mask.block)
        noise = block_noise(batch.mask_seeds.tolist(), blocks).to(batch.tags.device)
        region = None if regions is None else uncertain(regions)
        patch = self.student.patch_size
        return to_patches(block_mask(noise, region, self.config.mask.ratio), (height // patch, width // patch))

    @torch.no_grad()
    def regions_of(self, view: UInt8[Tensor, "B 3 H W"], tags: Float[Tensor, "B K"]) -> UInt8[Tensor, "B H W"]:
        """Certain background, uncertain and certain foreground of a view, by the student's auxiliary CAM."""
        present = present_classes(tags)
        cam = present_aux_cam(self.student, self.student.normalise(view), self.config.cam.scales, present)
        return partition(cam, present.tags, view.float() / 255, self.config.partition)

    def targets(
        self, step: int, token: Float[Tensor, "B P"], patches: Float[Tensor, "M P"], mean_patch: Float[Tensor, " P"]
    ) -> tuple[tuple[Tensor, Tensor | float], tuple[Tensor, Tensor | float]]:
        """Centre and τ_t of the teacher's global tokens, and those of its masked patches.

        Args:
            step: which.
            token: the teacher's projections of view 1.
            patches: its projections of the masked patches of view 2.
            mean_patch: the mean of all patches of view 2.
        """
        config = self.config.distillation
        if not config.teacher_sharpness:
            warmup = step_of(config.temperature_warmup, self.config.run.steps)
            temperature = teacher_temperature(step, warmup, *config.teacher_temperature)
            return (self.centres.token, temperature), (self.centres.patch, temperature)
        updates = step * self.config.run.accumulate
        c_token, c_patch = self.centres.corrected(updates, token.mean(0), mean_patch)
        tau_token, tau_patch = (
            temperature_of(seen, centre, config.teacher_sharpness)
            for seen, centre in ((token, c_token), (patches, c_patch))
        )
        return (c_token, tau_token), (c_patch, tau_patch)

    def local_tokens(self, batch: Batch) -> Float[Tensor, "M D"]:
        """Global tokens of the local crops, one crop of each image after the other; none by default."""
        crops = batch.local.transpose(0, 1).flatten(0, 1)
        if len(crops) == 0:
            return self.student.encoder.class_token.new_zeros((0, self.student.encoder.width))
        seeds = [seed for crop in range(batch.local.shape[1]) for seed in batch.depth_seeds(3 + crop)]
        return self.student.encoder(self.student.normalise(crops), seeds=seeds).token

    def patch_label(self, auxiliary: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"]) -> Int64[Tensor, "B h w"]:
        """What L_aff compares patches by: the auxiliary CAM's label, without refinement, at each patch."""
        label = cam_to_label(auxiliary, tags, self.config.labels.high, self.config.labels.low)
        grid = tuple(side // self.student.patch_size for side in label.shape[-2:])
        return F.interpolate(label.unsqueeze(1).float(), size=grid, mode="nearest").squeeze(1).long()

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
        """Compile what is to be compiled; refuse at once what would fail late: an exact energy too large for a CPU."""
        prepare(self.student, self.teacher, self.config.speed)
        points = (self.config.views.size // 2) ** 2
        if self.config.losses.energy and choose(self.config.energy.method, points, self.device.type) == "exact":
            check_size(points, self.device.type)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Losses of a batch, checked and logged."""
        step = self.global_step
        torch.manual_seed(seed_of(self.config.run.seed, step, self.global_rank, index % self.config.run.accumulate))
        losses = self.losses(batch, step)
        named = {"train/loss": losses.total} | {f"train/{name}": value for name, value in losses.terms.items()}
        named |= {f"distillation/{name}": value for name, value in losses.health.items()}
        values = averaged(torch.stack([value.detach() for value in named.values()]))
        means = dict(zip(named, values.unbind(), strict=True))
        # Those of all processes: if one stopped alone, the others would wait for it.
        check_finite({name: means[f"train/{name}"] for name in losses.terms}, step)
        self.log_dict(means, batch_size=len(batch.tags))
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

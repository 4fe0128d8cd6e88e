"""Lightning's hooks around a method: step, optimiser, validation, checkpoints."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

from tagseg.data.batch import Batch, ScoreBatch
from tagseg.data.seeds import seed_of
from tagseg.distributed import averaged, process_count
from tagseg.errors import TagsegError
from tagseg.methods.method import Method
from tagseg.training.collapse import Watch
from tagseg.training.collapse_advice import watch_of
from tagseg.training.finite import check_finite
from tagseg.training.optimiser import adopt_rates, make_optimiser
from tagseg.training.signs import shown, signs_of, with_similarity
from tagseg.training.validation import Validation


class TrainingModule(lightning.LightningModule):
    """What Lightning trains.

    Args:
        method: networks and losses.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.config = method.config
        names = tuple(method.networks)
        self.validation = Validation(names, method.SCORED, len(method.trained.classes), method.cam)
        self.watch: Watch | None = watch_of(self.config, method)

    def on_fit_start(self) -> None:
        """The networks are on their device."""
        self.method.on_device(self.device)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Look at what the last steps have shown, before anything of the next one changes."""
        if self.watch is not None:
            self.watch.judge(self.global_step, quiet=self.global_rank > 0)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Losses of a batch, checked and logged."""
        step = self.global_step
        torch.manual_seed(seed_of(self.config.run.seed, step, self.global_rank, index % self.config.run.accumulate))
        losses = self.method.losses(batch, step)
        named = {"train/loss": losses.total} | {f"train/{name}": value for name, value in losses.terms.items()}
        named |= {f"distillation/{name}": value for name, value in losses.health.items()}
        signs = {} if self.watch is None or losses.outputs is None else signs_of(losses.outputs, batch.tags)
        # Means over all processes: if one process stopped alone, the others would wait for it.
        means = averaged_by_name(named | signs)
        check_finite({name: means[f"train/{name}"] for name in losses.terms}, step)
        signs = with_similarity({name: means[name] for name in signs}, len(batch.tags) * process_count())
        self.log_dict({name: means[name] for name in named} | shown(signs), batch_size=len(batch.tags))
        if self.watch is not None:
            self.watch.observe(step, signs | {name: means[f"distillation/{name}"] for name in losses.health})
        return losses.total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """AdamW step, then the method's own update."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        self.method.after_step(step)

    def configure_optimizers(self) -> Any:
        """AdamW and its schedule."""
        optimiser, schedule = make_optimiser(self.method.trained, self.method.optimiser, self.config.run.steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def validation_step(self, batch: ScoreBatch, index: int) -> None:
        """Score every network."""
        images = self.method.trained.normalise(batch.images)
        for name, network in self.method.networks.items():
            self.validation.update(name, network, images, batch, self.method.ops)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of every network."""
        scores = self.validation.compute()
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, rank_zero_only=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the class names: a checkpoint of other classes must not be resumed."""
        checkpoint["classes"] = list(self.method.trained.classes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes; go on with the configuration's rates."""
        self.check_classes(checkpoint)
        checkpoint["state_dict"] = with_method_prefix(checkpoint["state_dict"])
        adopt_rates(checkpoint, self.method.trained, self.method.optimiser, self.config.run.steps)

    def check_classes(self, checkpoint: dict[str, Any]) -> None:
        """Raise ``TagsegError`` unless a checkpoint's classes are ours."""
        theirs, ours = checkpoint.get("classes", []), list(self.method.trained.classes)
        if theirs != ours:
            raise TagsegError(
                f"the checkpoint has {len(theirs)} classes ({', '.join(theirs[:3])} …), the data {len(ours)} "
                f"({', '.join(ours[:3])} …): resume with the data it was trained on"
            )


def averaged_by_name(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The means over all processes of tensors of any shapes, without gradient, in one exchange."""
    flat = averaged(torch.cat([value.detach().reshape(-1) for value in values.values()]))
    parts = flat.split([value.numel() for value in values.values()])
    return {name: part.view(value.shape) for (name, value), part in zip(values.items(), parts, strict=True)}


def with_method_prefix(state: dict[str, Any]) -> dict[str, Any]:
    """A module's state by name; 0.1.0 saved the method's parts without ``method.`` before their names."""
    own = ("method.", "validation.")
    return {name if name.startswith(own) else f"method.{name}": value for name, value in state.items()}

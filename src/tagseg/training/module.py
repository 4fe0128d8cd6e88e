"""Lightning's hooks around a method: step, optimiser, validation, checkpoints."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor
from torch.optim import Optimizer

from tagseg.data.batch import Batch, ScoreBatch
from tagseg.data.seeds import seed_generators, seed_of
from tagseg.distributed import averaged, process_count
from tagseg.errors import TagsegError
from tagseg.methods.method import Method
from tagseg.training.accumulation import share_losses
from tagseg.training.collapse import Watch
from tagseg.training.collapse_advice import watch_of
from tagseg.training.finite import FiniteCheck
from tagseg.training.optimiser import adopt_rates, make_optimiser
from tagseg.training.signs import shown, with_similarity
from tagseg.training.stops import Stops
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
        self.stops = Stops()
        self.finite: FiniteCheck | None = None

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
        self.stops.begin_step()
        seed_generators(seed_of(self.config.run.seed, step, self.global_rank, 0), self.device)
        parts = self.config.run.accumulate
        if parts > 1:
            for optimiser in self.trainer.optimizers:
                optimiser.zero_grad()
        losses = share_losses(self.method, batch, step, parts, self._backward, self.watch is not None)
        named = {"train/loss": losses.total} | {f"train/{name}": value for name, value in losses.terms.items()}
        named |= {f"distillation/{name}": value for name, value in losses.health.items()}
        # Means over all processes: if one process stopped alone, the others would wait for it.
        stop = float(self.stops.received is not None)
        asked = {"stop": losses.total.new_full((), stop)} if process_count() > 1 else {}
        means = averaged_by_name(named | losses.signs | asked)
        self.finite = FiniteCheck({name: means[f"train/{name}"] for name in losses.terms}, step, means.get("stop"))
        signs = with_similarity({name: means[name] for name in losses.signs}, len(batch.tags) * process_count())
        self.log_dict({name: means[name] for name in named} | shown(signs), batch_size=len(batch.tags))
        if self.watch is not None:
            self.watch.observe(step, signs | {name: means[f"distillation/{name}"] for name in losses.health})
        return losses.rest

    def _backward(self, loss: Tensor) -> None:
        """Add the gradient of a part to the parameters'; processes exchange it with that of the last part."""
        strategy = self.trainer.strategy
        alone = strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()
        with alone, torch.autocast(self.device.type, enabled=False):
            strategy.backward(loss, None)

    def optimizer_zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """Lightning calls it after ``training_step``, which by then has the gradients of all parts but the last."""
        if self.config.run.accumulate == 1:
            super().optimizer_zero_grad(*args, **kwargs)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Refuse losses that are not finite: the gradients are there, no weight has changed. Hear of stops."""
        if self.finite is not None:
            self.stops.hear(self.finite.require())

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
        """Keep the class names, as a checkpoint of other classes must not be resumed, and what the watch has seen."""
        checkpoint["classes"] = list(self.method.trained.classes)
        if self.watch is not None:
            checkpoint["watch"] = self.watch.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes; go on with the configuration's rates."""
        self.check_classes(checkpoint)
        checkpoint["state_dict"] = with_method_prefix(checkpoint["state_dict"])
        if self.watch is not None and "watch" in checkpoint:
            self.watch.load_state_dict(checkpoint["watch"])
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

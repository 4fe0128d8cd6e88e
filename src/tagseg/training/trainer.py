"""Lightning around the training step: Trainer and loaders."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tagseg.config import Config, RunConfig, replace
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import score_loader, training_loader
from tagseg.data.sources import require_tags
from tagseg.errors import TagsegError, list_some
from tagseg.fsr.schedules import step_of
from tagseg.methods.build import build_method
from tagseg.training.callbacks import ExportNetworks, Progress
from tagseg.training.checkpoint_file import load_checkpoint
from tagseg.training.checkpoint_io import WholeCheckpoints
from tagseg.training.checkpoints import checkpoints
from tagseg.training.endings import in_one_line
from tagseg.training.launch import with_started
from tagseg.training.liveness import children_of, place_by_trainer, watched
from tagseg.training.loggers import make_loggers, takes_pictures
from tagseg.training.module import TrainingModule, with_method_prefix
from tagseg.training.pace import Pace
from tagseg.training.pictures import Pictures
from tagseg.training.progress_lines import ProgressLines
from tagseg.training.scalars import Scalars
from tagseg.training.step_time import ExpectedTime
from tagseg.training.superseded import clear_superseded
from tagseg.training.view_sizes import check_view_sizes
from tagseg.training.whole_steps import WholeSteps

SAVE_EVERY = 0.1
"""Share of the training between two checkpoints where nothing is scored."""


class Data(LightningDataModule):
    """Both loaders. The images of a step depend on the step alone, so a resumed run equals an uninterrupted one."""

    def __init__(self, config: Config, training: TaggedImages, scored: TaggedImages | None) -> None:
        super().__init__()
        self.config, self.training, self.scored = config, training, scored

    def train_dataloader(self) -> Any:
        """An endless loader that begins with the trainer's current step."""
        trainer, run = self._trainer(), self.config.run
        return training_loader(
            self.training,
            self.config.views,
            batch=run.batch,
            seed=run.seed,
            workers=run.workers,
            first_step=trainer.global_step,
            part=(trainer.global_rank, trainer.world_size),
            repeat_below=self.config.beyond.repeat_below,
            labels=self.training.has_labels,
            device=trainer.strategy.root_device,
        )

    def val_dataloader(self) -> Any:
        """The images with masks; none where there are none."""
        if self.scored is None:
            return []
        trainer, run = self._trainer(), self.config.run
        part, device = (trainer.global_rank, trainer.world_size), trainer.strategy.root_device
        side = self.config.views.size
        return score_loader(self.scored, side, run.val_batch, run.workers, run.val_limit, part, device)

    def _trainer(self) -> Trainer:
        if self.trainer is None:
            raise RuntimeError("the loaders belong to a training")
        return self.trainer


def fit(
    config: Config,
    training: TaggedImages,
    scored: TaggedImages | None,
    checkpoint: Path | None,
    callbacks: Sequence[Callback],
) -> Trainer:
    """Train; return the trainer with its last step and scores. Errors as in ``train``."""
    config = replace(config, run=vars(with_started(config.run)))
    seed_everything(config.run.seed, workers=False, verbose=False)
    module, folder = TrainingModule(build_method(config, training.classes)), Path(config.run.output)
    for network in module.method.networks.values():
        network.colours = training.colours or network.colours
    check_view_sizes(config, module.method.trained.patch_size)
    step = 0 if checkpoint is None else check_checkpoint(checkpoint, module)
    _hush_lightning()
    if scored and "segmentation" not in module.method.SCORED:
        require_tags(scored)  # CAMs are scored with the images' tags
    monitor = f"val/{next(iter(module.method.networks))}/{module.method.SCORED[0]}" if scored else None
    trainer = make_trainer(config, folder, monitor, [*callbacks, module.stops], (checkpoint, step))
    check_shares(config.run, trainer.world_size)
    if trainer.is_global_zero:
        clear_superseded(folder, step)
    with watched(place_by_trainer(trainer), partial(children_of, trainer)):
        _run(trainer, module, Data(config, training, scored), checkpoint, folder)
    return trainer


def _run(trainer: Trainer, module: TrainingModule, data: Data, checkpoint: Path | None, folder: Path) -> None:
    resumed = checkpoint is not None
    keep = resumed or trainer.global_rank > 0  # the first process usually starts the others after
    with in_one_line(trainer, module.stops, folder):
        data.training = module.method.before_first_step(
            data.training, folder, trainer.strategy.root_device, resumed, keep
        )
        precision = module.config.run.matmul_precision
        with module.stops.listening(), warnings.catch_warnings(), matmul_precision(precision), _workers_end(trainer):
            _quiet_lightning()
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        trainer.strategy.barrier()  # the first process still writes the networks that the others are going to look for


@contextmanager
def _workers_end(trainer: Trainer) -> Iterator[None]:
    """End the loaders' workers, however the training ends.

    Stopped while it scores photos, Lightning ends those that read for scoring alone, and Python waits for the others.
    """
    try:
        yield
    finally:
        with suppress(RuntimeError):  # of a GPU that failed, which is being told already
            trainer.fit_loop.teardown()


def check_checkpoint(path: Path, module: TrainingModule) -> int:
    """The step of a checkpoint.

    Raises:
        TagsegError: the file does not hold the state of a training of this network and these classes.
    """
    try:
        checkpoint = load_checkpoint(path, in_memory=False)
        state, step = with_method_prefix(checkpoint["state_dict"]), int(checkpoint["global_step"])
    except Exception as error:  # damaged files raise many kinds
        raise TagsegError(
            f"{path}: not a readable checkpoint of a training ({type(error).__name__}): resume from another one, e.g. "
            "best.ckpt, or start anew with another --run.output"
        ) from error
    module.check_classes(checkpoint)
    own = module.state_dict()
    wrong = [k for k in own | state if k not in own or k not in state or own[k].shape != state[k].shape]
    if wrong:
        raise TagsegError(
            f"{path}: its network is not the configuration's ({list_some(wrong)} differ): resume with the settings of "
            "its own run"
        )
    return step


def make_trainer(
    config: Config,
    folder: Path,
    monitor: str | None,
    callbacks: Sequence[Callback] = (),
    resumed: tuple[Path | None, int] = (None, 0),
) -> Trainer:
    """Lightning's Trainer for a configuration.

    Args:
        config: the resolved configuration.
        folder: of the run.
        monitor: the score that decides which checkpoint is best; ``None`` where nothing is scored.
        callbacks: Lightning callbacks of the caller.
        resumed: the checkpoint that the training goes on from, and its step.
    """
    run, scored = config.run, monitor is not None
    every = max(1, step_of(run.validate_every or SAVE_EVERY, run.steps))
    pace, steps = Pace(run.batch, every if scored else 0), WholeSteps(every if scored else 0)
    own: list[Callback] = [steps, pace, ExpectedTime(config), Progress(pace), ProgressLines(folder, pace)]
    own.append(Scalars(run.log_every, pace))
    if takes_pictures(run):
        own.append(Pictures(run.pictures, pace.every, pace))
    own.append(ExportNetworks(folder))
    own += checkpoints(folder, every, monitor, steps)
    loggers, strategy = make_loggers(run, folder, resumed[1]), strategy_for(run)
    with _explained(run):
        return Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            strategy=strategy,
            precision=run.precision,
            max_steps=run.steps,
            val_check_interval=every if scored else None,
            check_val_every_n_epoch=None,
            limit_val_batches=None if scored else 0,
            num_sanity_val_steps=0,
            log_every_n_steps=run.log_every,
            logger=loggers,
            callbacks=[*own, *callbacks],
            plugins=WholeCheckpoints(resumed[0]) if writes_one_file(run.strategy) else None,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )


@contextmanager
def _explained(run: RunConfig) -> Iterator[None]:
    """What Lightning refuses of accelerator, devices and strategy, as one line."""
    try:
        yield
    except (ValueError, TypeError, MisconfigurationException) as error:
        reason = str(error).partition(". ")[0].rstrip(".")
        raise TagsegError(
            f"a training cannot run with run.accelerator {run.accelerator!r}, run.devices {run.devices!r} and "
            f"run.strategy {run.strategy!r} here ({reason}): leave them out, or see docs/processes.md"
        ) from error


def strategy_for(run: RunConfig) -> str | Strategy:
    """Lightning's strategy: the configured one, or for several processes DDP that exchanges only gradients."""
    if run.strategy != "auto" or _alone(run):
        return run.strategy
    return DDPStrategy(
        find_unused_parameters=True,  # the decoder gets no gradient before L_seg starts
        broadcast_buffers=False,  # the only ones, the centres, are averaged over the processes where they change
        gradient_as_bucket_view=True,  # no second copy of the gradients
    )


def writes_one_file(strategy: str) -> bool:
    """Whether a strategy leaves the writing of checkpoints to one process; others have a way of their own."""
    return not strategy.startswith(("deepspeed", "xla"))


def _alone(run: RunConfig) -> bool:
    """Whether the settings ask for one process."""
    if run.devices in ("auto", -1, "-1"):
        devices = 1 if run.accelerator == "cpu" else torch.cuda.device_count()
        return run.nodes == 1 and devices <= 1
    return run.nodes == 1 and run.devices in (1, "1")


def _quiet_lightning() -> None:
    """Hide advice that does not apply: workers, loggers and the endless loader are intended."""
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*torch.jit.*|.*lr_scheduler.step.*|.*pin_memory.*|.*isinstance.*")
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # DDP copies a few small gradients: harmless


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Set PyTorch's precision of float32 matrix products inside; restore it afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _hush_lightning() -> None:
    """Keep the Trainer's notes on devices and its advertisements from the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def check_shares(run: RunConfig, processes: int) -> None:
    """Raise ``TagsegError`` unless each process, and each of its accumulated parts, gets equally many images.

    With unequal shares the mean over processes would not be that of the batch, and some images would be left out. Other
    strategies than DDP exchange gradients in ways that parts would break.
    """
    parts = processes * run.accumulate
    if run.batch % parts:
        by = f"{processes} processes" + (f" of {run.accumulate} accumulated parts each" if run.accumulate > 1 else "")
        raise TagsegError(
            f"run.batch is {run.batch}, expected a multiple of {parts} ({by}): change --run.batch or --run.devices"
        )
    if run.accumulate > 1 and not run.strategy.startswith(("auto", "ddp")):
        raise TagsegError(
            f"run.strategy is {run.strategy}, expected auto or ddp where a batch is taken in parts: leave out "
            "--run.strategy or --run.accumulate"
        )

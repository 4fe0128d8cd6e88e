"""Lightning around the training step: Trainer, loaders, loggers."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from tagseg.config import Config, RunConfig, step_of
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import score_loader, training_loader
from tagseg.errors import TagsegError, list_some
from tagseg.training.callbacks import ExportNetworks, Progress, checkpoints
from tagseg.training.first_labels import first_labels
from tagseg.training.module import FSR
from tagseg.training.processes import check_shares, left_alone


class Data(LightningDataModule):
    """The two loaders; which images a step sees depends on the step alone, so a resumed run goes on as if unbroken."""

    def __init__(self, config: Config, training: TaggedImages, scored: TaggedImages | None) -> None:
        super().__init__()
        self.config, self.training, self.scored = config, training, scored

    def train_dataloader(self) -> Any:
        """An endless loader that begins with the trainer's current step."""
        trainer = self._trainer()
        part = (trainer.global_rank, trainer.world_size)
        return training_loader(self.training, self.config, trainer.global_step, part)

    def val_dataloader(self) -> Any:
        """The images with masks; none where there are none."""
        trainer = self._trainer()
        return score_loader(self.scored, self.config, (trainer.global_rank, trainer.world_size)) if self.scored else []

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
    seed_everything(config.run.seed, workers=False, verbose=False)
    module, folder = FSR(config, training.classes), Path(config.run.output)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    _hush_lightning()
    trainer = make_trainer(config, folder, scored is not None, callbacks)
    check_shares(config.run, trainer.world_size)
    _run(trainer, module, Data(config, training, scored), checkpoint, folder)
    return trainer


def _run(trainer: Trainer, module: FSR, data: Data, checkpoint: Path | None, folder: Path) -> None:
    try:
        if module.config.labels.source == "border":
            device = trainer.strategy.root_device
            keep = checkpoint is not None or trainer.global_rank > 0  # the first usually starts the others after
            data.training = first_labels(module.student, data.training, module.config, folder / "labels", device, keep)
        if checkpoint is None and module.config.optimiser.fit_classifiers:
            module.fit_classifiers(data.training, trainer.strategy.root_device)
        with warnings.catch_warnings():
            _quiet_lightning()
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        trainer.strategy.barrier()  # the first process still writes the networks that the others are going to look for
    except SystemExit as stop:  # Lightning's answer to Ctrl-C, after its callbacks saved the state
        raise KeyboardInterrupt(f"stopped at step {trainer.global_step}: go on with --resume {folder}") from stop
    except TagsegError as error:
        raise _one_line(error) from error
    except RuntimeError as error:
        if not left_alone(error):
            raise
        said = shorten(str(error), 160)
        raise TagsegError(f"lost another process of this training; it says why itself ({said})") from error
    except OSError as error:
        raise TagsegError(
            f"{folder}: could not be written ({error}); the previous checkpoint is kept: free some space and go on "
            f"with --resume {folder}"
        ) from error


def check_checkpoint(path: Path, module: FSR) -> None:
    """Raise ``TagsegError`` unless a file holds the state of a training of this network and these classes."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = checkpoint["state_dict"]
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


def make_trainer(config: Config, folder: Path, scored: bool, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Lightning's Trainer for a configuration; ``scored`` says whether there are masks to validate with."""
    run = config.run
    every = max(1, step_of(run.validate_every, run.steps))
    return Trainer(
        accelerator=run.accelerator,
        devices=run.devices,
        num_nodes=run.nodes,
        strategy=strategy_for(run),
        precision=run.precision,  # type: ignore[arg-type]
        max_steps=run.steps,
        accumulate_grad_batches=run.accumulate,
        val_check_interval=every * run.accumulate if scored else None,
        check_val_every_n_epoch=None,
        limit_val_batches=None if scored else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=run.log_every,
        logger=_loggers(config, folder),
        callbacks=[Progress(), ExportNetworks(folder), *checkpoints(folder, every, scored), *callbacks],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def strategy_for(run: RunConfig) -> str | Strategy:
    """Lightning's strategy: as asked for by name, else for several processes one that exchanges only gradients."""
    if run.strategy != "auto" or _alone(run):
        return run.strategy
    return DDPStrategy(
        find_unused_parameters=True,  # the decoder gets no gradient before L_seg starts
        broadcast_buffers=False,  # the only ones, the centres, are averaged over the processes where they change
        gradient_as_bucket_view=True,  # no second copy of the gradients
    )


def _alone(run: RunConfig) -> bool:
    """Whether the settings ask for one process."""
    if run.devices in ("auto", -1, "-1"):
        devices = 1 if run.accelerator == "cpu" else torch.cuda.device_count()
        return run.nodes == 1 and devices <= 1
    return run.nodes == 1 and run.devices in (1, "1")


def _loggers(config: Config, folder: Path) -> list[Logger]:
    """TensorBoard (or what was asked for) and always a CSV file that a person can open."""
    kind = config.run.logger
    logs = folder / "logs"
    number = len(list(logs.glob("part_*"))) if logs.exists() else 0
    loggers: list[Logger] = []
    if kind != "none":
        loggers.append(CSVLogger(folder, name="logs", version=f"part_{number}"))
    if kind == "tensorboard":
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    elif kind == "wandb":
        try:
            from lightning.pytorch.loggers import WandbLogger

            loggers.append(WandbLogger(project="tagseg", save_dir=folder))
        except ModuleNotFoundError as error:
            raise TagsegError("--run.logger wandb needs the package wandb: install it, or use tensorboard") from error
    return loggers


def _one_line(error: TagsegError) -> TagsegError:
    """A loader process wraps its error in its traceback: keep the line that says what is wrong."""
    last = re.split(r"TagsegError: ", str(error))[-1].strip().splitlines()
    return TagsegError(last[0] if last else str(error))


def _quiet_lightning() -> None:
    """Hide advice that does not apply: workers, loggers and an endless loader are chosen on purpose."""
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*torch.jit.*|.*lr_scheduler.step.*|.*pin_memory.*|.*isinstance.*")
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # DDP copies a few small gradients: harmless
    torch.set_float32_matmul_precision("high")


def _hush_lightning() -> None:
    """Keep what the Trainer says of devices, and its advertisements, from the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)

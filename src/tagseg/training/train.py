"""From tagged images to a trained network: ``tagseg train`` and ``tagseg.train``."""

from __future__ import annotations

import dataclasses
import logging
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from tagseg.config import Config, step_of
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import score_loader, training_loader
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import find_network
from tagseg.training.callbacks import ExportNetworks, Progress, checkpoints
from tagseg.training.module import FSR

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves.

    Attributes:
        folder: the run: ``config.yaml``, ``last.ckpt``, ``best.ckpt``, ``logs``.
        network: the file to predict with, the best if masks were there to score with, else the last.
        steps: optimiser steps done.
        scores: of the last validation, 0 to 1, e.g. ``val/student/segmentation``; empty where nothing was scored.
    """

    folder: Path
    network: Path
    steps: int
    scores: dict[str, float]


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


def train(config: Config, resume: Path | str | None = None, callbacks: Sequence[Callback] = ()) -> TrainResult:
    """Train on tags.

    Args:
        config: the resolved configuration, e.g. of ``tagseg.presets``.
        resume: a run folder or a ``.ckpt`` file to go on from.
        callbacks: Lightning callbacks of your own.

    Returns:
        Where everything is, and the last scores.

    Raises:
        TagsegError: bad data or settings, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by the user; ``last.ckpt`` holds the state.
    """
    checkpoint = _checkpoint_of(resume)
    folder = Path(config.run.output)
    if checkpoint is None and (folder / "last.ckpt").exists():
        raise TagsegError(
            f"{folder} already holds a training: resume it with --resume {folder}, or choose another --run.output"
        )
    training = sources.load(config.data, config.data.train_split, masks=False)
    scored = _scored_images(config, training)
    _say_what_is_trained(config, training, scored)
    seed_everything(config.run.seed, workers=False, verbose=False)
    module = FSR(config, training.classes)
    save_config(config, folder)
    trainer = make_trainer(config, folder, scored is not None, callbacks)
    _fit(trainer, module, Data(config, training, scored), checkpoint, folder)
    scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainResult(folder, find_network(folder), trainer.global_step, scores)


def _fit(trainer: Trainer, module: FSR, data: Data, checkpoint: Path | None, folder: Path) -> None:
    try:
        with warnings.catch_warnings():
            _quiet_lightning()
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C, after its callbacks saved the state
        raise KeyboardInterrupt(f"stopped at step {trainer.global_step}: go on with --resume {folder}") from stop
    except TagsegError as error:
        raise _one_line(error) from error
    except OSError as error:
        raise TagsegError(
            f"{folder}: could not be written ({error}); the previous checkpoint is kept: free some space and go on "
            f"with --resume {folder}"
        ) from error


def make_trainer(config: Config, folder: Path, scored: bool, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Lightning's Trainer for a configuration; ``scored`` says whether there are masks to validate with."""
    run = config.run
    every = max(1, step_of(run.validate_every, run.steps))
    strategy = run.strategy
    if strategy == "auto" and run.devices not in (1, "1", "auto"):
        strategy = "ddp_find_unused_parameters_true"  # the decoder gets no gradient before L_seg starts
    return Trainer(
        accelerator=run.accelerator,
        devices=run.devices,
        num_nodes=run.nodes,
        strategy=strategy,
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


def _scored_images(config: Config, training: TaggedImages) -> TaggedImages | None:
    """The validation images that have masks, ``None`` where there are none."""
    if not config.data.val_split or config.run.validate_every == 0:
        return None
    scored = sources.load(config.data, config.data.val_split).with_masks()
    if not scored.samples:
        logger.warning("%s: no masks, so nothing is scored while training", scored.source)
        return None
    if scored.classes != training.classes:
        raise TagsegError(
            f"{scored.source} has {len(scored.classes)} classes, {training.source} {len(training.classes)}: "
            "give both the same list with --data.classes"
        )
    return scored


def _say_what_is_trained(config: Config, training: TaggedImages, scored: TaggedImages | None) -> None:
    if not len(training):
        raise TagsegError(f"{training.source}: no images to train on, expected at least one")
    empty = sum(not sample.tags for sample in training.samples)
    background = f", {empty} without tags (all background)" if empty else ""
    logger.info(
        "training on the tags of %d images (%s; tags from %s)%s, %d classes, %s",
        len(training), training.source, training.tags_from, background, len(training.classes),
        f"scoring {len(scored)} images ({scored.source})" if scored else "scoring nothing",
    )  # fmt: skip


def save_config(config: Config, folder: Path) -> None:
    """Write the resolved configuration as ``config.yaml``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise TagsegError(f"{folder}: cannot be written ({error}): choose another --run.output") from error


def _plain(value: Any) -> Any:
    """Tuples to lists, which YAML can hold."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _checkpoint_of(resume: Path | str | None) -> Path | None:
    if resume is None:
        return None
    path = Path(resume)
    path = path / "last.ckpt" if path.is_dir() else path
    if not path.is_file():
        raise TagsegError(f"{path}: no checkpoint to resume from, expected a run folder with last.ckpt or a .ckpt file")
    return path


def _one_line(error: TagsegError) -> TagsegError:
    """A loader process wraps its error in its traceback: keep the line that says what is wrong."""
    last = re.split(r"TagsegError: ", str(error))[-1].strip().splitlines()
    return TagsegError(last[0] if last else str(error))


def _quiet_lightning() -> None:
    """Hide advice that does not apply: workers, loggers and an endless loader are chosen on purpose."""
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*torch.jit.*|.*lr_scheduler.step.*|.*pin_memory.*|.*isinstance.*")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_float32_matmul_precision("high")

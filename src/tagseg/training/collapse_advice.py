"""What a collapsed training is advised, by its method, encoder and rate."""

from __future__ import annotations

from tagseg.config import Config
from tagseg.data.palette import label_names
from tagseg.methods.method import Method
from tagseg.training.collapse import Watch
from tagseg.training.rates import family_of, with_rates

HARMLESS = (
    "harmless, as with the published temperatures in every run, but the distillation then teaches nothing: "
    "--mask.choice none saves its time, --beyond.teacher_sharpness 1.5 sharpens them"
)


def watch_of(config: Config, method: Method) -> Watch | None:
    """The watch over a training; ``None`` where the configuration wants none."""
    if config.run.collapse == "off":
        return None
    return Watch(
        config.run.steps,
        config.run.batch,
        label_names(method.trained.classes),
        config.network.prototypes,
        stop=config.run.collapse == "stop",
        cause=advice(config, method),
        harmless=HARMLESS,
    )


def advice(config: Config, method: Method) -> str:
    """The likely cause of a collapse, what to change, and how to go on nevertheless; part of a line."""
    encoder = config.network.encoder
    rate, family = with_rates(method.optimiser, encoder).rate, family_of(encoder)
    if rate > family.rate:
        cause = f"optimiser.rate {rate:g} is probably too high for {encoder}"
        change = f"lower it (--optimiser.rate {family.rate:g} is usual for {family.name})"
    else:
        cause = f"optimiser.rate {rate:g} may be too high"
        change = f"lower it (--optimiser.rate {rate / 10:g})"
    frozen = "" if config.method.NAME == "frozen" else ", or keep the encoder as it is with --method frozen"
    go_on = f"; --resume {config.run.output} --run.collapse warn goes on" if config.run.collapse == "stop" else ""
    return f"{cause}: {change}{frozen}{go_on}"

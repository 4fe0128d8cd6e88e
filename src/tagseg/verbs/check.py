"""``tagseg check``."""

from __future__ import annotations

import argparse
import dataclasses

from tagseg.terminal import say, say_json
from tagseg.verbs.parser import flat, instantiate, make_parser, photos_as_flag, switches

_READ = (
    *("network.encoder", "network.encoder_options", "network.weights", "network.aux_layer", "network.mean"),
    *("network.std", "features.size", "features.folder"),
)
"""Settings of the encoder that features depend on."""


def run(arguments: list[str]) -> int:
    """Run the verb; 1 if something was found that needs a person."""
    from tagseg.check.check import check
    from tagseg.check.config import SuspiciousConfig
    from tagseg.data.config import DataConfig
    from tagseg.frozen.config import FeatureConfig
    from tagseg.model.config import NetworkConfig
    from tagseg.presets import frozen

    parser = make_parser(
        "check",
        "Look for what would stop a training or spoil its result, before it: in photos, tags, splits and masks. PHOTOS "
        "is short for --data.root PHOTOS. Exit code 1 if something needs a person.",
        "[PHOTOS] [--json] [--strict] [--suspicious] [--data.KEY VALUE ...]",
    )
    parser.add_argument("--json", type=bool, default=False, help="print JSON instead of a table (docs/check.md)")
    parser.add_argument("--strict", type=bool, default=False, help="exit with 1 after warnings too")
    parser.add_argument(
        "--suspicious", type=bool, default=False, help="also draw photos whose tags a linear model doubts (minutes)"
    )
    parser.add_argument("--output", type=str, default="check", help="folder of that drawing and its table")
    parser.add_class_arguments(DataConfig, "data")
    parser.add_class_arguments(NetworkConfig, "network")
    parser.add_class_arguments(FeatureConfig, "features")
    parser.set_defaults(flat({"network": dataclasses.asdict(frozen().network)}))
    for action in parser._actions:
        if action.dest.startswith(("network.", "features.")) and action.dest not in _READ:
            action.help = argparse.SUPPRESS
    values = instantiate(parser, parser.parse_args(photos_as_flag(switches(arguments, parser), parser)))
    suspicious = SuspiciousConfig(values.network, values.features, values.output) if values.suspicious else None
    result = check(values.data, suspicious)
    if values.json:
        say_json(result.as_json(values.strict))
    else:
        say(result.as_text())
    return result.exit_code(values.strict)

"""Settings of the network: encoder, aggregation, heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tagseg.settings import AtLeastOne, AtLeastTwo, Count, FromTheEnd, Options, Section, Share


@dataclass(frozen=True)
class NetworkConfig(Section):
    """The network (section 1 of docs/method.md): encoder, aggregation, heads."""

    SECTION: ClassVar[str] = "network"

    encoder: str = "vit_base_patch16_224.augreg_in21k_ft_in1k"
    """Name of a ViT in timm; docs/encoders.md recommends some."""
    weights: str = "hub"
    """Pretrained weights of the encoder: ``hub`` (timm downloads them), ``none`` (random), or the path of a
    ``.safetensors`` or ``.pth`` file with timm's names."""
    encoder_options: Options = field(default_factory=dict)
    """Keyword arguments for ``timm.create_model``, e.g. ``{"depth": 4, "embed_dim": 48}``."""
    start: str = ""
    """A run folder or ``.safetensors`` file of tagseg whose weights the whole network starts from, in place of
    ``weights``; its classes and network settings must be the same."""
    drop_path: Share = 0.1
    """Drop path rate of the last block; it grows linearly with depth."""
    aux_layer: FromTheEnd = -3
    """Block whose output feeds the auxiliary classifier, counted from the end (-3: the 10th of 12)."""
    aggregation: Literal["attention", "average", "max"] = "attention"
    """How patch tokens become the global token: the paper's multi-token cross-attention, average or max pooling."""
    aggregation_depth: Count = 2
    """Number of cross-attention blocks."""
    decoder: Literal["largefov", "conv"] = "largefov"
    """``largefov``: the paper's, on the final map; ``conv``: one 3×3 convolution on final and auxiliary map, which the
    method ``frozen`` uses."""
    tag_prior: bool = False
    """Make classes that the photo as a whole seems not to show less likely at each patch; for the decoder ``conv``."""
    decoder_width: AtLeastOne = 512
    """Channels of the decoder."""
    decoder_dilation: AtLeastOne = 5
    """Dilation of LargeFOV's two 3×3 convolutions."""
    projector_width: AtLeastOne = 2048
    """Hidden width of the projector."""
    projector_bottleneck: AtLeastOne = 256
    """Width before the projector's last layer."""
    prototypes: AtLeastTwo = 4096
    """P, number of outputs of the projector."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel, subtracted from an image in [0, 1]; ImageNet's, as in the paper, for every encoder. Where the
    weights were trained with others, a warning names them."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Per channel, divides it."""

    def __post_init__(self) -> None:
        """Check the fields and that the tag prior has the decoder it is for."""
        super().__post_init__()
        if self.tag_prior and self.decoder != "conv":
            self.refuse("tag_prior", self.tag_prior, "false, or network.decoder conv")

"""Settings of the data: where images, tags and masks are, and how views are sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tagseg.settings import AtLeastOne, Count, Options, Pixels, Section, Share


@dataclass(frozen=True)
class DataConfig(Section):
    """Where images, image-level labels (tags) and, for scoring, ground-truth masks are."""

    SECTION: ClassVar[str] = "data"

    source: str = "folder"
    """Layout of the data: ``folder`` (with a tag file, or any other that is found in it), ``class_folders``, ``voc``,
    ``coco``, ``label_studio``, ``cvat``, ``hugging_face``, ``labelme``, ``fiftyone``, ``scenes`` (draws its own), or
    one that was added to ``data.sources.SOURCES``."""
    root: str = "."
    """The data's folder."""
    train_split: str = "train"
    """Training split; only its tags are read."""
    val_split: str = "val"
    """Validation split; the empty string scores nothing."""
    val_share: Share = 0.0
    """Share of the training images that is held back for validation, in place of the data's own validation split: with
    each tag in proportion, near-duplicates on one side, and the same images each time. 0: splits are those of the data;
    ``folder``: without any, a fifth of the images with a mask is held back."""
    split_seed: Count = 0
    """Chooses among the splits that ``val_share`` can give."""
    splits: str = ""
    """A CSV file with the columns ``image`` and ``split`` that divides the training images; ``none``: no file."""
    tags: str = "auto"
    """Where tags come from. folder: a CSV or JSON file (``auto`` finds ``labels.csv``, ``tags.csv`` or their
    ``.jsonl``, ``.json``, ``.tsv``). voc: ``auto``, ``xml``, ``masks``, a ``.npy`` or a CSV file. coco: ``auto``, or
    the JSON file. Annotation tools: their export, or the folder of labelme's files."""
    images: str = "auto"
    """Folder of the images, relative to the root; ``auto`` finds it."""
    masks: str = "auto"
    """Folder of the masks, relative to the root; ``auto`` finds it, ``none`` ignores them."""
    colours: str = "auto"
    """What the colours of masks mean: a file of names and colours such as CVAT's ``labelmap.txt``, which ``auto``
    finds; ``ids``: nothing, palette indices are class ids even where the palette looks re-sorted."""
    classes: str | tuple[str, ...] = ()
    """Class names, as a list or ``cat,dog``, or a file with one name on each line; empty: from the data."""
    class_map: str | Options = "auto"
    """Which classes of the data become which of the network, in what order and colour: a YAML file, or the map itself;
    ``auto`` finds ``class_map.yaml`` in the data's folder, ``none`` takes none."""
    column: str = "auto"
    """What holds the tags, where several could: a column of a tag file, or a question of an annotation tool's export
    (also ``tag``, ``flags`` or ``shapes``); ``auto`` finds it."""
    separator: str = "auto"
    """What separates tags in one cell of a tag file: ``auto`` (found out), the character itself, ``space``, ``tab`` or
    ``newline``; ``none``: each cell is one tag."""
    no_tag: str | tuple[str, ...] = ()
    """Tags that mean that no class is in the image, beside ``nan``, ``none`` and the like: ``no finding``. Of class
    folders, names beside ``good``, ``negative`` and the like."""
    outside: Literal["refuse", "allow"] = "refuse"
    """Whether photos and masks may lie outside of the data's folders, where a link or an absolute name in a tag file
    leads: ``refuse`` stops, as a folder of someone else could name any file of this machine."""
    skip_missing: bool = False
    """Leave out images that do not exist instead of raising an error."""
    contradictions: Literal["stop", "warn"] = "stop"
    """Where tags and masks contradict each other in most images: ``stop``, or ``warn`` and go on."""
    crowd: Literal["ignore", "objects"] = "ignore"
    """coco: whether scoring leaves out the pixels of crowd regions (``iscrowd`` 1), or counts them as ``objects``."""
    frame: Literal["auto", "displayed", "stored"] = "auto"
    """Whether masks and outlines were drawn on photos as ``displayed``, with their EXIF rotation, or on the ``stored``
    pixels; ``auto`` takes them as displayed, unless sizes and outlines of COCO's JSON tell otherwise."""
    untagged: bool = True
    """Keep images without tags, which are all background; the published COCO lists omit them."""
    scenes: AtLeastOne = 400
    """Number of training scenes of the ``scenes`` source; there are a quarter as many for validation."""

    def __post_init__(self) -> None:
        """Check the fields; some training images are left."""
        super().__post_init__()
        if self.val_share >= 1:
            self.refuse("val_share", self.val_share, "0 or more and below 1")


@dataclass(frozen=True)
class ViewConfig(Section):
    """How two random views of an image are sampled (section 5 of docs/method.md)."""

    SECTION: ClassVar[str] = "views"

    size: Pixels = 448
    """Side of a view in pixels; a multiple of the encoder's patch size and of ``mask.block``."""
    scale: tuple[float, float] = (0.32, 1.0)
    """Smallest and largest share of the image's area that a random crop covers."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    """Strength of the colour jitter: brightness, contrast, saturation, hue."""
    jitter_probability: Share = 0.5
    """Probability of the colour jitter."""
    blur_probability: Share = 0.0
    """Probability of a Gaussian blur (the paper: changes little)."""
    solarise_probability: Share = 0.0
    """Probability of solarising (the paper: changes little)."""
    local_crops: Count = 0
    """Number of additional small crops for L_cer."""
    local_size: Pixels = 96
    """Side of a local crop in pixels."""
    local_scale: tuple[float, float] = (0.05, 0.32)
    """Smallest and largest share of the image's area that a local crop covers."""
    draft: bool = True
    """Decode a large JPEG at 1/2, 1/4 or 1/8 of its size where that is enough for all its views. Views then differ by
    about a pixel of the reduced image."""
    augment: Literal["loader", "device"] = "loader"
    """Where views are augmented after cropping: image by image in the loader's workers, or a batch at a time on the
    training device. The random draws are the same."""

    def __post_init__(self) -> None:
        """Check the fields and the order of the two scales."""
        super().__post_init__()
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            self.refuse("scale", self.scale, "0 < smallest <= largest <= 1")

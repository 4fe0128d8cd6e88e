"""``tagseg export``."""

from __future__ import annotations

from tagseg.errors import TagsegError
from tagseg.verbs.parser import as_dict, instantiate, make_parser, switches


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.exporting.export import ABOUT, export
    from tagseg.exporting.formats import FORMATS
    from tagseg.exporting.publish import check_repository, publish

    parser = make_parser(
        "export",
        "Write a network for other runtimes (ONNX, torch.export, OpenVINO), preprocessing inside, and compare each "
        "file with the network on photos before it gets its name. The network itself and a model card stand beside.",
        "RUN [--output FOLDER] [--format onnx,torch] [--size N | --dynamic] [--photos PHOTOS ...] "
        "[--publish OWNER/NAME] [--KEY VALUE ...]",
    )
    parser.add_argument("model", type=str, help="run folder or .safetensors file")
    parser.add_argument("--output", type=str, default="export", help="folder for the files")
    parser.add_argument("--format", type=str, default="onnx", help=f"one or more of {', '.join(FORMATS)}")
    parser.add_argument("--photos", type=str, nargs="+", help="photos to compare on; default: photos of the run")
    parser.add_function_arguments(export, skip={"model", "output", "format", "photos"})
    parser.add_argument("--publish", type=str, help="upload the folder to this Hugging Face hub repository, OWNER/NAME")
    parser.add_argument("--private", type=bool, default=False, help="make that repository a private one")
    values = as_dict(instantiate(parser, parser.parse_args(switches(arguments, parser))))
    repository, private = values.pop("publish"), values.pop("private")
    if private and repository is None:
        raise TagsegError("private is for a repository and none is given: set --publish OWNER/NAME, or leave it out")
    if repository is not None:
        repository = check_repository(repository)
    result = export(values.pop("model"), **values)
    print(result.summary())
    print(f"input, classes and parity: {result.folder / ABOUT}")
    if repository is not None:
        print(f"published: tagseg.load({publish(result.folder, repository, private=private)!r})")

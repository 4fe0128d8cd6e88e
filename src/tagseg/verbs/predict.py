"""``tagseg predict``."""

from __future__ import annotations

from tagseg.verbs.engine import add_engine, workers_of
from tagseg.verbs.parser import as_dict, instantiate, make_parser, switches


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.inference.predict import predict

    parser = make_parser("predict", "Label every pixel of photos with a trained network. No tags are needed.")
    parser.add_argument("model", type=str, help="run folder, .safetensors file or hf://OWNER/NAME")
    parser.add_argument("images", type=str, nargs="+", help="image files or folders")
    parser.add_argument("--output", type=str, default="predictions", help="folder for the results")
    add_engine(parser)
    parser.add_function_arguments(predict, skip={"model", "images", "output"})
    values = as_dict(instantiate(parser, parser.parse_args(switches(arguments, parser))))
    images = values.pop("images")
    model, photos = values.pop("model"), images[0] if len(images) == 1 else images
    workers = workers_of(values)
    if workers is None:
        done = len(predict(model, photos, **values))
    else:
        from tagseg.scale.predict import predict_on_ray

        done = predict_on_ray(model, photos, workers=workers, **values)
    print(f"{done} images labelled: {values['output']}")

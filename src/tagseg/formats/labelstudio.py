"""Label Studio's tasks with brush regions as predictions, which a person corrects instead of drawing."""

from __future__ import annotations

import json
from typing import ClassVar
from xml.sax.saxutils import quoteattr

from tagseg.files import replacing
from tagseg.formats.brush import encode_brush
from tagseg.formats.format import LabelledPhoto, Plan, file_name, quoted
from tagseg.formats.spool import Spool


class LabelStudio:
    """``labelstudio.json``: a task for each photo, a brush region for each class; ``.xml``: the interface."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("labelstudio.json", "labelstudio.xml")
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._spool = Spool(plan.output)

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Keep a photo's task."""
        settings, position = self._plan.settings, self._plan.position[name]
        height, width = photo.mask.shape
        regions = [
            {
                "id": f"tagseg-{position + 1}-{label}",
                "type": "brushlabels",
                "from_name": settings.from_name,
                "to_name": settings.to_name,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": encode_brush(region),
                    "brushlabels": [self._plan.names[label]],
                },
            }
            for label, region in self._plan.regions(photo)
        ]
        address = settings.url_prefix + quoted(file_name(photo, name))
        task = {
            "data": {settings.to_name: address},
            "predictions": [{"model_version": "tagseg", "result": regions}],
        }
        self._spool.add(position, json.dumps(task, separators=(",", ":")))

    def close(self) -> None:
        """Write both files, if there is a photo."""
        if len(self._spool):
            with replacing(self._plan.output / "labelstudio.json") as temporary, temporary.open("w") as file:
                for index, (_, task) in enumerate(self._spool):
                    file.write(("[" if index == 0 else ",\n") + task)
                file.write("]\n")
            with replacing(self._plan.output / "labelstudio.xml") as temporary:
                temporary.write_text(self._interface(), encoding="utf-8")
        self._spool.close()

    def _interface(self) -> str:
        settings = self._plan.settings
        lines = [
            "<View>",
            f'  <Image name="{settings.to_name}" value="${settings.to_name}" zoom="true" zoomControl="true"/>',
            f'  <BrushLabels name="{settings.from_name}" toName="{settings.to_name}">',
            *(
                f'    <Label value={quoteattr(name)} background="#{bytes(self._plan.colours[label]).hex()}"/>'
                for label, name in self._plan.classes.items()
            ),
            "  </BrushLabels>",
            "</View>",
        ]
        return "\n".join(lines) + "\n"

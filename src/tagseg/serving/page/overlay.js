// A label map drawn on a canvas; labels without a colour stay clear.

/** Pixels of a canvas at most: larger maps are thinned out, as no screen shows more. */
const LARGEST = 4e6;

/** How much of white is in the line around a region, so that it is seen on dark photos too. */
const LIGHT = 0.7;

/** The colour of each label as canvas pixels, mixed with `white` (0 to 1). */
function lookup(colours, white) {
  const table = new Uint32Array(256);
  const asBytes = new Uint8Array(table.buffer);
  for (const [label, colour] of colours) {
    const value = Number.parseInt(colour.slice(1), 16);
    const mixed = [value >> 16, (value >> 8) & 255, value & 255].map((each) => each + white * (255 - each));
    asBytes.set([...mixed, 255], 4 * label);
  }
  return table;
}

/** The map with each step-th pixel of each step-th row. */
function thinned({ width, height, labels }, step) {
  if (step === 1) return { width, height, labels };
  const small = { width: Math.ceil(width / step), height: Math.ceil(height / step) };
  small.labels = new Uint8Array(small.width * small.height);
  for (let y = 0; y < small.height; y++) {
    const row = y * step * width;
    for (let x = 0; x < small.width; x++) small.labels[y * small.width + x] = labels[row + x * step];
  }
  return small;
}

/** Draw `map` ({width, height, labels}) in `colours` (a Map of label → "#rrggbb"), with a light line around regions. */
export function drawLabels(canvas, map, colours, largest = LARGEST) {
  const step = Math.max(1, Math.ceil(Math.sqrt((map.width * map.height) / largest)));
  const { width, height, labels } = thinned(map, step);
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [inside, line] = [lookup(colours, 0), lookup(colours, LIGHT)];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const label = labels[at];
      if (!inside[label]) continue;
      const edge =
        (x && labels[at - 1] !== label) ||
        (x + 1 < width && labels[at + 1] !== label) ||
        (y && labels[at - width] !== label) ||
        (y + 1 < height && labels[at + width] !== label);
      pixels[at] = (edge ? line : inside)[label];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Label maps from palette PNGs: the labels themselves, which a canvas would not give back (it knows colours alone).

const SIGNATURE = 8;

async function inflate(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Undoes PNG's row filters; samples are of one byte or less, so the left neighbour is the byte before. */
function unfilter(raw, rowBytes, height) {
  const rows = new Uint8Array(rowBytes * height);
  for (let y = 0; y < height; y++) {
    const kind = raw[y * (rowBytes + 1)];
    const from = y * (rowBytes + 1) + 1;
    const to = y * rowBytes;
    if (kind === 0) {
      rows.set(raw.subarray(from, from + rowBytes), to);
      continue;
    }
    for (let x = 0; x < rowBytes; x++) {
      const left = x ? rows[to + x - 1] : 0;
      const up = y ? rows[to + x - rowBytes] : 0;
      const corner = x && y ? rows[to + x - rowBytes - 1] : 0;
      const add = kind === 1 ? left : kind === 2 ? up : kind === 3 ? (left + up) >> 1 : paeth(left, up, corner);
      rows[to + x] = raw[from + x] + add;
    }
  }
  return rows;
}

function unpack(rows, width, height, depth) {
  if (depth === 8) return rows;
  const [rowBytes, mask] = [Math.ceil((width * depth) / 8), (1 << depth) - 1];
  const labels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      labels[y * width + x] = (rows[y * rowBytes + (bit >> 3)] >> (8 - depth - (bit & 7))) & mask;
    }
  }
  return labels;
}

/** ArrayBuffer of a PNG with one sample a pixel of up to 8 bits → {width, height, labels}, row by row. */
export async function decodeLabels(buffer) {
  const view = new DataView(buffer);
  const parts = [];
  let header = null;
  for (let at = SIGNATURE; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at);
    const kind = String.fromCharCode(...new Uint8Array(buffer, at + 4, 4));
    if (kind === "IHDR") {
      const [depth, colour, , , interlaced] = new Uint8Array(buffer, at + 16, 5);
      header = { width: view.getUint32(at + 8), height: view.getUint32(at + 12), depth, colour, interlaced };
    } else if (kind === "IDAT") {
      parts.push(new Uint8Array(buffer, at + 8, size));
    }
    at += size + 12;
  }
  if (!header || header.depth > 8 || ![0, 3].includes(header.colour) || header.interlaced) {
    throw new Error("the server sent a mask that is no palette PNG");
  }
  const { width, height, depth } = header;
  const rows = unfilter(await inflate(parts), Math.ceil((width * depth) / 8), height);
  return { width, height, labels: unpack(rows, width, height, depth) };
}

/* From numbers to colours, as hw_xai.show.frame.normalize and colours do it. */

let tables = null;
export function setTables(given) {
  tables = given;
}

function percentile(sorted, percent) {
  const place = (percent / 100) * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/* the values at which the colours end */
export function limits(values, percent, signed) {
  if (signed) {
    const strength = Float64Array.from(values, Math.abs).sort();
    const high = percentile(strength, percent) || strength[strength.length - 1];
    return [-high, high];
  }
  const sorted = Float64Array.from(values).sort();
  const [low, high] = [percentile(sorted, 100 - percent), percentile(sorted, percent)];
  return low < high ? [low, high] : [sorted[0], sorted[sorted.length - 1]];
}

/* a level of the colour table, 0 to 254, for each value */
export function levels(values, [low, high], signed) {
  const most = tables.signed.length - 1;
  return Uint8Array.from(values, (value) => {
    if (low === high) return signed ? most / 2 : 0;
    const unit = signed ? (Math.min(1, Math.max(-1, value / high)) + 1) / 2 : (value - low) / (high - low);
    return Math.round(Math.min(1, Math.max(0, unit)) * most);
  });
}

/* draw a map {values, shape, signed} on a canvas of its own size; the page stretches it */
export function drawMap(canvas, map, { percent, absolute }) {
  const signed = map.signed && !absolute;
  const values = absolute && map.signed ? map.values.map(Math.abs) : map.values;
  const [height, width] = map.shape;
  const table = signed ? tables.signed : tables.unsigned;
  const pixels = new ImageData(width, height);
  levels(values, limits(values, percent, signed), signed).forEach((level, i) => pixels.data.set(table[level], 4 * i));
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return signed;
}

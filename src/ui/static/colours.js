// One colour a service: the same on every page as far as services on one page do not collide.

// Told apart by hue and, for those who see fewer hues, by lightness of neighbours; legible on light and dark.
const palette = [
  '#2b7de9',
  '#d9822b',
  '#1f9d78',
  '#b45bcf',
  '#b8a100',
  '#d4477e',
  '#17a2b8',
  '#8b6d4f',
  '#6a6ff0',
  '#5f9e2f',
  '#e06c50',
  '#3c8f9c',
  '#a0528d',
  '#7d8ea3',
  '#c28f2c',
  '#4f7f6d',
];

/** A colour for each of the services, by a hash of the name; the next free one when that is taken. */
export function serviceColours(services) {
  const colours = new Map();
  const taken = new Set();
  for (const service of [...new Set(services)].sort()) {
    let index = hash(service) % palette.length;
    for (let tries = 0; taken.has(index) && tries < palette.length; tries++) index = (index + 1) % palette.length;
    taken.add(index);
    colours.set(service, palette[index]);
  }
  return colours;
}

/** FNV-1a. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}

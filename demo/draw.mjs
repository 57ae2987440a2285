// @ts-check
// Chance without a running generator: a draw depends only on what it is for. So two choosers meet exactly the same person
// and the same days, however differently they choose, and their reward curves can be compared.

/** Uniform in [0, 1). @param {...(string | number)} what names the draw @returns {number} */
export function draw(...what) {
  // FNV-1a over the text, then Murmur3's finaliser to spread what is alike.
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(what.join('\u0000'))) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

/** Normal with mean 0 and deviation 1 (Box–Muller). @param {...(string | number)} what */
export function drawNormal(...what) {
  const radius = Math.sqrt(-2 * Math.log(1 - draw(...what, 'radius')))
  return radius * Math.cos(2 * Math.PI * draw(...what, 'angle'))
}

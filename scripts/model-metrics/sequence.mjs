// @ts-check
// A running generator of random numbers for what is drawn in bulk. The demo's named draws cost a hash each; this one costs a
// hash a person.
import { draw } from '../../demo/draw.mjs'

/** @typedef {ReturnType<typeof sequence>} Sequence */

/** SplitMix32. @param {...(string | number)} name the same name, the same numbers */
export function sequence(...name) {
  let state = Math.floor(draw(...name) * 2 ** 32)
  const uniform = () => {
    state = (state + 0x9e3779b9) | 0
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97)
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32
  }
  return {
    /** Uniform in [0, 1). */
    uniform,
    /** Normal (Box–Muller). @param {number} middle @param {number} spread */
    normal: (middle, spread) => middle + spread * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    /** A whole number from `least` on. @param {number} least @param {number} choices how many there are */
    whole: (least, choices) => least + Math.floor(choices * uniform()),
  }
}

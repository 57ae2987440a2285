// @ts-check
// Makes the learning step of `pure-js-expert` for one dimension: straight-line code without a loop, an index computation or
// a load that is done twice. Source text made and compiled once at start-up, as fast JavaScript does where loops are short
// and their length is known.

/**
 * On a block of packed numbers `θ, A⁻¹, A, b` it does A += xxᵀ, b += r·x, keeps A⁻¹ by Sherman and Morrison
 * (A⁻¹ −= kkᵀ / (1 + xᵀk) with k = A⁻¹x) and θ along with it (θ += k · (r − θ·x) / (1 + xᵀk)).
 * @param {number} d @param {number} theta where in the block θ starts @param {boolean} sums whether the block has A and b
 * @returns {(data: Float64Array, at: number, x: Float64Array, reward: number) => void}
 */
export function compileLearn(d, theta, sums) {
  const axis = Array.from({ length: d }, (_, i) => i)
  const pairs = axis.flatMap((i) => axis.slice(i).map((j) => /** @type {const} */ ([i, j])))
  const inverse = theta + d
  const A = inverse + pairs.length
  const b = A + pairs.length
  /** @param {number} i @param {number} j */
  const place = (i, j) => pairs.findIndex(([row, column]) => row === Math.min(i, j) && column === Math.max(i, j))
  const lines = [
    ...axis.map((i) => `const x${i} = x[${i}], t${i} = data[at + ${theta + i}]`),
    ...pairs.map((_, k) => `const p${k} = data[at + ${inverse + k}]`),
    ...axis.map((i) => `const k${i} = ${axis.map((j) => `p${place(i, j)} * x${j}`).join(' + ')}`),
    `const scale = 1 / (1 + ${axis.map((i) => `x${i} * k${i}`).join(' + ')})`,
    `const step = (reward - (${axis.map((i) => `t${i} * x${i}`).join(' + ')})) * scale`,
    ...axis.map((i) => `const f${i} = k${i} * scale`),
    ...axis.map((i) => `data[at + ${theta + i}] = t${i} + step * k${i}`),
    ...pairs.map(([i, j], k) => `data[at + ${inverse + k}] = p${k} - f${i} * k${j}`),
    ...(sums ? pairs.map(([i, j], k) => `data[at + ${A + k}] += x${i} * x${j}`) : []),
    ...(sums ? axis.map((i) => `data[at + ${b + i}] += reward * x${i}`) : []),
  ]
  return /** @type {any} */ (new Function('data', 'at', 'x', 'reward', lines.join('\n')))
}

// Which key was likely meant by one that there is not. By hand: a library would be a dependency at run time for one function, which only
// runs on what is wrong, and none knows that `hour` means `hourOfDay`.

/** Longer ones are nobody's misspelling. */
const LONGEST = 64
/** Shorter parts of a name say too little. */
const SHORTEST_PART = 3

/** The one of `names` that was likely meant by `key`, if one was: written in another way, mistyped, or only a part of its words. */
export function likelyKey(key: string, names: readonly string[]): string | undefined {
  if (key.length > LONGEST) return undefined
  return inAnotherWay(key, names) ?? mistyped(key, names) ?? inPart(key, names)
}

/** `is_overdue`, `ISOVERDUE`, `is-overdue`: the same letters and digits. */
export function inAnotherWay(key: string, names: readonly string[]): string | undefined {
  const letters = lettersOf(key)
  return names.find((name) => lettersOf(name) === letters)
}

function mistyped(key: string, names: readonly string[]): string | undefined {
  const letters = lettersOf(key)
  let [likely, least]: [string | undefined, number] = [undefined, Infinity]
  for (const name of names) {
    const distance = distanceOf(letters, lettersOf(name))
    if (distance < least && distance <= mistakes(Math.max(letters.length, lettersOf(name).length))) [likely, least] = [name, distance]
  }
  return likely
}

/** How many mistakes a word of so many letters may have and be recognised. */
function mistakes(letters: number): number {
  if (letters <= 3) return 0
  if (letters <= 5) return 1
  return letters < 10 ? 2 : 3
}

/** `hour` for `hourOfDay`, `overdue` for `isOverdue`, `abortSignal` for `signal`: nothing where it could be several. */
function inPart(key: string, names: readonly string[]): string | undefined {
  const said = wordsOf(key)
  const only = (is: (name: readonly string[]) => boolean): string | undefined => {
    const found = names.filter((name) => is(wordsOf(name)))
    return found.length === 1 ? found[0] : undefined
  }
  return only((name) => placeOf(said, name) === 0) ?? only((name) => placeOf(said, name) > 0) ?? only((name) => placeOf(name, said) >= 0)
}

/** Where `part` stands in `whole`, word by word; -1: nowhere, or it says too little. */
function placeOf(part: readonly string[], whole: readonly string[]): number {
  if (part.join('').length < SHORTEST_PART) return -1
  return whole.findIndex((_word, at) => at + part.length <= whole.length && part.every((word, i) => whole[at + i] === word))
}

function lettersOf(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
}

function wordsOf(name: string): string[] {
  return (name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+[a-z]*/g) ?? []).map((word) => word.toLowerCase())
}

/** How many letters have to be put in, left out, changed or exchanged with the next one (optimal string alignment). */
function distanceOf(a: string, b: string): number {
  let [before, last, row]: [number[], number[], number[]] = [[], [], Array.from({ length: b.length + 1 }, (_none, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    ;[before, last, row] = [last, row, [i]]
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + Number(a[i - 1] !== b[j - 1]))
      const isExchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isExchanged) row[j] = Math.min(row[j], before[j - 2] + 1)
    }
  }
  return row[b.length]
}

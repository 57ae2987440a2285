// @ts-check
// The demo's one kind of expected failure: a sentence for the person at the terminal and the exit code that goes with it.

/** The input or the surroundings are at fault. */
export const EXIT_FAILURE = 1
/** The command line is at fault. */
export const EXIT_USAGE = 2

/** Printed as one sentence, without a stack. */
export class DemoError extends Error {
  /**
   * @param {string} message
   * @param {number} [exitCode]
   */
  constructor(message, exitCode = EXIT_FAILURE) {
    // It names files and options as they were given, and a terminal obeys what is in them.
    super(message.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`))
    this.name = 'DemoError'
    this.exitCode = exitCode
  }
}

// @ts-check
// From a path to the text of an export, with one clear sentence for each way in which a file can be something else.
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { DemoError } from './demo-error.mjs'

/**
 * @param {string} path
 * @returns {string} the text, still with its byte order mark if it has one
 */
export function readExportFile(path) {
  return decodeExport(readBytes(path), path)
}

/** @param {string} path */
function readBytes(path) {
  try {
    return readFileSync(locate(path))
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new DemoError(`There is no file ${path}.`)
    if (code === 'EISDIR') throw new DemoError(`${path} is a directory; give one of the CSV files in it.`)
    if (code === 'EACCES' || code === 'EPERM') throw new DemoError(`${path} may not be read by this user.`)
    throw new DemoError(`${path} cannot be read: ${(/** @type {Error} */ (error)).message}.`)
  }
}

/** npm runs scripts in the package's directory; a relative path was meant from where the user stood. @param {string} path */
function locate(path) {
  const { INIT_CWD } = process.env
  if (!existsSync(path) && INIT_CWD) return resolve(INIT_CWD, path)
  return path
}

/**
 * @param {Uint8Array} bytes
 * @param {string} path for the message
 */
export function decodeExport(bytes, path) {
  if (bytes.length === 0) throw new DemoError(`${path} is empty.`)
  if (bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3) {
    throw new DemoError(`${path} is a ZIP archive, as Todoist's backups are: unpack it and give one of the CSV files.`)
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new DemoError(`${path} is UTF-16 text; Todoist exports UTF-8, so save it as "CSV UTF-8".`)
  }
  if (bytes.includes(0)) throw new DemoError(`${path} is not a text file (it has zero bytes: binary, or UTF-16 without a mark).`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new DemoError(`${path} is not UTF-8 (Latin-1 or Windows-1252, perhaps); save it as "CSV UTF-8".`)
  }
}

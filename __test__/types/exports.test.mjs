// What index.d.ts declares is what the built package has: the exported values, and the members of its classes.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const entry = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
const required = createRequire(import.meta.url)(entry)
const imported = await import(entry)

const declarations = fileURLToPath(new URL('../../index.d.ts', import.meta.url))
const program = ts.createProgram([declarations], { lib: ['lib.es2023.d.ts'], types: ['node'], noEmit: true })
const checker = program.getTypeChecker()
const declared = checker
  .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(declarations)))
  .filter(({ flags }) => flags & ts.SymbolFlags.Value)
const names = (symbols) => symbols.map(({ name }) => name).sort()

test('require() has what index.d.ts declares, and nothing else', () => {
  assert.deepEqual(Object.keys(required).sort(), names(declared))
})

test('import has the same names', () => {
  const own = Object.keys(imported).filter((name) => name !== 'default' && name !== 'module.exports' && name !== '__esModule')
  assert.deepEqual(own.sort(), names(declared))
})

test('functions are functions, classes are classes', () => {
  for (const { name, flags } of declared) {
    assert.equal(typeof required[name], 'function', name)
    assert.equal(required[name].name, name)
    const isClass = /^class\b/.test(Function.prototype.toString.call(required[name]))
    assert.equal(isClass, Boolean(flags & ts.SymbolFlags.Class), name)
  }
})

/** Declared members as runtime keys: `__@asyncDispose@123` is how the checker writes a symbol's name. */
const keyOf = ({ name }) => (name.startsWith('__@') ? Symbol[name.split('@')[1]] : name)

for (const symbol of declared.filter(({ flags }) => flags & ts.SymbolFlags.Class)) {
  const Class = required[symbol.name]

  test(`${symbol.name} has the declared statics`, () => {
    const statics = names([...(symbol.exports?.values() ?? [])].filter(({ name }) => name !== 'prototype'))
    const found = Object.getOwnPropertyNames(Class).filter((name) => !['length', 'name', 'prototype'].includes(name))
    assert.deepEqual(found.sort(), statics)
  })

  test(`${symbol.name} has the declared methods`, () => {
    const members = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))
    const methods = members.filter(({ flags }) => flags & ts.SymbolFlags.Method).map(keyOf)
    const fields = members.filter(({ flags }) => flags & ts.SymbolFlags.Property).map(keyOf)
    for (const key of methods) assert.equal(typeof Class.prototype[key], 'function', String(key))
    const undeclared = Reflect.ownKeys(Class.prototype).filter(
      (key) => key !== 'constructor' && !methods.includes(key) && !fields.includes(key) && key !== Symbol.toStringTag,
    )
    assert.deepEqual(undeclared.map(String), [])
  })
}

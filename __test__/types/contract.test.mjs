// The type tests can fail: each change below, made to index.d.ts in memory only, has to be noticed by the compiler.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const here = fileURLToPath(new URL('.', import.meta.url))
const declarations = fileURLToPath(new URL('../../index.d.ts', import.meta.url))
const original = readFileSync(declarations, 'utf8')

const config = ts.getParsedCommandLineOfConfigFile(join(here, 'tsconfig.json'), undefined, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: assert.fail })
const parsed = new Map()

/** The errors of one of the type tests, against a changed index.d.ts. */
function errorsOf(file, text) {
  const host = ts.createCompilerHost(config.options)
  const getSourceFile = host.getSourceFile.bind(host)
  host.getSourceFile = (name, version) => {
    if (name === declarations) return ts.createSourceFile(name, text, version)
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, version))
    return parsed.get(name)
  }
  const program = ts.createProgram([join(here, file)], config.options, host)
  const source = program.getSourceFile(join(here, file))
  return [...program.getSemanticDiagnostics(source), ...program.getSyntacticDiagnostics()].map(
    ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'),
  )
}

const changes = {
  'a required input renamed': ['assignability.ts', 'export interface ScoreRequest {\n  /** 1 to 512 UTF-16 units, no lone surrogates. */\n  userId: string', 'export interface ScoreRequest {\n  user: string'],
  'an optional input renamed': ['assignability.ts', 'taskAgeDays?: number\n', 'taskAge?: number\n'],
  'an optional input narrowed': ['assignability.ts', 'sourceId?: string | null', 'sourceId?: string'],
  'a nested optional input gone': ['assignability.ts', '    extra?: Record<string, unknown>\n', ''],
  'an optional input made required': ['assignability.ts', 'hourOfDay?: number\n', 'hourOfDay: number\n'],
  'an output renamed': ['assignability.ts', 'propensity: number', 'probability: number'],
  'an output widened': ['assignability.ts', 'lastUpdated: string | null', 'lastUpdated: string | null | undefined'],
  'an optional output gone': ['assignability.ts', 'priority: number; dayOfWeek?: number }', 'priority: number }'],
  'a policy added': ['assignability.ts', "| 'egreedy-v2'", "| 'egreedy-v2' | 'egreedy-v3'"],
  'a method gone': ['assignability.ts', '  erase(userId: string): Promise<void>\n', ''],
  "a method's parameter narrowed": ['assignability.ts', '  stats(userId: string, policy?: PolicyName)', "  stats(userId: string, policy?: 'linucb-v1')"],
  'a method made asynchronous': ['assignability.ts', '  score(request: ScoreRequest): ScoreResult\n', '  score(request: ScoreRequest): Promise<ScoreResult>\n'],
  'a function gone': ['assignability.ts', 'export function flush(): Promise<void>', ''],
  'a function that wants more': ['assignability.ts', 'export function reset(userId: string)', 'export function reset(userId: string, sure: boolean)'],
  'a function that lib/ has not': ['implementation.ts', 'export function flush(): Promise<void>', 'export function flush(): Promise<void>\nexport function sync(): Promise<void>'],
  'a function of lib/ undeclared': ['implementation.ts', 'export function erase(userId: string): Promise<void>', ''],
  'a method of lib/ undeclared': ['implementation.ts', '  erase(userId: string): Promise<void>\n', ''],
  'a result declared wider': ['implementation.ts', '  health(): Health\n', '  health(): Health | null\n'],
  'a parameter declared wider': ['implementation.ts', '  reset(userId: string)', '  reset(userId: string | number)'],
  'an opener declared wider': ['implementation.ts', 'static open(options?: BanditsOptions)', 'static open(options?: BanditsOptions | null)'],
  'any string for a policy': ['usage.ts', "export type PolicyName = 'linucb-v1' | 'egreedy-v1' | 'egreedy-v2'", 'export type PolicyName = string'],
  'any string for a reason': ['usage.ts', "export type BanditErrorReason = 'invalid' | 'expired' | 'reset' | 'superseded' | 'otherUser'", 'export type BanditErrorReason = string'],
  'a public constructor': ['usage.ts', 'export class Bandits {\n  private constructor()', 'export class Bandits {'],
  'a log that is a flag': ['usage.ts', "log?: 'on' | 'off'", "log?: 'on' | 'off' | boolean"],
  'a recovery that can be set': ['usage.ts', 'readonly recovery: RecoveryReport', 'recovery: RecoveryReport'],
  'a replay of lib/ undeclared': ['implementation.ts', 'export function replay(logDir: string | URL, stateDir: string | URL, options?: { historySize?: number; revisableDecisions?: number }): Promise<ReplayReport>', ''],
  'a report without its reasons': ['usage.ts', '  reasons: string[]\n', ''],
  'a mutable set': ['usage.ts', 'readonly ids: readonly string[]', 'readonly ids: string[]'],
}

for (const file of ['assignability.ts', 'implementation.ts', 'usage.ts'])
  test(`${file} compiles against index.d.ts as it is`, () => assert.deepEqual(errorsOf(file, original), []))

for (const [name, [file, from, to]] of Object.entries(changes))
  test(`${file} notices ${name}`, () => {
    assert.ok(original.includes(from), `index.d.ts no longer says: ${from}`)
    assert.notEqual(errorsOf(file, original.replaceAll(from, to)).length, 0)
  })

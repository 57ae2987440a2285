// @ts-check
// The demo: its reader of Todoist exports on the sample and on nasty input, and the whole of it as a person starts it.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Bandits } from '@oo/bandits'
import { dateOf, parseIsoDay } from '../demo/calendar.mjs'
import { DemoError } from '../demo/demo-error.mjs'
import { parseDueDate } from '../demo/due-date.mjs'
import { decodeExport } from '../demo/export-file.mjs'
import { contributions } from '../demo/feature-vector.mjs'
import { parseOptions } from '../demo/options.mjs'
import { TaskList } from '../demo/task-list.mjs'
import { readContent } from '../demo/task-text.mjs'
import { cell, terminalOf, truncate } from '../demo/terminal.mjs'
import { parseTodoistCsv } from '../demo/todoist-csv.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAIN = fileURLToPath(new URL('../demo/main.mjs', import.meta.url))
const SAMPLE = fileURLToPath(new URL('../demo/sample-todoist.csv', import.meta.url))
/** A Monday. */
const START = day('2026-03-02')
const HEADER = 'TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE'

const scratch = mkdtempSync(join(tmpdir(), 'oo-bandits-demo-test-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** @param {string} iso */
function day(iso) {
  const result = parseIsoDay(iso)
  assert.ok(result !== undefined)
  return result
}

/** @param {string[]} rows */
function tasksOf(...rows) {
  return parseTodoistCsv([HEADER, ...rows].join('\r\n'), START).tasks
}

/** @param {string} name @param {string | Uint8Array} content */
function file(name, content) {
  const path = join(scratch, name)
  writeFileSync(path, content)
  return path
}

describe('the export', () => {
  const sample = parseTodoistCsv(readFileSync(SAMPLE, 'utf8'), START)

  test('the sample has its tasks, sections, notes and oddities', () => {
    assert.equal(sample.tasks.length, 35)
    assert.equal(sample.sections, 5)
    assert.equal(sample.notes, 5)
    assert.equal(sample.headings, 1)
    assert.equal(sample.tasks.filter((task) => task.indent > 1).length, 9)
    assert.equal(sample.tasks.filter((task) => task.due.kind === 'recurring').length, 6)
    assert.deepEqual(sample.unknownDates, ['someday', 'after Easter'])
    assert.equal(sample.unknownPriorities, 0)
  })

  test('multi-line notes and descriptions, quotes, commas, links, labels and unicode are read', () => {
    const passport = sample.tasks.find((task) => task.title.startsWith('Renew passport'))
    assert.ok(passport)
    assert.equal(passport.description, 'Needs: photo, old passport, "Meldezettel"\nOffice opens at 8, closed Wed afternoon')
    assert.equal(passport.notes.length, 2)
    assert.match(passport.notes[0] ?? '', /^They asked for:\n\n- one biometric/)
    // Its oldest note was written on 3 February.
    assert.equal(passport.ageDays, 27)
    const titles = sample.tasks.map((task) => task.title)
    assert.ok(titles.includes('Read the fire alarm test notice, then hang it up'))
    assert.ok(titles.includes('Ask Zoë about the keys, the "good" ones'))
    assert.ok(titles.includes('Fix the flaky login test: retries > 0 hides it'))
    const plant = sample.tasks.find((task) => task.title === 'Repot the 龟背竹 (monstera)')
    assert.deepEqual(plant?.labels, ['home', 'garden'])
    assert.equal(plant?.section, 'Home 🏠')
  })

  test("priority is the API's: 5 minus the CSV's; empty is p1, as Todoist imports it", () => {
    const tasks = tasksOf('task,a,,1,1', 'task,b,,2,1', 'task,c,,3,1', 'task,d,,4,1', 'task,e,,,1', 'task,f,,p2,1', 'task,g,,urgent,1', 'task,h,,0,1')
    assert.deepEqual(tasks.map((task) => task.priority), [4, 3, 2, 1, 4, 3, 1, 1])
  })

  test('sub-tasks know their parents; orphans and jumps are put where they fit', () => {
    const tasks = tasksOf('task,a,,4,2', 'task,b,,4,2', 'task,c,,4,3', 'task,d,,4,9', 'section,s', 'task,e,,4,3', 'task,f,,4,x')
    assert.deepEqual(tasks.map((task) => [...task.parents, task.title].join('/')), ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'e', 'f'])
    assert.deepEqual(tasks.map((task) => task.section), [null, null, null, null, 's', 's'])
  })

  test('a byte order mark, any line ends, blank rows, meta rows, unknown rows and short rows are no trouble', () => {
    for (const end of ['\n', '\r\n']) {
      const rows = [HEADER, 'meta,view_style=board', ',,,,,,,,,', '', 'project_note,hello', 'note,a note before any task', 'task,one', 'task,', 'task,"   ",,4,1', 'wormhole,x', 'task,two,,4,1,,,,,,,,,,,']
      const result = parseTodoistCsv(`\ufeff${rows.join(end)}${end}${end}`, START)
      assert.deepEqual(result.tasks.map((task) => task.title), ['one', 'two'])
      assert.equal(result.notes, 1)
    }
  })

  test('columns are found by name: old exports, new exports, semicolons', () => {
    const old = parseTodoistCsv('TYPE,CONTENT,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DUE_DATE,DUE_DATE_LANG\ntask,a,1,1,,,2026-02-01,en\n', START)
    assert.deepEqual(old.tasks[0]?.due, { kind: 'once', due: { day: day('2026-02-01'), hour: null } })
    const deadline = parseTodoistCsv('TYPE;CONTENT;PRIORITY;DATE;DEADLINE\ntask;a, b;2;2026-04-01;2026-03-01\n', START)
    assert.deepEqual(deadline.tasks[0]?.due, { kind: 'once', due: { day: day('2026-03-01'), hour: null } })
    assert.equal(deadline.tasks[0]?.title, 'a, b')
  })

  test('a row ends with any line end, whatever the others end with', () => {
    const titlesOf = (/** @type {string} */ text) => parseTodoistCsv(text, START).tasks.map(({ title, description }) => [title, description])
    const rows = [HEADER, 'task,a,,4,1', 'task,b,,4,1', 'task,c,,4,1', '']
    const expected = [['a', ''], ['b', ''], ['c', '']]
    for (const ends of [['\n'], ['\r\n'], ['\r'], ['\r\n', '\n'], ['\n', '\r\n'], ['\r', '\n', '\r\n'], ['\n\n', '\r\n\r\n', '\r\r'], ['\r\n', '\n \n']]) {
      for (const mark of ['', '\ufeff']) {
        const text = mark + rows.map((row, i) => row + ends[i % ends.length]).join('')
        assert.deepEqual(titlesOf(text), expected, JSON.stringify(text))
      }
    }
    // Those within quotes are the text's.
    assert.deepEqual(titlesOf(`${HEADER}\r\ntask,a,"one\ntwo\r\nthree\rfour",4,1\ntask,b,,4,1`), [['a', 'one\ntwo\r\nthree\rfour'], ['b', '']])
  })

  test('every task of an export with mixed line ends is read, and demonstrated', () => {
    const header = `${HEADER},DURATION,DURATION_UNIT,DEADLINE,DEADLINE_LANG\r\n`
    const path = file('mixed.csv', header + Array.from({ length: 20 }, (_task, i) => `task,Task ${i + 1},,${1 + (i % 4)},1,,,,en,,,,,\n`).join(''))
    const { stdout } = spawnSync(process.execPath, [MAIN, '--days', '1', path], { cwd: ROOT, encoding: 'utf8' })
    assert.match(stdout.replace(/\s+/g, ' '), /: 20 tasks \(0 sub-tasks, 0 recurring\)/)
  })

  test('what separates is told from the first row, wherever that ends', () => {
    for (const [delimiter, end] of /** @type {const} */ ([[';', '\r'], ['\t', '\r'], [';', '\n'], ['\t', '\r\n'], [',', '\r']])) {
      const rows = [['TYPE', 'CONTENT', 'PRIORITY', 'DESCRIPTION'], ['task', '"a, b; c"', '2', 'd'], ['task', 'e', '1', '']]
      const { tasks } = parseTodoistCsv(rows.map((row) => row.join(delimiter)).join(end), START)
      assert.deepEqual(tasks.map(({ title, priority, description }) => [title, priority, description]), [['a, b; c', 3, 'd'], ['e', 4, '']])
    }
  })

  test('blanks around cells, in quotes or not, do not matter', () => {
    const { tasks } = parseTodoistCsv(' TYPE , CONTENT ,PRIORITY, INDENT \ntask , "a, b" , 2 , 1 \n task,  c  ,"1" ,2\t\n   \n', START)
    assert.deepEqual(tasks.map(({ title, priority, indent }) => [title, priority, indent]), [['a, b', 3, 1], ['c', 4, 2]])
    const tabs = parseTodoistCsv('TYPE\tCONTENT\tPRIORITY\tDESCRIPTION\ntask \t"a" \t\t d \n', START)
    assert.deepEqual(tabs.tasks.map(({ title, priority, description }) => [title, priority, description]), [['a', 4, 'd']])
  })

  test('the same export has the same ages', () => {
    const again = parseTodoistCsv(readFileSync(SAMPLE, 'utf8'), START)
    assert.deepEqual(again.tasks.map(({ ageDays }) => ageDays), sample.tasks.map(({ ageDays }) => ageDays))
    assert.ok(sample.tasks.every(({ ageDays }) => Number.isInteger(ageDays) && ageDays >= 0 && ageDays <= 40))
  })

  test('what is no export is refused with a sentence', () => {
    const refused = (/** @type {string} */ text, /** @type {RegExp} */ message) =>
      assert.throws(() => parseTodoistCsv(text, START, 'x.csv'), (error) => error instanceof DemoError && error.exitCode === 1 && message.test(error.message))
    refused('', /^x\.csv is empty\.$/)
    refused('\ufeff \r\n', /^x\.csv is empty\.$/)
    refused(`${HEADER}\r\n`, /^x\.csv has no tasks\.$/)
    refused(`${HEADER}\r\nsection,a\r\n,,,\r\n`, /^x\.csv has no tasks\.$/)
    refused('Title,Due\nx,y\n', /^x\.csv is not a Todoist export: it has no column TYPE, CONTENT, PRIORITY\.$/)
    refused('TYPE,CONTENT\ntask,a\n', /it has no column PRIORITY\.$/)
    refused('just some words', /is not a Todoist export/)
    refused(`${HEADER}\r\ntask,"never closed\r\n`, /^x\.csv is not a readable CSV file: .+\.$/)
    refused(`${HEADER}\r\ntask,say "hi" to him,,4,1\r\n`, /^x\.csv is not a readable CSV file: .+\.$/)
  })

  test('other encodings and other files are recognised', () => {
    const refused = (/** @type {Uint8Array} */ bytes, /** @type {RegExp} */ message) => assert.throws(() => decodeExport(bytes, 'x.csv'), { name: 'DemoError', message })
    refused(Buffer.from('\ufeffTYPE,CONTENT', 'utf16le'), /UTF-16/)
    refused(Buffer.from('TYPE,CONTENT', 'utf16le'), /not a text file/)
    refused(Buffer.from('TYPE,CONTENT\ntask,café', 'latin1'), /not UTF-8/)
    refused(Buffer.from('PK\u0003\u0004rest'), /ZIP archive/)
    refused(Buffer.alloc(0), /is empty/)
  })
})

describe('the content of a task', () => {
  test('labels, markdown and control characters', () => {
    assert.deepEqual(readContent('Fix it @work @waiting/for, mail bob@example.com'), { title: 'Fix it , mail bob@example.com', labels: ['work', 'waiting/for'] })
    assert.deepEqual(readContent('@home'), { title: '@home', labels: ['home'] })
    assert.equal(readContent('[a](https://example.com/x_(y)) and **b** and *c* and `d`').title.startsWith('a'), true)
    assert.equal(readContent('2 * 3 * 4').title, '2 * 3 * 4')
    assert.equal(readContent('red \u001b[31malert\u001b[0m\u0007\n\u202enow').title, 'red alert now')
  })
})

describe('dates', () => {
  /** @type {[string, string, number | null][]} */
  const single = [
    ['2026-11-03', '2026-11-03', null],
    ['2026-11-03 18:00', '2026-11-03', 18],
    ['2026-11-03T07:02:05.000000Z', '2026-11-03', 7],
    ['Nov 3 @ 18:00', '2025-11-03', 18],
    ['12 Jan', '2026-01-12', null],
    ['12 Jan 2027', '2027-01-12', null],
    ['January 12, 2027 at 9am', '2027-01-12', 9],
    ['Mar 5 12:30 PM', '2026-03-05', 12],
    ['today', '2026-03-02', null],
    ['tomorrow at 5pm', '2026-03-03', 17],
    ['yesterday', '2026-03-01', null],
    ['in 2 weeks', '2026-03-16', null],
    ['monday', '2026-03-09', null],
    ['Fri at 8', '2026-03-06', 8],
    ['at 6pm', '2026-03-02', 18],
  ]
  for (const [text, date, hour] of single) {
    test(`"${text}"`, () => {
      assert.deepEqual(parseDueDate(text, START), { kind: 'once', due: { day: day(date), hour } })
    })
  }

  /** @type {[string, string[]][]} the first three occurrences */
  const recurring = [
    ['every day', ['2026-03-02', '2026-03-03', '2026-03-04']],
    ['daily', ['2026-03-02', '2026-03-03', '2026-03-04']],
    ['every weekday at 9am', ['2026-03-02', '2026-03-03', '2026-03-04']],
    ['every fri', ['2026-03-06', '2026-03-13', '2026-03-20']],
    ['every tue, fri', ['2026-03-03', '2026-03-06', '2026-03-10']],
    ['every other week', ['2026-03-02', '2026-03-16', '2026-03-30']],
    ['every! 3 days', ['2026-03-02', '2026-03-05', '2026-03-08']],
    ['every 31st', ['2026-03-31', '2026-04-30', '2026-05-31']],
    ['every month', ['2026-03-02', '2026-04-02', '2026-05-02']],
    ['yearly', ['2026-03-02', '2027-03-02', '2028-03-02']],
  ]
  for (const [text, dates] of recurring) {
    test(`"${text}"`, () => {
      const due = parseDueDate(text, START)
      assert.ok(due.kind === 'recurring')
      const second = due.next(due.due.day)
      assert.deepEqual([due.due.day, second, due.next(second)].map(isoOf), dates)
    })
  }

  test('what is not understood is unknown, never a guess', () => {
    for (const text of ['someday', 'after Easter', '03/11/2026', 'every 3rd friday', 'jeden Tag', '2026-02-30', 'Feb 30 2026', '32 Jan', 'at 25:00', 'every', 'nan', '5', 'toString', 'constructor']) {
      assert.deepEqual(parseDueDate(text, START), { kind: 'unknown' }, text)
    }
    assert.deepEqual(parseDueDate('  ', START), { kind: 'none' })
  })

  /** @param {number} value */
  function isoOf(value) {
    const { year, month, dayOfMonth } = dateOf(value)
    return `${year}-${String(month).padStart(2, '0')}-${String(dayOfMonth).padStart(2, '0')}`
  }
})

describe('the list of open tasks', () => {
  test('tasks grow old and overdue, rest after a reaction, and come back when done', () => {
    const tasks = tasksOf('task,once,,1,1,,,2026-03-03 @ 12:00', 'task,often,,4,1,,,every fri', 'task,never,,4,1,,,someday')
    const list = new TaskList(tasks, START, 1)
    const titles = (/** @type {number} */ offset, hour = 12) => list.open(START + offset, hour).map(({ entry }) => entry.task.title)
    const overdue = (/** @type {number} */ offset, hour = 12) => list.open(START + offset, hour).map(({ candidate }) => candidate.features.isOverdue)
    assert.deepEqual(titles(0), ['once', 'often', 'never'])
    assert.deepEqual(overdue(1, 12), [false, false, false])
    assert.deepEqual(overdue(1, 13), [true, false, false])
    assert.deepEqual(overdue(30), [true, true, false])
    const [single, often] = list.open(START, 12)
    assert.ok(single && often)
    assert.equal(list.open(START + 5, 12)[0]?.candidate.features.taskAgeDays, single.candidate.features.taskAgeDays + 5)
    list.rest(single.entry, START)
    assert.deepEqual(titles(0), ['often', 'never'])
    assert.deepEqual(titles(1), ['once', 'often', 'never'])
    list.complete(often.entry, START)
    // It was due on Friday the 6th; done early, it comes back on the 13th.
    assert.deepEqual(titles(10), ['once', 'never'])
    assert.deepEqual(titles(11), ['once', 'often', 'never'])
    assert.deepEqual(list.open(START + 11, 12)[1]?.candidate.features, { isOverdue: false, taskAgeDays: 0, priority: 1 })
    list.complete(single.entry, START)
    assert.deepEqual(titles(1), ['never'])
    assert.ok(titles(10).includes('once'))
  })
})

describe('the terminal', () => {
  test('colours only where they are welcome', () => {
    const colourful = (/** @type {object} */ stream, /** @type {NodeJS.ProcessEnv} */ env) => terminalOf(stream, env).colors.isColorSupported
    assert.equal(colourful({ isTTY: true }, {}), true)
    assert.equal(colourful({ isTTY: false }, { CI: 'true' }), false)
    assert.equal(colourful({ isTTY: true }, { NO_COLOR: '1', FORCE_COLOR: '1' }), false)
    assert.equal(colourful({ isTTY: true }, { NO_COLOR: '' }), true)
    assert.equal(colourful({ isTTY: true }, { TERM: 'dumb' }), false)
    assert.equal(colourful({}, { FORCE_COLOR: '1' }), true)
  })

  test('text is cut and filled by columns', () => {
    assert.equal(cell('龟背竹', 8), '龟背竹  ')
    assert.equal(truncate('龟背竹龟背竹', 6), '龟背…')
  })
})

describe('the explanation of a score', () => {
  for (const policy of /** @type {const} */ (['egreedy-v1', 'egreedy-v2', 'linucb-v1'])) {
    test(`${policy}: Σ θᵢxᵢ is the engine's score`, async () => {
      const stateDir = mkdtempSync(join(scratch, 'state-'))
      const bandits = Bandits.open({ stateDir, seed: 1, activePolicy: policy })
      try {
        const profile = { completionRate30d: 0.3, dismissRate30d: 0.2, meanDwellMs30d: 30_000, preferredHour: 9, tipVolume30d: 17 }
        for (let i = 0; i < 50; i += 1) {
          const features = { isOverdue: i % 3 === 0, taskAgeDays: i, priority: 1 + (i % 4) }
          const context = { hourOfDay: i % 24, dayOfWeek: i % 7 }
          const { theta, featureLabels } = bandits.stats('u')
          const { score } = bandits.score({ userId: 'u', candidates: [{ id: 'a', features }], context, profileFeatures: profile })
          const sum = [...contributions(featureLabels, theta, { ...features, ...context, profile }).values()].reduce((a, b) => a + b, 0)
          if (policy === 'linucb-v1') assert.ok(score > sum)
          else assert.ok(Math.abs(score - sum) <= 1e-9 * Math.max(1, Math.abs(score)), `${score} and ${sum}`)
          bandits.reward({ userId: 'u', tipId: 'a', reward: Math.sin(i), features: { ...features, hourOfDay: context.hourOfDay }, dayOfWeek: context.dayOfWeek, profileFeatures: profile })
        }
      } finally {
        await bandits.close()
      }
    })
  }
})

describe('the command line', () => {
  const now = () => Date.UTC(2026, 5, 15, 12)

  test('defaults and choices', () => {
    const sample = parseOptions([], now)
    assert.deepEqual([sample.policy, sample.seed, sample.days, sample.startDay, sample.show, sample.help], ['egreedy-v1', 1, 30, START, 1, false])
    const own = parseOptions(['a b.csv', '--policy', 'linucb-v1', '--seed=9', '--days', '2', '--show', '0'], now)
    assert.deepEqual([own.file, own.policy, own.seed, own.days, own.show], ['a b.csv', 'linucb-v1', 9, 2, 0])
    assert.equal(own.startDay, day('2026-06-15'))
    assert.equal(parseOptions(['x.csv', '--start', '2026-01-31'], now).startDay, day('2026-01-31'))
  })

  test('wrong usage is explained', () => {
    for (const argv of [['a', 'b'], [''], ['--policy', 'greedy'], ['--seed', '-1'], ['--seed', '1.5'], ['--seed', '9007199254740993'], ['--days', '0'], ['--days', 'x'], ['--start', '2026-02-30'], ['--wat'], ['--seed']]) {
      assert.throws(() => parseOptions(argv, now), (error) => error instanceof DemoError && error.exitCode === 2 && /--help/.test(error.message), argv.join(' '))
    }
  })
})

describe('the demo as a process', () => {
  /** @param {string[]} args @param {Record<string, string>} [env] */
  function demo(args, env = {}) {
    const temporary = mkdtempSync(join(scratch, 'tmp-'))
    const result = spawnSync(process.execPath, [MAIN, ...args], { cwd: ROOT, encoding: 'utf8', env: environment(temporary, env) })
    assert.deepEqual(readdirSync(temporary), [], 'it left something behind')
    return result
  }

  /** @param {string} temporary @param {Record<string, string>} env */
  function environment(temporary, env) {
    const { NO_COLOR: _n, FORCE_COLOR: _f, STATE_DIR: _s, ACTIVE_POLICY: _a, INIT_CWD: _i, ...rest } = process.env
    return { ...rest, TMPDIR: temporary, TMP: temporary, TEMP: temporary, ...env }
  }

  const withoutTimings = (/** @type {string} */ output) => output.replace(/^ {2}time .*(?:\n {14}.*)*/m, '')

  test('shows the whole month of the sample, without escapes in a pipe', () => {
    const { status, stdout, stderr } = demo([])
    assert.equal(status, 0)
    for (const part of ['35 tasks', 'Day 1,', 'Day 30,', 'Reward, added up', 'How θ moved', 'Totals', 'stats()', 'features()', 'time ', 'priority']) assert.ok(stdout.includes(part), part)
    assert.match(stderr, /^day 10 of 30: \d+ decisions, reward .+\nday 20 of 30: .+\nday 30 of 30: .+\n$/)
    // oxlint-disable-next-line no-control-regex -- escapes are what is looked for
    assert.doesNotMatch(stdout + stderr, /\u001b/)
    assert.ok(stdout.split('\n').every((line) => [...line].length <= 80), 'wider than 80 columns')
  })

  test('learns: the policy earns clearly more than the random chooser, under every policy', () => {
    for (const policy of ['egreedy-v1', 'egreedy-v2', 'linucb-v1']) {
      const { stdout } = demo(['--policy', policy, '--show', '0'])
      const [, earned, random] = /^ {2}reward +([+−\d.]+) +([+−\d.]+)$/m.exec(stdout) ?? []
      assert.ok(earned !== undefined && random !== undefined, stdout)
      const number = (/** @type {string} */ text) => Number(text.replace('−', '-'))
      assert.ok(number(earned) > number(random) + 20, `${policy}: ${earned} against ${random}`)
    }
  })

  test('the same seed gives the same output but for the timings, another seed another', () => {
    const [first, again, other] = [demo(['--seed', '7']), demo(['--seed', '7']), demo(['--seed', '8'])].map(({ stdout }) => withoutTimings(stdout))
    assert.equal(first, again)
    assert.notEqual(first, other)
  })

  test('an own export, a single day, a single task', () => {
    const path = file('own.csv', `${HEADER}\r\ntask,only one,,2,1\r\n`)
    const { status, stdout } = demo([path, '--days', '1', '--start', '2026-03-02'])
    assert.equal(status, 0)
    assert.match(stdout.replace(/\s+/g, ' '), /1 task \(0 sub-tasks, 0 recurring\)/)
    assert.match(stdout, /5 moments without an open task/)
  })

  test('colours where they are asked for', () => {
    // oxlint-disable-next-line no-control-regex -- escapes are what is looked for
    assert.match(demo([], { FORCE_COLOR: '1' }).stdout, /\u001b\[/)
  })

  test('what cannot be used ends with one sentence and exit code 1', () => {
    mkdirSync(join(scratch, 'directory'), { recursive: true })
    /** @type {[string, RegExp][]} */
    const cases = [
      [join(scratch, 'no such file.csv'), /^demo: There is no file .+no such file\.csv\.\n$/],
      [join(scratch, 'directory'), /^demo: .+ is a directory; .+\n$/],
      [file('empty.csv', ''), /^demo: .+ is empty\.\n$/],
      [file('latin1.csv', Buffer.from(`${HEADER}\ntask,caf\u00e9,,1,1`, 'latin1')), /^demo: .+ is not UTF-8 .+\n$/],
      [file('other.csv', 'a,b\n1,2\n'), /^demo: .+ is not a Todoist export: .+\n$/],
    ]
    for (const [path, message] of cases) {
      const { status, stdout, stderr } = demo([path])
      assert.equal(status, 1, path)
      assert.equal(stdout, '', path)
      assert.match(stderr, message)
    }
  })

  test('--help explains and exits with 0; wrong usage exits with 2', () => {
    const help = demo(['--help'])
    assert.equal(help.status, 0)
    assert.match(help.stdout, /^Usage: npm run demo/)
    const wrong = demo(['--days', 'many'])
    assert.equal(wrong.status, 2)
    assert.match(wrong.stderr, /^demo: --days must be a whole number from 1 to 3650, not "many" \(.+--help.+\)\n$/)
  })

  test('an interrupted demo leaves nothing behind and exits with 130', { skip: process.platform === 'win32' && 'there are no signals' }, async () => {
    const temporary = mkdtempSync(join(scratch, 'tmp-'))
    const child = spawn(process.execPath, [MAIN, '--days', '3650'], { cwd: ROOT, env: environment(temporary, {}) })
    let errors = ''
    child.stdout.resume()
    child.stderr.on('data', (data) => {
      errors += data
      child.kill('SIGINT')
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 130, errors)
    assert.doesNotMatch(errors, /Error/)
    assert.deepEqual(readdirSync(temporary), [])
  })
})

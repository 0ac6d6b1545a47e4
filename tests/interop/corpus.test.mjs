import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import * as Y from 'yjs'
import { contentOf } from './corpus/content.mjs'
import { Recorder, read, write } from './corpus/recorder.mjs'
import { fixtures, repeatable } from './corpus/scenarios.mjs'

const manifest = JSON.parse(await readFile(new URL('manifest.json', fixtures), 'utf8'))
const file = name => readFile(new URL(name, fixtures))
const said = content => JSON.parse(JSON.stringify(content))

for (const { name, file: path, updates: count, roots, content } of manifest) {
  test(`Yjs reads of "${name}" what the corpus says`, async () => {
    const { updates, whole } = read(await file(path))
    const [bit, all] = [new Y.Doc(), new Y.Doc()]
    updates.forEach(({ update }) => Y.applyUpdate(bit, update))
    Y.applyUpdate(all, whole)
    assert.deepEqual([said(contentOf(bit, roots)), said(contentOf(all, roots)), updates.length], [content, content, count])
    assert.deepEqual(Y.encodeStateVector(bit), Y.encodeStateVector(all))
  })
}

for (const { name, file: path, run } of await repeatable()) {
  test(`"${name}" comes out as it is in the corpus`, async () => {
    const recorder = new Recorder()
    const made = recorder.finish((await run(recorder)) ?? {})
    assert.deepEqual(Buffer.from(write(made)), await file(path))
  })
}

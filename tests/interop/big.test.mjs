import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Client, converge } from './support/client.mjs'
import { Random } from './support/random.mjs'
import { startServer } from './support/server.mjs'

const server = await startServer()
after(() => server.stop())

const FIVE_MB = 5_000_000
const BIG_MS = 30_000
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n0123456789äéß—字'

function longText(length, seed) {
  const random = new Random(seed)
  let text = ''
  while (text.length < length) text += ALPHABET[random.below(ALPHABET.length)]
  return text
}

/** Somebody joins what `writer` has made, gets exactly it, and both go on. */
async function joinAndGoOn(t, writer, name) {
  const reader = await new Client(t, server.url, name).synced()
  await converge([writer, reader], BIG_MS)
  assert.ok(Y.encodeStateAsUpdate(reader.doc).length >= FIVE_MB)
  const length = reader.text.length
  reader.text.insert(length >> 1, '<the reader>')
  writer.text.delete(length - 10, 10)
  writer.append('<the writer>')
  await converge([writer, reader], BIG_MS)
  assert.equal(reader.text.length, length + 14)
  const late = await new Client(t, server.url, name).synced()
  await converge([writer, reader, late], BIG_MS)
}

test('5 MB in a single message', async t => {
  const writer = await new Client(t, server.url, 'single').synced()
  const text = longText(FIVE_MB, 5)
  writer.append(text)
  await joinAndGoOn(t, writer, 'single')
  assert.equal(writer.text.toString().indexOf('<the reader>'), text.length >> 1)
})

test('5 MB in five hundred messages', async t => {
  const writer = await new Client(t, server.url, 'many').synced()
  const random = new Random(500)
  for (let i = 0; i < 500; i++) writer.text.insert(random.below(writer.text.length + 1), longText(FIVE_MB / 500, i + 1))
  await joinAndGoOn(t, writer, 'many')
})

test('5 MB that were written offline', async t => {
  const writer = new Client(t, server.url, 'offline', { connect: false })
  const files = writer.doc.getMap('files')
  const random = new Random(77)
  for (let i = 0; i < 5; i++) files.set(`file ${i}`, Uint8Array.from({ length: FIVE_MB / 5 }, () => random.below(256)))
  writer.append('with 5 MB of attachments')
  writer.provider.connect()
  await writer.synced()
  await joinAndGoOn(t, writer, 'offline')
  const last = await new Client(t, server.url, 'offline').synced()
  for (const [name, bytes] of files.entries()) assert.deepEqual(last.doc.getMap('files').get(name), bytes)
})

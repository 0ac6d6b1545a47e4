import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Client, converge } from './support/client.mjs'
import { startServer } from './support/server.mjs'
import { refusal } from './support/sockets.mjs'

const server = await startServer()
after(() => server.stop())

const dropIn = () => `ws://${server.host}`

const encoded = name => name.split('/').map(encodeURIComponent).join('/')

/** Asserts that all of these paths lead to one document. */
async function sameDocument(t, paths) {
  const clients = await Promise.all(paths.map(([url, path]) => new Client(t, url, path).synced()))
  clients.forEach((client, n) => client.append(`${n};`))
  await converge(clients)
  for (let n = 0; n < paths.length; n++) assert.ok(clients[0].text.toString().includes(`${n};`), paths[n].join('/'))
}

/** Asserts that each of these paths leads to a document of its own. */
async function differentDocuments(t, paths) {
  const writers = await Promise.all(paths.map(path => new Client(t, server.url, path).synced()))
  writers.forEach((writer, n) => writer.append(`only ${n}`))
  for (let n = 0; n < paths.length; n++) {
    const reader = await new Client(t, server.url, paths[n]).synced()
    await converge([writers[n], reader])
    assert.equal(reader.text.toString(), `only ${n}`, paths[n])
  }
}

test('a nested name that needs encoding, by every way to write it', t => {
  const name = 'a/b c/ü?'
  return sameDocument(t, [
    [server.url, encoded(name)],
    [server.url, encodeURIComponent(name)],
    [dropIn(), encoded(name)],
    [dropIn(), encodeURIComponent(name)],
    [server.url, 'a/b c/ü%3F'],
    [server.url, 'a%2fb%20c/%c3%bc%3f']
  ])
})

test('a plain name under /ws/ and as a drop-in', t => sameDocument(t, [[server.url, 'plain'], [dropIn(), 'plain']]))

test('a name in many scripts', t => {
  const name = 'протокол/議事録/🗒️ notes'
  return sameDocument(t, [[server.url, name], [dropIn(), name], [server.url, encoded(name)], [dropIn(), encodeURIComponent(name)]])
})

test('a query is not part of the name', t => sameDocument(t, [[server.url, 'query'], [server.url, 'query?version=2'], [dropIn(), 'query?']]))

test('a name is decoded once', t => differentDocuments(t, ['once%20x', 'once%2520x', 'once%252520x']))

test('a plus is a plus', t => differentDocuments(t, ['1+1', '1 1', '1%201%20']))

test('upper and lower case differ, and so do composed and decomposed letters', t =>
  differentDocuments(t, ['Case', 'case', 'caf%C3%A9', 'cafe%CC%81']))

test('words that the server uses itself are good names under /ws/', t =>
  differentDocuments(t, ['ws', 'd', 'api', 'api/documents', 'metrics', 'healthz', 'assets/app.js', 'ws/ws']))

test('a name of 256 bytes, of one and of two bytes a letter', t => sameDocument(t, [
  [server.url, 'é'.repeat(128)], [dropIn(), encodeURIComponent('é'.repeat(128))]
]).then(() => differentDocuments(t, ['x'.repeat(256), 'x'.repeat(255)])))

const INVALID = {
  'an empty name': '',
  'a NUL': 'a%00b',
  'a line feed': 'a%0Ab',
  'an escape': '%1B%5B31m',
  'a DEL': 'a%7F',
  'a control character of Latin-1': 'a%C2%85b',
  'a name of 257 bytes': 'x'.repeat(257),
  'a name of 258 bytes in 129 letters': encodeURIComponent('é'.repeat(129)),
  'bytes that are not UTF-8': 'a%FF',
  'half a percent-encoding': 'a%2'
}

for (const [what, path] of Object.entries(INVALID)) {
  test(`${what} is refused`, async t => {
    assert.match(String(await refusal(t, `${server.url}/${path}`)), /^4\d\d$/)
  })
  if (path) {
    test(`${what} is refused as a drop-in`, async t => {
      assert.match(String(await refusal(t, `${dropIn()}/${path}`)), /^4\d\d$/)
    })
  }
}

for (const path of ['healthz', 'metrics', 'readyz', 'api/documents', 'assets/app.js', 'd/document']) {
  test(`/${path} is no drop-in document`, async t => {
    assert.notEqual(await refusal(t, `${dropIn()}/${path}`), 101)
  })
}

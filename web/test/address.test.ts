import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentHref, documentIn, documentPath, nameFault, socketUrl } from '../src/address.ts'

const base = 'https://example.org/notes/'

test('every name comes back from its address', () => {
  for (const name of ['a', 'a/b', 'a b', 'Über uns', 'a?b#c', '100%', 'a//b', '/a', 'a/', '../a', 'a/./b', '%2F', '日本/語']) {
    const url = new URL(documentHref(name), base)
    assert.equal(documentIn(url.pathname, '/notes/'), name)
    assert.equal(url.search + url.hash, '')
  }
})

test('slashes stay slashes, unless the browser would resolve the path', () => {
  assert.equal(documentPath('team/plans 1'), 'team/plans%201')
  assert.equal(documentPath('../plans'), '..%2Fplans')
})

test('other pages name no document', () => {
  for (const path of ['/notes/', '/notes/d/', '/d/a', '/notes/x/a', '/notes/d/%ff']) assert.equal(documentIn(path, '/notes/'), null)
})

test('sockets are beside the page', () => {
  assert.equal(socketUrl(base), 'wss://example.org/notes/ws')
  assert.equal(socketUrl('http://127.0.0.1:1234/?a=b#c'), 'ws://127.0.0.1:1234/ws')
})

test('a name without an address is not taken', () => {
  assert.equal(nameFault('plans'), null)
  assert.equal(nameFault(''), null)
  assert.equal(nameFault('é'.repeat(128)), null)
  for (const name of ['.', '..', 'a\nb', 'é'.repeat(129)]) assert.notEqual(nameFault(name), null)
})

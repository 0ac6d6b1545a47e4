import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Client, converge } from './support/client.mjs'
import { startServer } from './support/server.mjs'

const server = await startServer()
after(() => server.stop())

const TOKEN = 'auth.0123456789abcdef'

/** The sub-protocol that the server chose, seen on a connection that syncs. */
async function chosen(t, protocols) {
  const name = `protocols/${protocols.join(',')}`
  const client = await new Client(t, server.url, name, { protocols }).synced()
  const other = await new Client(t, server.url, name).synced()
  client.append('through a sub-protocol')
  await converge([client, other])
  return client.provider.ws.protocol
}

test('none is chosen where none is offered', async t => assert.equal(await chosen(t, []), ''))

test('the one that is offered is echoed', async t => assert.equal(await chosen(t, ['my-app']), 'my-app'))

test('the first of several', async t => assert.equal(await chosen(t, ['my-app.v2', 'my-app.v1']), 'my-app.v2'))

test('a token is not echoed where there is something else', async t => {
  assert.equal(await chosen(t, ['ymesh.v1', TOKEN]), 'ymesh.v1')
  assert.equal(await chosen(t, [TOKEN, 'ymesh.v1']), 'ymesh.v1')
})

test('a token alone is echoed, or a browser would give up', async t => assert.equal(await chosen(t, [TOKEN]), TOKEN))

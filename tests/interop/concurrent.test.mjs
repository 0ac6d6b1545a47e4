import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Client, converge, join } from './support/client.mjs'
import { Random, content, editAnything } from './support/random.mjs'
import { startServer } from './support/server.mjs'

const server = await startServer()
after(() => server.stop())

const SEEDS = [1, 20, 300, 4000]
const EDITS_EACH = 150

test('two insert at the same place at once', async t => {
  const [a, b] = await join(t, server.url, 'same-place', 2)
  a.append('[]')
  await converge([a, b])
  a.text.insert(1, 'from a')
  b.text.insert(1, 'from b')
  await converge([a, b])
  assert.ok(['[from afrom b]', '[from bfrom a]'].includes(a.text.toString()))
})

for (const seed of SEEDS) {
  test(`three edit anything, anywhere, at once (seed ${seed})`, async t => {
    const clients = await join(t, server.url, `random/${seed}`, 3)
    const random = new Random(seed)
    for (let i = 0; i < EDITS_EACH * clients.length; i++) {
      editAnything(random.pick(clients).doc, random)
      if (random.below(4) === 0) await turn()
    }
    const late = await new Client(t, server.url, `random/${seed}`).synced()
    await converge([...clients, late])
    for (const { doc } of clients) assert.deepEqual(content(doc), content(late.doc))
  })
}

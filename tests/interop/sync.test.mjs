import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Client, converge, join } from './support/client.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

/** Both directions, and then what the server itself hands to somebody who comes later. */
async function everywhere(t, name, write, read) {
  const [a, b] = await join(t, server.url, name, 2)
  a.doc.transact(() => write(a.doc, 'a'))
  await converge([a, b])
  b.doc.transact(() => write(b.doc, 'b'))
  await converge([a, b])
  const late = await new Client(t, server.url, name).synced()
  await converge([a, b, late])
  const expected = read(a.doc)
  assert.deepEqual(read(b.doc), expected)
  assert.deepEqual(read(late.doc), expected)
  return expected
}

test('text', async t => {
  const delta = await everywhere(t, 'text',
    (doc, who) => {
      const text = doc.getText('text')
      text.insert(0, `${who}: zwölf Boxkämpfer 🥊 jagen\n`)
      text.delete(2, 3)
    },
    doc => doc.getText('text').toDelta())
  assert.equal(delta[0].insert, 'b:ölf Boxkämpfer 🥊 jagen\na:ölf Boxkämpfer 🥊 jagen\n')
})

test('formatting and embeds', async t => {
  const delta = await everywhere(t, 'formatting',
    (doc, who) => {
      const text = doc.getText('text')
      text.insert(0, `${who} plain bold link\n`)
      text.format(8, 4, { bold: true })
      text.format(10, 7, { link: { href: `https://example.org/${who}` } })
      text.insertEmbed(2, { image: who, width: 3.5 })
      text.format(9, 2, { bold: null })
    },
    doc => doc.getText('text').toDelta())
  assert.ok(delta.some(part => part.attributes?.bold && part.attributes?.link))
  assert.deepEqual(delta.filter(part => part.insert.image).map(part => part.insert.image), ['b', 'a'])
})

test('every kind of value in a map', async t => {
  const values = {
    zero: 0, one: 1, negative: -77, big: 2 ** 40, fraction: 0.1, huge: 1.5e300,
    yes: true, no: false, nothing: null, missing: undefined, empty: '', string: 'Ünï 🧵',
    bytes: Uint8Array.of(0, 255, 7), list: [1, ['two', null], {}], object: { a: { b: [true] } }
  }
  const json = await everywhere(t, 'map',
    (doc, who) => {
      const map = doc.getMap('map')
      for (const [key, value] of Object.entries(values)) map.set(key, value)
      map.set('who', who)
      map.set('gone', who)
      map.delete('gone')
    },
    doc => Object.fromEntries(doc.getMap('map').entries()))
  assert.deepEqual(json, { ...values, who: 'b' })
})

test('arrays and types within types', async t => {
  const json = await everywhere(t, 'array',
    (doc, who) => {
      const inner = new Y.Map()
      const text = new Y.Text(`${who} inside`)
      const list = Y.Array.from([1, 2, 3, 4])
      doc.getArray('array').insert(0, [who, inner, list])
      inner.set('text', text)
      text.insert(0, '> ')
      list.delete(1, 2)
    },
    doc => doc.getArray('array').toJSON())
  const half = who => [who, { text: `> ${who} inside` }, [1, 4]]
  assert.deepEqual(json, [...half('b'), ...half('a')])
})

test('xml', async t => {
  const xml = await everywhere(t, 'xml',
    (doc, who) => {
      const paragraph = new Y.XmlElement('paragraph')
      const text = new Y.XmlText()
      doc.getXmlFragment('xml').insert(0, [paragraph])
      paragraph.setAttribute('id', who)
      paragraph.setAttribute('level', 3)
      paragraph.insert(0, [text, new Y.XmlElement('break')])
      text.insert(0, `${who} says hello`)
      text.format(2, 4, { em: {} })
    },
    doc => doc.getXmlFragment('xml').toString())
  assert.match(xml, /^<paragraph id="b" level="3">b <em>says<\/em> hello<break><\/break><\/paragraph><paragraph id="a"/)
})

test('sub-documents: the reference travels, and its content under its own name', async t => {
  const [a, b] = await join(t, server.url, 'parent', 2)
  const chapter = new Y.Doc({ autoLoad: true })
  a.doc.getMap('chapters').set('first', chapter)
  await converge([a, b])
  const late = await new Client(t, server.url, 'parent').synced()
  for (const other of [b, late]) {
    assert.equal(other.doc.getMap('chapters').get('first').guid, chapter.guid)
    assert.equal(other.doc.getMap('chapters').get('first').autoLoad, true)
    assert.deepEqual([...other.doc.getSubdocs()].map(doc => doc.guid), [chapter.guid])
  }
  const [writer, reader] = await join(t, server.url, chapter.guid, 2)
  writer.append('the chapter')
  await converge([writer, reader])
  assert.equal(reader.text.toString(), 'the chapter')
})

test('undo and redo of what others have edited too', async t => {
  const [a, b] = await join(t, server.url, 'undo', 2)
  const undo = new Y.UndoManager(a.text, { captureTimeout: 0 })
  t.after(() => undo.destroy())
  a.append('one two three')
  await converge([a, b])
  a.text.delete(4, 4)
  b.append(' four')
  await converge([a, b])
  undo.undo()
  await converge([a, b])
  assert.equal(b.text.toString(), 'one two three four')
  undo.redo()
  const late = await new Client(t, server.url, 'undo').synced()
  await converge([a, b, late])
  assert.equal(late.text.toString(), 'one three four')
})

test('an insertion between the two halves of a surrogate pair', async t => {
  const [a, b] = await join(t, server.url, 'surrogates', 2)
  a.append('x🙂y')
  await converge([a, b])
  b.text.insert(2, '-')
  await converge([a, b])
  const late = await new Client(t, server.url, 'surrogates').synced()
  await converge([a, b, late])
  assert.equal(late.text.toString(), 'x\ufffd-\ufffdy')
})

test('a deletion of one half of a surrogate pair', async t => {
  const [a, b] = await join(t, server.url, 'halves', 2)
  a.append('x🙂y')
  await converge([a, b])
  b.text.delete(2, 2)
  await converge([a, b])
  const late = await new Client(t, server.url, 'halves').synced()
  await converge([a, b, late])
  assert.equal(late.text.toString(), 'x\ufffd')
})

test('documents do not mix', async t => {
  const [one] = await join(t, server.url, 'apart/one', 1)
  const [two] = await join(t, server.url, 'apart/two', 1)
  one.append('only one')
  two.append('only two')
  const readers = [await new Client(t, server.url, 'apart/one').synced(), await new Client(t, server.url, 'apart/two').synced()]
  await until(() => readers.every(reader => reader.text.length), 'both texts')
  assert.deepEqual(readers.map(reader => reader.text.toString()), ['only one', 'only two'])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Schema } from '@tiptap/pm/model'
import * as Y from 'yjs'
import { misfitOf, recordSchema, schemaNumber, watchForMisfit, type Misfit } from '../src/editor/schema.ts'

const names = new Schema({
  nodes: { doc: { content: 'paragraph+' }, paragraph: { content: 'text*' }, text: {} },
  marks: { bold: {}, link: {} },
})

test('a document of known nodes and marks fits', () => {
  const { doc, text } = documentOf(paragraph('a', { bold: {}, 'link--AbCdEf12': {} }))
  assert.equal(misfitOf(doc, text, names), null)
  assert.equal(misfitOf(new Y.Doc(), new Y.Doc().getXmlFragment('prosemirror'), names), null)
})

test('an unknown node, mark, embed or name of an object property does not', () => {
  const nested = new Y.XmlElement('paragraph')
  nested.insert(0, [new Y.XmlElement('drawing')])
  const embedding = new Y.XmlElement('paragraph')
  const embed = new Y.XmlText()
  embed.insertEmbed(0, { image: 'x' })
  embedding.insert(0, [embed])
  for (const content of [new Y.XmlElement('drawing'), new Y.XmlElement('constructor'), nested, paragraph('a', { glow: {} }), embedding]) {
    const { doc, text } = documentOf(content)
    assert.equal(misfitOf(doc, text, names), 'unknown')
  }
})

test('a newer schema number does not fit, whatever the content', () => {
  const { doc, text } = documentOf(paragraph('a', {}))
  doc.getMap('meta').set('schema', schemaNumber)
  assert.equal(misfitOf(doc, text, names), null)
  doc.getMap('meta').set('schema', schemaNumber + 1)
  assert.equal(misfitOf(doc, text, names), 'newer')
})

test('a remote misfit is found before any observer sees it', () => {
  const { doc, text } = documentOf(paragraph('a', {}))
  const seen: string[] = []
  watchForMisfit(doc, text, names, (misfit: Misfit) => seen.push(misfit))
  text.observeDeep(() => seen.push('observed'))
  receive(doc, (other) => other.getXmlFragment('prosemirror').insert(0, [paragraph('b', {})]))
  receive(doc, (other) => other.getXmlFragment('prosemirror').insert(0, [new Y.XmlElement('drawing')]))
  assert.deepEqual(seen, ['observed', 'unknown', 'observed'])
})

test('an unknown mark that comes later, and a newer number, are found', () => {
  const marked = documentOf(paragraph('abc', {}))
  const seen: Misfit[] = []
  watchForMisfit(marked.doc, marked.text, names, (misfit) => seen.push(misfit))
  receive(marked.doc, (other) => {
    const first = other.getXmlFragment('prosemirror').get(0) as Y.XmlElement
    ;(first.get(0) as Y.XmlText).format(0, 1, { glow: {} })
  })
  const raised = documentOf(paragraph('abc', {}))
  watchForMisfit(raised.doc, raised.text, names, (misfit) => seen.push(misfit))
  receive(raised.doc, (other) => other.getMap('meta').set('schema', schemaNumber + 1))
  assert.deepEqual(seen, ['unknown', 'newer'])
})

test('the number is recorded with the first own edit, and never lowered', () => {
  const { doc, text } = documentOf(paragraph('a', {}))
  const meta = doc.getMap('meta')
  recordSchema(doc)
  receive(doc, (other) => other.getXmlFragment('prosemirror').insert(0, [paragraph('b', {})]))
  assert.equal(meta.get('schema'), undefined)
  text.insert(0, [paragraph('c', {})])
  assert.equal(meta.get('schema'), schemaNumber)
  meta.set('schema', schemaNumber + 1)
  text.insert(0, [paragraph('d', {})])
  assert.equal(meta.get('schema'), schemaNumber + 1)
})

function documentOf(content: Y.XmlElement): { doc: Y.Doc; text: Y.XmlFragment } {
  const doc = new Y.Doc()
  const text = doc.getXmlFragment('prosemirror')
  text.insert(0, [content])
  return { doc, text }
}

function paragraph(words: string, marks: object): Y.XmlElement {
  const element = new Y.XmlElement('paragraph')
  const text = new Y.XmlText()
  text.insert(0, words, marks)
  element.insert(0, [text])
  return element
}

/** Lets `doc` receive an edit that another replica of it made. */
function receive(doc: Y.Doc, edit: (other: Y.Doc) => void): void {
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  edit(other)
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(other), 'remote')
}

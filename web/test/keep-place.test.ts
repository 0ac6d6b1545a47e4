import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Schema, type Node } from '@tiptap/pm/model'
import { placeAfterSplit } from '../src/editor/keep-place.ts'

const schema = new Schema({
  nodes: {
    doc: { content: 'block+' },
    paragraph: { content: 'text*', group: 'block' },
    item: { content: 'paragraph+', group: 'block' },
    text: {},
  },
})

test('a place behind a split moves into the new paragraph', () => {
  assert.equal(moved('one |two', 'one/', ' two', 'one'), null)
  assert.equal(moved('hello brave |world', 'hello |', 'brave world'), 'brave |world')
  assert.equal(moved('hello world|', 'hello |', 'world'), 'world|')
  assert.equal(moved('hello |world', 'hello |', 'world'), '|world')
  assert.equal(moved('hello brave |world', '|', 'hello brave world'), 'hello brave |world')
})

test('words typed at the start of the new paragraph are no hindrance', () => {
  assert.equal(moved('hello brave |world', 'hello |', 'and so brave world'), 'and so brave |world')
})

test('any other edit leaves the place alone', () => {
  assert.equal(moved('hello brave |world', 'hello brave |world', 'next'), null)
  assert.equal(moved('hello world|', 'hello world|', 'next'), null)
  assert.equal(moved('hello brave |world', 'hello |', 'something else'), null)
  assert.equal(moved('hello brave |world', 'hello |'), null)
})

test('the new paragraph may be in another list item', () => {
  const before = schema.node('doc', null, [item('hello brave world')])
  const after = schema.node('doc', null, [item('hello '), item('brave world')])
  const place = placeAfterSplit(before.resolve(2 + 12), after.resolve(2 + 6))
  assert.equal(place === null ? null : after.resolve(place).parent.textBetween(0, after.resolve(place).parentOffset), 'brave ')
})

/** Blocks are given as text with `|` where the place is. Returns the block that it moved to. */
function moved(before: string, ...after: string[]): string | null {
  const old = locate([before])
  const now = locate(after)
  const place = placeAfterSplit(old.doc.resolve(old.place), now.doc.resolve(now.place))
  if (place === null) return null
  const { parent, parentOffset } = now.doc.resolve(place)
  return `${parent.textContent.slice(0, parentOffset)}|${parent.textContent.slice(parentOffset)}`
}

function locate(blocks: string[]): { doc: Node; place: number } {
  const doc = schema.node('doc', null, blocks.map((block) => paragraph(block.replace('|', ''))))
  let start = 0
  for (const block of blocks) {
    if (block.includes('|')) return { doc, place: start + 1 + block.indexOf('|') }
    start += block.length + 2
  }
  return { doc, place: 1 }
}

function item(words: string): Node {
  return schema.node('item', null, [paragraph(words)])
}

function paragraph(words: string): Node {
  return schema.node('paragraph', null, words === '' ? [] : [schema.text(words)])
}

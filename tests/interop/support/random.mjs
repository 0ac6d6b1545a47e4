import * as Y from 'yjs'

/** Numbers that look random and are the same for the same seed (a 32-bit xorshift). */
export class Random {
  #state

  constructor(seed) {
    this.#state = seed | 0 || 1
  }

  /** A whole number from 0 up to, not including, `bound`. */
  below(bound) {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % bound
  }

  pick(list) {
    return list[this.below(list.length)]
  }
}

const WORDS = ['a', 'und', 'été', 'слово', '字', '🧶', '\n', ' ', 'longer words too']

/** One edit of a kind, place and size that `random` chooses. */
export function editAnything(doc, random) {
  doc.transact(() => random.pick(EDITS)(doc, random))
}

/** All that these edits have made, in a form to compare. */
export const content = doc => ({
  text: doc.getText('text').toDelta(),
  map: doc.getMap('map').toJSON(),
  array: doc.getArray('array').toJSON(),
  xml: doc.getXmlFragment('xml').toString()
})

const EDITS = [typeText, typeText, typeText, cutText, formatText, setKey, deleteKey, insertItem, deleteItem, growXml]

function typeText(doc, random) {
  const text = doc.getText('text')
  text.insert(placeIn(text, random), random.pick(WORDS))
}

function cutText(doc, random) {
  const text = doc.getText('text')
  const [start, end] = rangeIn(text, random)
  text.delete(start, end - start)
}

function formatText(doc, random) {
  const text = doc.getText('text')
  const [start, end] = rangeIn(text, random)
  text.format(start, end - start, { bold: random.pick([true, null]) })
}

function setKey(doc, random) {
  doc.getMap('map').set(`key ${random.below(6)}`, random.pick([random.below(1000), Y.Array.from([random.below(9)]), 'text']))
}

function deleteKey(doc, random) {
  doc.getMap('map').delete(`key ${random.below(6)}`)
}

function insertItem(doc, random) {
  const array = doc.getArray('array')
  array.insert(placeIn(array, random), [random.pick([random.below(1000), new Y.Text(random.pick(WORDS)), null])])
}

function deleteItem(doc, random) {
  const array = doc.getArray('array')
  if (array.length) array.delete(random.below(array.length))
}

function growXml(doc, random) {
  const xml = doc.getXmlFragment('xml')
  const element = new Y.XmlElement(random.pick(['p', 'h1']))
  xml.insert(placeIn(xml, random), [element])
  element.setAttribute('n', String(random.below(10)))
  element.insert(0, [new Y.XmlText(random.pick(WORDS))])
}

function placeIn(type, random) {
  const place = random.below(type.length + 1)
  return type instanceof Y.Text ? wholeCharacter(type, place) : place
}

function rangeIn(text, random) {
  const start = placeIn(text, random)
  return [start, wholeCharacter(text, Math.min(start + random.below(7), text.length))]
}

// Editors never cut a surrogate pair, and Yjs doesn't promise to converge where both halves are cut at once.
const wholeCharacter = (text, place) => /[\udc00-\udfff]/.test(text.toString()[place] ?? '') ? place - 1 : place

// Yjs alone: every shared type and every kind of content. What these make is the same each time.
import * as Y from 'yjs'
import { Random, editAnything } from '../support/random.mjs'
import { person } from './recorder.mjs'

const ALL = { text: 'text', map: 'map', array: 'array', xml: 'fragment' }

export const plain = {
  'text'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getText('text').insert(0, 'The quick fox')
    recorder.settle()
    b.getText('text').insert(10, 'brown ')
    a.getText('text').delete(0, 4)
    recorder.settle()
    for (const letter of ' jumps') a.getText('text').insert(a.getText('text').length, letter)
    recorder.settle()
    b.getText('text').delete(2, 9)
    a.getText('text').insert(5, '|')
    return { text: 'text' }
  },

  'formatting'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const text = a.getText('text')
    text.applyDelta([
      { insert: 'bold', attributes: { bold: true } },
      { insert: ' and ' },
      { insert: 'linked', attributes: { link: { href: '#', marks: ['a', null] }, size: 1.5 } }
    ])
    recorder.settle()
    a.getText('text').format(2, 8, { italic: true })
    b.getText('text').format(0, 6, { bold: null })
    recorder.settle()
    b.getText('text').delete(3, 5)
    a.getText('text').insert(4, 'in bold', { bold: true })
    recorder.settle()
    a.getText('text').format(0, a.getText('text').length, { bold: null, italic: null })
    a.getText('text').setAttribute('direction', 'ltr')
    return { text: 'text' }
  },

  'embeds'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getText('text').insert(0, 'before after')
    recorder.settle()
    a.getText('text').insertEmbed(7, { image: 'x.png', size: [1, 2] })
    b.getText('text').insertEmbed(7, 'plain', { bold: true })
    recorder.settle()
    a.getText('text').insertEmbed(0, new Y.Map([['a', 'map']]))
    b.getText('text').delete(6, 3)
    return { text: 'text' }
  },

  'array'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getArray('array').push([1, 'two', null, true, { three: [3] }, 4.5])
    recorder.settle()
    b.getArray('array').insert(2, ['b', -0])
    a.getArray('array').delete(1, 3)
    recorder.settle()
    a.getArray('array').insert(0, [new Y.Array(), new Y.Map([['k', 1]]), new Y.Text('inner')])
    recorder.settle()
    b.getArray('array').get(0).push(['deep', new Y.Array()])
    b.getArray('array').get(2).insert(5, ' text')
    a.getArray('array').delete(1, 1)
    b.getArray('array').get(1).set('k', 2)
    return { array: 'array' }
  },

  'map'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    for (const [key, value] of Object.entries({ a: 1, b: 'two', c: { three: [3, {}] }, '': 'empty key', '🧶': 'astral key' })) {
      a.getMap('map').set(key, value)
    }
    recorder.settle()
    a.getMap('map').set('a', 'by a')
    b.getMap('map').set('a', 'by b')
    b.getMap('map').delete('b')
    a.getMap('map').set('b', 'back')
    recorder.settle()
    for (let i = 0; i < 5; i++) a.getMap('map').set('counter', i)
    b.getMap('map').set('nested', new Y.Map([['inner', new Y.Array()]]))
    recorder.settle()
    a.getMap('map').get('nested').get('inner').push(['deep'])
    b.getMap('map').set('nested', 'no more')
    return { map: 'map' }
  },

  'values of every kind'(recorder) {
    const a = person(recorder, 1)
    const values = {
      undefined: undefined,
      null: null,
      'true': true,
      zero: 0,
      minus: -1,
      'large integer': Number.MAX_SAFE_INTEGER,
      'integer of 32 bits': 2 ** 31,
      'integer of 31 bits': -(2 ** 31) + 1,
      'fraction of 32 bits': 0.5,
      'fraction of 64 bits': 0.1,
      'smallest fraction': Number.MIN_VALUE,
      NaN: NaN,
      Infinity: Infinity,
      bigint: 5n,
      'large bigint': 2n ** 60n + 1n,
      'negative bigint': -(2n ** 62n) - 1n,
      text: 'déjà vu 🧶\0\ufeff',
      'long text': 'x'.repeat(3000),
      bytes: new Uint8Array([0, 127, 128, 255]),
      'no bytes': new Uint8Array(0),
      nested: [[], {}, [[{}]], { a: undefined, b: [null, { c: new Uint8Array([1]) }], 2: 'two', '': '' }],
      deep: Array.from({ length: 40 }).reduce(inner => [inner], 'core')
    }
    for (const [key, value] of Object.entries(values)) a.getMap('map').set(key, value)
    a.getArray('array').push(Object.values(values).map(value => ({ value })))
    a.getArray('array').push([new Uint8Array([9]), new Uint8Array(0)])
    return { map: 'map', array: 'array' }
  },

  'xml'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const paragraph = new Y.XmlElement('p')
    const words = new Y.XmlText('some words')
    paragraph.insert(0, [words])
    paragraph.setAttribute('align', 'left')
    a.getXmlFragment('xml').insert(0, [new Y.XmlElement('h1'), paragraph, new Y.XmlText('loose')])
    recorder.settle()
    words.format(0, 4, { bold: {} })
    b.getXmlFragment('xml').get(1).setAttribute('align', 'right')
    a.getXmlFragment('xml').get(1).setAttribute('align', 'middle')
    b.getXmlFragment('xml').get(1).insert(0, [new Y.XmlElement('br')])
    recorder.settle()
    a.getXmlFragment('xml').delete(0, 1)
    b.getXmlFragment('xml').get(0).insert(0, [new Y.XmlText('in the deleted')])
    b.getXmlFragment('xml').get(1).get(1).insert(4, ' more')
    recorder.settle()
    a.getXmlFragment('xml').get(0).removeAttribute('align')
    a.getXmlFragment('xml').get(1).setAttribute('mark', 1)
    return { xml: 'fragment' }
  },

  'xml nested deep'(recorder) {
    const a = person(recorder, 1)
    let parent = a.getXmlFragment('xml')
    for (let depth = 0; depth < 30; depth++) {
      const element = new Y.XmlElement(`level${depth}`)
      parent.insert(0, [element])
      element.setAttribute('depth', depth)
      parent = element
    }
    parent.insert(0, [new Y.XmlText('bottom')])
    return { xml: 'fragment' }
  },

  'types in types'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const list = new Y.Array()
    a.getMap('map').set('list', list)
    list.push([new Y.Map(), new Y.Text('t'), new Y.XmlElement('e'), new Y.XmlText('xt'), new Y.XmlFragment()])
    recorder.settle()
    const theirs = b.getMap('map').get('list')
    theirs.get(0).set('back', new Y.Array())
    theirs.get(1).insertEmbed(1, new Y.XmlText('embedded'))
    list.get(2).insert(0, [new Y.XmlElement('f')])
    list.get(4).insert(0, [new Y.XmlElement('g')])
    recorder.settle()
    // All of it is deleted while somebody writes in it.
    a.getMap('map').set('list', new Y.Array())
    theirs.get(1).insert(0, 'lost')
    theirs.get(0).get('back').push([new Y.Map([['lost', true]])])
    recorder.settle()
    b.getMap('map').get('list').push(['new'])
    return { map: 'map' }
  },

  'sub-documents'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getMap('map').set('chapter', new Y.Doc({ guid: 'chapter one', meta: { title: 'One' }, autoLoad: true }))
    a.getArray('array').push([new Y.Doc({ guid: 'second', gc: false }), 'between', new Y.Doc({ guid: 'third' })])
    recorder.settle()
    b.getMap('map').set('chapter', new Y.Doc({ guid: 'chapter two' }))
    a.getArray('array').delete(0, 1)
    recorder.settle()
    b.getMap('map').get('chapter').load()
    return { map: 'map', array: 'array' }
  },

  'undo and redo'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const undo = new Y.UndoManager([a.getText('text'), a.getMap('map'), a.getXmlFragment('xml')], { captureTimeout: 0 })
    a.getText('text').insert(0, 'one two three')
    a.getText('text').delete(4, 4)
    a.getText('text').format(0, 3, { bold: true })
    a.getMap('map').set('k', new Y.Map([['inner', 1]]))
    a.getXmlFragment('xml').insert(0, [new Y.XmlElement('p')])
    recorder.settle()
    b.getText('text').insert(2, 'by b')
    b.getMap('map').get('k').set('inner', 2)
    b.getXmlFragment('xml').get(0).insert(0, [new Y.XmlText('written by b')])
    recorder.settle()
    for (let i = 0; i < 4; i++) undo.undo()
    recorder.settle()
    for (let i = 0; i < 3; i++) undo.redo()
    recorder.settle()
    undo.undo()
    b.getText('text').delete(0, 2)
    undo.redo()
    recorder.settle()
    undo.undo()
    return { text: 'text', map: 'map', xml: 'fragment' }
  },

  'emoji and surrogates'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getText('text').insert(0, 'a🧶b👩‍👩‍👧‍👦c')
    recorder.settle()
    // Yjs lets them be cut: each half becomes U+FFFD.
    a.getText('text').insert(2, '|')
    recorder.settle()
    b.getText('text').delete(5, 1)
    recorder.settle()
    b.getText('text').insert(0, '😀😀😀')
    a.getText('text').insert(8, '🎉')
    recorder.settle()
    a.getText('text').delete(1, 2)
    recorder.settle()
    b.getMap('map').set('half', '\ud83d')
    b.getText('text').format(0, 3, { '🧶': '🧶' })
    return { text: 'text', map: 'map' }
  },

  'half a pair in JSON'(recorder) {
    // A title that was cut in the midst of an emoji, say.
    const a = person(recorder, 1)
    a.getText('text').insert(0, 'words')
    a.getText('text').format(0, 3, { link: 'cut \ud83d' })
    a.getText('text').insertEmbed(5, { title: 'cut \ud83d', '\ude00': 1 })
    return { text: 'text' }
  },

  'pairs cut by both at once'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    a.getText('text').insert(0, '😀😀😀😀')
    recorder.settle()
    a.getText('text').insert(1, 'A')
    b.getText('text').delete(4, 2)
    recorder.settle()
    b.getText('text').insert(2, 'B')
    a.getText('text').delete(0, 3)
    return { text: 'text' }
  },

  'deletes of deletes'(recorder) {
    const people = [1, 2, 3].map(session => person(recorder, session))
    people[0].getText('text').insert(0, 'abcdefghijklmnopqrstuvwxyz')
    people[0].getArray('array').push([1, 2, 3, 4, 5])
    recorder.settle()
    people[0].getText('text').delete(2, 10)
    people[1].getText('text').delete(5, 10)
    people[2].getText('text').delete(0, 26)
    people.forEach(doc => doc.getArray('array').delete(1, 3))
    recorder.settle()
    people[1].getText('text').insert(0, 'anew')
    recorder.settle()
    people.forEach(doc => doc.getText('text').delete(1, 2))
    return { text: 'text', array: 'array' }
  },

  'many at once'(recorder) {
    const people = Array.from({ length: 12 }, (_, index) => person(recorder, index + 1, { clientID: 7 + index * 331337 }))
    people.forEach((doc, index) => doc.getText('text').insert(0, `#${index} `))
    recorder.settle()
    people.forEach((doc, index) => {
      doc.getText('text').insert(index, 'x')
      doc.getArray('array').insert(0, [index])
      doc.getMap('map').set('last', index)
    })
    return { text: 'text', array: 'array', map: 'map' }
  },

  'great ids'(recorder) {
    const ids = [0, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]
    const people = ids.map((clientID, index) => person(recorder, index + 1, { clientID }))
    people.forEach((doc, index) => doc.getText('text').insert(0, String(index)))
    recorder.settle()
    people.forEach(doc => doc.getText('text').insert(3, '.'))
    return { text: 'text' }
  },

  'without garbage collection'(recorder) {
    const [a, b] = [person(recorder, 1, { gc: false }), person(recorder, 2)]
    for (let i = 0; i < 5; i++) a.getMap('map').set('k', i)
    a.getText('text').insert(0, 'deleted and kept')
    a.getText('text').delete(0, 12)
    a.getArray('array').push([new Y.Map([['a', 1]]), 2, 3])
    a.getArray('array').delete(0, 2)
    recorder.send(1, Y.encodeStateAsUpdate(a))
    recorder.settle()
    b.getText('text').insert(0, 'b ')
    b.getMap('map').set('k', 'b')
    recorder.send(2, Y.encodeStateAsUpdate(b))
    recorder.send(1, Y.encodeStateAsUpdate(a))
    return { text: 'text', map: 'map', array: 'array' }
  },

  'anything, two people'(recorder) {
    return anything(recorder, 2, 150, 11)
  },

  'anything, five people'(recorder) {
    return anything(recorder, 5, 300, 12)
  },

  'anything, with and without garbage collection'(recorder) {
    return anything(recorder, 3, 150, 13, session => ({ gc: session !== 2 }))
  },

  'one transaction of much'(recorder) {
    const a = person(recorder, 1)
    const random = new Random(5)
    a.transact(() => {
      for (let i = 0; i < 300; i++) editAnything(a, random)
    })
    return ALL
  },

  'a long text typed'(recorder) {
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const random = new Random(21)
    for (let i = 0; i < 400; i++) {
      const doc = random.below(4) ? a : b
      const text = doc.getText('text')
      const at = random.below(5) ? text.length : random.below(text.length + 1)
      if (random.below(6) || at === 0) text.insert(at, 'abcdefgh '[i % 9])
      else text.delete(at - 1, 1)
      if (i % 7 === 0) recorder.settle()
    }
    return { text: 'text' }
  }
}

function anything(recorder, count, edits, seed, options = () => ({})) {
  const random = new Random(seed)
  const people = Array.from({ length: count }, (_, index) => person(recorder, index + 1, options(index + 1)))
  for (let i = 0; i < edits; i++) {
    editAnything(random.pick(people), random)
    if (random.below(3) === 0) recorder.hear(1 + random.below(count))
  }
  return ALL
}

// Yjs as it was, and as it will be, each with a client of today beside it.
import * as Y from 'yjs'
import * as Y14 from '@y/y'
import { createRequire } from 'node:module'
import { person } from './recorder.mjs'

const load = createRequire(import.meta.url)

/** An edit of every shared type, as all versions of Yjs 13 have them. */
function edit(Yjs, doc, round) {
  const text = doc.getText('text')
  text.insert(0, `round ${round} 🧶 `)
  text.insert(text.length, 'bold', { bold: true })
  text.delete(2, 3)
  text.insertEmbed(1, { image: round })
  text.format(0, 4, { italic: true })
  const map = doc.getMap('map')
  map.set('k', { a: [1, 'x', null, true], round })
  map.set('nested', new Yjs.Map())
  map.get('nested').set('in', new Yjs.Array())
  map.set('bytes', new Uint8Array([1, 2, round]))
  const array = doc.getArray('array')
  array.insert(0, [round, 'two', { three: 3 }, [null]])
  array.delete(1, 1)
  array.insert(1, [new Yjs.Text()])
  array.get(1).insert(0, 'inner')
  const xml = doc.getXmlFragment('xml')
  const element = new Yjs.XmlElement('p')
  xml.insert(0, [element])
  element.setAttribute('n', String(round))
  element.insert(0, [new Yjs.XmlText('words')])
}

const together = (version, name = `yjs-${version}`) => ({
  packages: [name, 'yjs'],
  run(recorder) {
    const Old = load(name)
    const old = new Old.Doc()
    old.clientID = 1001
    recorder.connect(old, 1, Old)
    const today = person(recorder, 2)
    edit(Old, old, 1)
    recorder.settle()
    edit(Y, today, 2)
    recorder.settle()
    edit(Old, old, 3)
    edit(Y, today, 4)
    recorder.settle()
    recorder.send(1, Old.encodeStateAsUpdate(old))
    return { text: 'text', map: 'map', array: 'array', xml: 'fragment' }
  }
})

export const old = {
  // The last that wrote ContentJSON. It can't read ContentAny, which came with 13.0.0.
  'Yjs 13.0.0-93': {
    packages: ['yjs-13.0.0-93', 'yjs'],
    run(recorder) {
      const Old = load('yjs-13.0.0-93')
      const old = new Old.Doc()
      old.clientID = 1001
      recorder.connect(old, 1, Old)
      const today = person(recorder, 2)
      edit(Old, old, 1)
      recorder.settle()
      today.getText('text').insert(3, 'today ')
      today.getArray('array').delete(0, 1)
      today.getMap('map').delete('bytes')
      edit(Old, old, 2)
      recorder.settle()
      old.getArray('array').insert(2, [1, 2, 3, 'four', { five: [5] }])
      old.getMap('map').set('undefined', { is: undefined })
      recorder.settle()
      today.getArray('array').delete(4, 2)
      recorder.send(1, Old.encodeStateAsUpdate(old))
      return { text: 'text', map: 'map', array: 'array', xml: 'fragment' }
    }
  },
  'Yjs 13.0.0': together('13.0.0'),
  'Yjs 13.4': together('13.4.14'),
  'Yjs 13.5.0': together('13.5.0'),
  'Yjs 14': {
    packages: ['@y/y', 'yjs'],
    run(recorder) {
      const doc = new Y14.Doc()
      doc.clientID = 1001
      recorder.connect(doc, 1, Y14)
      const today = person(recorder, 2)
      const text = doc.get('text')
      text.insert(0, 'hello 🧶')
      text.format(0, 5, { bold: true })
      doc.get('map').setAttr('k', [1, { two: 2 }])
      doc.get('array').insert(0, [1, 'two', null])
      recorder.settle()
      today.getText('text').insert(3, '|')
      today.getMap('map').set('k', 'today')
      today.getArray('array').delete(1, 1)
      recorder.settle()
      text.delete(0, 2)
      doc.get('map').setAttr('k2', 2)
      return { text: 'text', map: 'map', array: 'array' }
    }
  }
}

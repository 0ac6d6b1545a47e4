// Documents of records, as drawing boards keep them: maps of maps, and y-utility's list of keys and values.
import * as Y from 'yjs'
import { YKeyValue } from 'y-utility/y-keyvalue'
import { Random } from '../../support/random.mjs'
import { person } from '../recorder.mjs'

const shape = (id, random) => ({
  id,
  typeName: 'shape',
  type: 'geo',
  x: random.below(1000) / 8,
  y: random.below(1000) / 8,
  rotation: 0,
  index: `a${id}`,
  parentId: 'page:page',
  isLocked: false,
  opacity: 1,
  props: { w: 100, h: 50, geo: 'rectangle', color: 'black', richText: { type: 'doc', content: [{ type: 'paragraph' }] } },
  meta: {}
})

export const records = {
  'records in a list of keys and values': {
    packages: ['y-utility'],
    run(recorder) {
      const random = new Random(31)
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(doc => new YKeyValue(doc.getArray('tl_room')))
      for (let i = 0; i < 12; i++) a.set(`shape:${i}`, shape(i, random))
      recorder.settle()
      for (let i = 0; i < 60; i++) {
        const records = random.pick([a, b])
        const id = random.below(14)
        if (random.below(8)) records.set(`shape:${id}`, shape(id, random))
        else records.delete(`shape:${id}`)
        if (i % 5 === 0) recorder.settle()
      }
      return { tl_room: 'array' }
    }
  },
  'records in maps': {
    packages: ['yjs'],
    run(recorder) {
      const random = new Random(32)
      const docs = [person(recorder, 1), person(recorder, 2)]
      for (let i = 0; i < 10; i++) {
        docs[0].getMap('records').set(`shape:${i}`, new Y.Map(Object.entries(shape(i, random))))
      }
      recorder.settle()
      for (let i = 0; i < 80; i++) {
        const records = random.pick(docs).getMap('records')
        const record = records.get(`shape:${random.below(10)}`)
        if (!random.below(10)) records.delete(`shape:${random.below(10)}`)
        else record?.set(random.pick(['x', 'y']), random.below(1000) / 8)
        if (i % 6 === 0) recorder.settle()
      }
      return { records: 'map' }
    }
  }
}

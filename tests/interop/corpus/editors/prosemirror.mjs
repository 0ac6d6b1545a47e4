import { hear, place } from './dom.mjs'
import { schema } from 'prosemirror-schema-basic'
import { EditorState } from 'prosemirror-state'
import { EditorView } from 'prosemirror-view'
import { redo, undo, ySyncPlugin, yUndoPlugin } from 'y-prosemirror'
import { person } from '../recorder.mjs'

function open(doc) {
  const plugins = [ySyncPlugin(doc.getXmlFragment('prosemirror')), yUndoPlugin()]
  return new EditorView(place(), { state: EditorState.create({ schema, plugins }) })
}

const paragraph = (...content) => schema.node('paragraph', null, content)

export const prosemirror = {
  'y-prosemirror': {
    packages: ['y-prosemirror', 'prosemirror-view', 'prosemirror-schema-basic'],
    async run(recorder) {
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(open)
      const heard = () => hear(recorder)
      await heard()
      const edit = (view, change) => view.dispatch(change(view.state.tr))
      edit(a, tr => tr.insert(0, [
        schema.node('heading', { level: 1 }, [schema.text('Title')]),
        paragraph(schema.text('plain '), schema.text('strong', [schema.mark('strong')]), schema.text(' 🧶'))
      ]))
      await heard()
      for (let i = 0; i < 10; i++) edit(b, tr => tr.insertText('x', 3 + i))
      edit(a, tr => tr.addMark(8, 14, schema.mark('em')))
      await heard()
      edit(a, tr => tr.split(10))
      edit(b, tr => tr.delete(2, 6))
      await heard()
      edit(b, tr => tr.insert(0, schema.node('blockquote', null, [paragraph(schema.text('quoted'))])))
      edit(a, tr => tr.insert(tr.doc.content.size, schema.node('image', { src: 'x.png' })))
      await heard()
      undo(a.state)
      await heard()
      redo(a.state)
      edit(b, tr => tr.setNodeMarkup(0, schema.nodes.blockquote))
      await heard()
      edit(a, tr => tr.removeMark(0, tr.doc.content.size))
      await heard()
      ;[a, b].forEach(view => view.destroy())
      return { prosemirror: 'fragment' }
    }
  }
}

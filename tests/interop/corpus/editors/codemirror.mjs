import { later, place } from './dom.mjs'
import { EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import * as Y from 'yjs'
import { yCollab } from 'y-codemirror.next'
import { person } from '../recorder.mjs'

function open(doc) {
  const text = doc.getText('codemirror')
  const undoManager = new Y.UndoManager(text)
  const state = EditorState.create({ doc: text.toString(), extensions: [yCollab(text, null, { undoManager })] })
  return { view: new EditorView({ state, parent: place() }), undoManager }
}

export const codemirror = {
  'CodeMirror': {
    packages: ['@codemirror/view', '@codemirror/state', 'y-codemirror.next'],
    async run(recorder) {
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(open)
      const edit = ({ view }, ...changes) => view.dispatch({ changes })
      const end = ({ view }) => view.state.doc.length
      edit(a, { from: 0, insert: 'function f() {\n  return "🧶"\n}\n' })
      recorder.settle()
      for (const letter of '// typed\n') edit(b, { from: end(b), insert: letter })
      edit(a, { from: 9, to: 10, insert: 'long_name' }, { from: 20, insert: ' ' })
      recorder.settle()
      // Several carets at once, and a replacement of much.
      edit(b, { from: 0, insert: '// ' }, { from: 15, insert: '// ' }, { from: 30, to: 33 })
      recorder.settle()
      a.undoManager.undo()
      edit(b, { from: 2, to: 25, insert: 'x'.repeat(30) })
      recorder.settle()
      a.undoManager.redo()
      edit(b, { from: 0, to: end(b), insert: 'all new' })
      edit(a, { from: 5, insert: 'at the same time' })
      await later()
      recorder.settle()
      ;[a, b].forEach(({ view }) => view.destroy())
      return { codemirror: 'text' }
    }
  }
}

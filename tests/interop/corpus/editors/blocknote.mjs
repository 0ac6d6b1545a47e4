import { hear, place } from './dom.mjs'
import { BlockNoteEditor } from '@blocknote/core'
import { person } from '../recorder.mjs'

function open(doc, index) {
  const editor = BlockNoteEditor.create({
    collaboration: {
      fragment: doc.getXmlFragment('blocknote'),
      user: { name: `Person ${index}`, color: '#000000' },
      provider: { awareness: undefined }
    }
  })
  editor.mount(place())
  return editor
}

export const blocknote = {
  'BlockNote': {
    packages: ['@blocknote/core'],
    async run(recorder) {
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(open)
      const heard = () => hear(recorder)
      await heard()
      a.replaceBlocks(a.document, [
        { type: 'heading', props: { level: 2 }, content: 'A heading' },
        { type: 'paragraph', content: [{ type: 'text', text: 'styled 🧶', styles: { bold: true, textColor: 'red' } }] },
        { type: 'bulletListItem', content: 'one', children: [{ type: 'bulletListItem', content: 'nested' }] },
        { type: 'table', content: { type: 'tableContent', rows: [{ cells: ['a', 'b'] }, { cells: ['c', 'd'] }] } }
      ])
      await heard()
      b.updateBlock(b.document[1], { content: 'changed by b' })
      a.insertBlocks([{ type: 'checkListItem', props: { checked: true }, content: 'done' }], a.document[0], 'after')
      await heard()
      b.nestBlock && b.setTextCursorPosition(b.document[2], 'end')
      b.insertInlineContent([{ type: 'text', text: ' at the caret', styles: {} }])
      a.removeBlocks([a.document[3]])
      await heard()
      a.undo()
      await heard()
      a.redo()
      b.moveBlocksUp?.()
      await heard()
      return { blocknote: 'fragment' }
    }
  }
}

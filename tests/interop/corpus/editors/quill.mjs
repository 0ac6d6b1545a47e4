import { hear, place } from './dom.mjs'
import { QuillBinding } from 'y-quill'
import { person } from '../recorder.mjs'

const { default: Quill } = await import('quill')

export const quill = {
  'Quill': {
    packages: ['quill', 'y-quill'],
    async run(recorder) {
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(doc => {
        const quill = new Quill(place())
        return { quill, binding: new QuillBinding(doc.getText('quill'), quill) }
      })
      const heard = () => hear(recorder)
      a.quill.setContents([
        { insert: 'Heading' },
        { insert: '\n', attributes: { header: 1 } },
        { insert: 'bold 🧶', attributes: { bold: true } },
        { insert: ' and plain\n' }
      ], 'user')
      await heard()
      b.quill.insertText(9, 'inserted ', { italic: true }, 'user')
      a.quill.formatText(0, 7, { color: '#ff0000' }, 'user')
      await heard()
      a.quill.insertEmbed(8, 'image', 'https://example.org/x.png', 'user')
      b.quill.formatLine(10, 1, { list: 'bullet' }, 'user')
      await heard()
      for (const letter of 'typed') b.quill.insertText(b.quill.getLength() - 1, letter, 'user')
      a.quill.deleteText(2, 6, 'user')
      await heard()
      a.quill.removeFormat(0, a.quill.getLength(), 'user')
      await heard()
      ;[a, b].forEach(({ binding }) => binding.destroy())
      return { quill: 'text' }
    }
  }
}

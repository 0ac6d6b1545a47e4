import { hear, place } from './dom.mjs'
import { Editor } from '@tiptap/core'
import Collaboration from '@tiptap/extension-collaboration'
import StarterKit from '@tiptap/starter-kit'
import { person } from '../recorder.mjs'

const open = document => new Editor({
  element: place(),
  extensions: [StarterKit.configure({ undoRedo: false }), Collaboration.configure({ document, field: 'default' })]
})

export const tiptap = {
  'Tiptap': {
    packages: ['@tiptap/core', '@tiptap/starter-kit', '@tiptap/extension-collaboration', '@tiptap/y-tiptap'],
    async run(recorder) {
      const docs = [person(recorder, 1), person(recorder, 2)]
      const [a, b] = docs.map(open)
      const heard = () => hear(recorder)
      a.commands.setContent('<h1>A title</h1><p>Some <strong>bold</strong> and <a href="https://example.org">linked</a> words 🧶</p>')
      await heard()
      b.chain().setTextSelection(12).insertContent('more ').run()
      a.chain().setTextSelection({ from: 10, to: 20 }).toggleItalic().run()
      await heard()
      for (const letter of 'typed letter by letter') a.commands.insertContentAt(a.state.doc.content.size - 1, letter)
      await heard()
      b.chain().setTextSelection(14).splitBlock().toggleBulletList().run()
      a.chain().setTextSelection(3).toggleHeading({ level: 2 }).run()
      await heard()
      a.commands.insertContent('<ul><li><p>one</p></li><li><p>two</p><ol start="3"><li><p>deep</p></li></ol></li></ul><hr><pre><code class="language-js">let a = 1\n</code></pre>')
      await heard()
      a.commands.undo()
      b.chain().selectAll().unsetAllMarks().run()
      await heard()
      a.commands.redo()
      await heard()
      b.chain().setTextSelection({ from: 2, to: 30 }).deleteSelection().run()
      a.chain().setTextSelection(5).insertContent('at the same time').run()
      await heard()
      ;[a, b].forEach(editor => editor.destroy())
      return { default: 'fragment' }
    }
  }
}

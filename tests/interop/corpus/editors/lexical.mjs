import { later } from './dom.mjs'
import { createHeadlessEditor } from '@lexical/headless'
import { HeadingNode, QuoteNode, $createHeadingNode } from '@lexical/rich-text'
import { createBinding, syncLexicalUpdateToYjs, syncYjsChangesToLexical } from '@lexical/yjs'
import { $createParagraphNode, $createTextNode, $getRoot } from 'lexical'
import * as Y from 'yjs'
import { person } from '../recorder.mjs'

// No presence: the provider is what the binding asks it for.
const provider = {
  awareness: { getLocalState: () => null, setLocalState() {}, getStates: () => new Map(), on() {}, off() {} },
  on() {},
  off() {}
}

function open(doc) {
  const editor = createHeadlessEditor({ nodes: [HeadingNode, QuoteNode], onError: error => { throw error } })
  const binding = createBinding(editor, provider, 'lexical', doc, new Map([['lexical', doc]]))
  editor.registerUpdateListener(({ prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags }) => {
    syncLexicalUpdateToYjs(binding, provider, prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags)
  })
  binding.root.getSharedType().observeDeep((events, transaction) => {
    if (transaction.origin !== binding) syncYjsChangesToLexical(binding, provider, events, transaction.origin instanceof Y.UndoManager)
  })
  return editor
}

export const lexical = {
  'Lexical': {
    packages: ['lexical', '@lexical/yjs', '@lexical/headless'],
    async run(recorder) {
      const [a, b] = [person(recorder, 1), person(recorder, 2)].map(open)
      const edit = async (editor, change) => {
        editor.update(change, { discrete: true })
        await later()
      }
      const heard = async () => {
        recorder.settle()
        await later()
      }
      await edit(a, () => {
        const heading = $createHeadingNode('h1').append($createTextNode('A title'))
        const words = $createTextNode('bold 🧶')
        words.toggleFormat('bold')
        $getRoot().append(heading, $createParagraphNode().append($createTextNode('plain '), words))
      })
      await heard()
      await edit(b, () => $getRoot().getLastChild().append($createTextNode(' by b')))
      await edit(a, () => $getRoot().getFirstChild().getFirstChild().setTextContent('Another title'))
      await heard()
      await edit(a, () => $getRoot().append($createParagraphNode().append($createTextNode('third'))))
      await edit(b, () => $getRoot().getFirstChild().getFirstChild().spliceText(0, 2, 'XY'))
      await heard()
      await edit(b, () => $getRoot().getChildAtIndex(1).remove())
      await heard()
      return { root: 'xmltext' }
    }
  }
}

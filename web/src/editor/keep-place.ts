// Remote edits leave the reader where they are. y-prosemirror replaces the whole document for each of them: it
// scrolls to the caret, and loses the caret when somebody splits the paragraph in front of it.
import { Extension } from '@tiptap/core'
import type { Node, ResolvedPos } from '@tiptap/pm/model'
import { Plugin, TextSelection, type EditorState, type Transaction } from '@tiptap/pm/state'
import { ySyncPluginKey } from 'y-prosemirror'
import { holdView } from './hold-view.ts'

export const KeepPlace = Extension.create({
  name: 'keepPlace',

  dispatchTransaction({ transaction, next }) {
    if (!transaction.docChanged || !isOthers(transaction)) return next(transaction)
    const restore = holdView(this.editor.view)
    next(transaction)
    restore()
  },

  addProseMirrorPlugins: () => [keepPlace()],
})

function keepPlace(): Plugin {
  return new Plugin({
    filterTransaction(transaction) {
      // What these would append to an edit from there never gets there: it would only be seen here.
      if (comesFromShared(transaction)) transaction.setMeta('preventAutolink', true).setMeta('preventClearDocument', true)
      return true
    },
    appendTransaction(transactions, before, after) {
      return transactions.some(isOthers) ? followSplit(before, after) : null
    },
    props: {
      handleScrollToSelection: (view) => {
        const sync = ySyncPluginKey.getState(view.state) as { isChangeOrigin: boolean; isUndoRedoOperation: boolean }
        return sync.isChangeOrigin && !sync.isUndoRedoOperation
      },
    },
  })
}

/** Puts the selection's ends back behind the words they were behind, if a remote edit split their paragraphs. */
function followSplit(before: EditorState, after: EditorState): Transaction | null {
  if (!(before.selection instanceof TextSelection) || !(after.selection instanceof TextSelection)) return null
  const anchor = placeAfterSplit(before.selection.$anchor, after.selection.$anchor)
  const head = placeAfterSplit(before.selection.$head, after.selection.$head)
  if (anchor === null && head === null) return null
  const { selection, tr, doc } = after
  return tr
    .setSelection(TextSelection.create(doc, anchor ?? selection.anchor, head ?? selection.head))
    .setMeta(ySyncPluginKey, { isChangeOrigin: true })
    .setMeta('addToHistory', false)
}

/**
 * A split deletes the paragraph's tail and inserts it anew as the next paragraph, so a position in the tail falls
 * back to the end of what stayed. If that happened, returns the same position in the new paragraph.
 */
export function placeAfterSplit(before: ResolvedPos, after: ResolvedPos): number | null {
  const stayed = after.parent.textContent
  const whole = before.parent.textContent
  const fellBack = after.parentOffset === after.parent.content.size && before.parentOffset >= after.parentOffset
  if (!fellBack || stayed.length >= whole.length || !whole.startsWith(stayed)) return null
  const next = nextTextblock(after)
  if (next === null || !next.node.textContent.endsWith(whole.slice(stayed.length))) return null
  const tail = before.parent.content.size - before.parentOffset
  return next.start + next.node.content.size - tail
}

function nextTextblock(place: ResolvedPos): { node: Node; start: number } | null {
  const doc = place.doc
  let found: { node: Node; start: number } | null = null
  doc.nodesBetween(place.after(), doc.content.size, (node, pos) => {
    if (found === null && node.isTextblock) found = { node, start: pos + 1 }
    return found === null
  })
  return found
}

/** Edits of others, and one's own undo, come from the shared document. */
function comesFromShared(transaction: Transaction): boolean {
  return sync(transaction)?.isChangeOrigin === true
}

function isOthers(transaction: Transaction): boolean {
  return comesFromShared(transaction) && sync(transaction)?.isUndoRedoOperation !== true
}

function sync(transaction: Transaction): { isChangeOrigin?: boolean; isUndoRedoOperation?: boolean } | undefined {
  return transaction.getMeta(ySyncPluginKey)
}

// Binds the editor to the shared document: text, other people's carets, and undo of one's own edits only.
import { Extension } from '@tiptap/core'
import { yCursorPlugin, ySyncPlugin, yUndoPlugin, yUndoPluginKey, redo, undo } from 'y-prosemirror'
import type { EditorState, Transaction } from '@tiptap/pm/state'
import type { Session } from '../session/session.ts'
import { Carets } from './carets.ts'

declare module '@tiptap/core' {
  interface Commands<ReturnType> {
    collaboration: {
      undoOwn: () => ReturnType
      redoOwn: () => ReturnType
    }
  }
}

interface Options {
  session: Session
}

interface Storage {
  carets: Carets | null
}

export const Collaboration = Extension.create<Options, Storage>({
  name: 'collaboration',
  priority: 1000,

  addStorage: () => ({ carets: null }),

  addCommands: () => ({
    undoOwn: () => (props) => step(props, canUndo, undo),
    redoOwn: () => (props) => step(props, canRedo, redo),
  }),

  addKeyboardShortcuts() {
    return {
      'Mod-z': () => this.editor.commands.undoOwn(),
      'Mod-y': () => this.editor.commands.redoOwn(),
      'Shift-Mod-z': () => this.editor.commands.redoOwn(),
    }
  },

  addProseMirrorPlugins() {
    const { text, awareness } = this.options.session
    const carets = new Carets(awareness)
    this.storage.carets = carets
    return [
      ySyncPlugin(text),
      yCursorPlugin(awareness, { cursorBuilder: carets.buildCaret, selectionBuilder: carets.buildSelection }),
      yUndoPlugin(),
    ]
  },

  onDestroy() {
    this.storage.carets?.destroy()
  },
})

export function canUndo(state: EditorState): boolean {
  return (yUndoPluginKey.getState(state)?.undoManager.undoStack.length ?? 0) > 0
}

export function canRedo(state: EditorState): boolean {
  return (yUndoPluginKey.getState(state)?.undoManager.redoStack.length ?? 0) > 0
}

interface StepProps {
  tr: Transaction
  state: EditorState
  dispatch: unknown
}

/** Undo happens in the shared document and comes back from there, so the command's own transaction stays unused. */
function step({ tr, state, dispatch }: StepProps, can: (state: EditorState) => boolean, run: (state: EditorState) => boolean): boolean {
  tr.setMeta('preventDispatch', true)
  if (!can(state)) return false
  return dispatch ? run(state) : true
}

import type { Extensions } from '@tiptap/core'
import { TaskItem, TaskList } from '@tiptap/extension-list'
import { Placeholder } from '@tiptap/extensions/placeholder'
import StarterKit from '@tiptap/starter-kit'
import type { Session } from '../session/session.ts'
import { Collaboration } from './collaboration.ts'
import { KeepPlace } from './keep-place.ts'
import { LinkOpening } from './link-opening.ts'

/** What a document is made of. A new node, mark or attribute here raises `schemaNumber`. */
const content: Extensions = [
  StarterKit.configure({
    heading: { levels: [1, 2, 3] },
    link: { openOnClick: false, defaultProtocol: 'https' },
    // Undo has to leave other people's edits alone: see Collaboration.
    undoRedo: false,
    // It writes to the document by itself, in every tab that has it open.
    trailingNode: false,
  }),
  TaskList,
  TaskItem.configure({ nested: true }),
]

export function extensionsFor(session: Session): Extensions {
  return [
    ...content,
    Placeholder.configure({ placeholder: 'Start writing. Everyone with this page open sees it as you type.' }),
    LinkOpening,
    Collaboration.configure({ session }),
    KeepPlace,
  ]
}

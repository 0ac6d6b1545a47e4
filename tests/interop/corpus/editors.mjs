import { blocknote } from './editors/blocknote.mjs'
import { codemirror } from './editors/codemirror.mjs'
import { lexical } from './editors/lexical.mjs'
import { prosemirror } from './editors/prosemirror.mjs'
import { quill } from './editors/quill.mjs'
import { tiptap } from './editors/tiptap.mjs'
import { records } from './editors/records.mjs'

export const editors = { ...tiptap, ...prosemirror, ...blocknote, ...codemirror, ...quill, ...lexical, ...records }

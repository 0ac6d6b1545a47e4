import { Editor, getSchema } from '@tiptap/core'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Session } from '../session/session.ts'
import { extensionsFor } from './extensions.ts'
import { PlainText } from './PlainText.tsx'
import { misfitOf, recordSchema, watchForMisfit, type Misfit } from './schema.ts'

interface Props {
  session: Session
  onEditor: (editor: Editor | null) => void
}

/** The text: in the editor, or as plain text if the editor would damage it. */
export function TextArea({ session, onEditor }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const [misfit, setMisfit] = useState<Misfit | null>(null)
  const loaded = session.loaded.value
  const editable = !session.readOnly.value
  const editorRef = useRef<Editor | null>(null)

  useEffect(() => {
    if (!loaded || place.current === null) return
    const stop = mount(session, place.current, (editor) => {
      editorRef.current = editor
      onEditor(editor)
    }, setMisfit)
    return stop
  }, [loaded])

  useEffect(() => editorRef.current?.setEditable(editable, false), [editable])

  if (!loaded) return <Waiting />
  if (misfit !== null) return <PlainText session={session} misfit={misfit} />
  return <div class="sheet" ref={place} />
}

/** Puts the editor into the page for as long as it fits the document. Returns how to take it out again. */
function mount(
  session: Session,
  element: HTMLElement,
  onEditor: (editor: Editor | null) => void,
  onMisfit: (misfit: Misfit) => void,
): () => void {
  const { doc, text } = session
  const extensions = extensionsFor(session)
  const schema = getSchema(extensions)
  const misfit = misfitOf(doc, text, schema)
  if (misfit !== null) {
    onMisfit(misfit)
    return () => {}
  }
  const editor = makeEditor(session, element, extensions)
  const stopRecording = recordSchema(doc)
  const stop = () => {
    stopWatching()
    stopRecording()
    editor.destroy()
    onEditor(null)
  }
  const stopWatching = watchForMisfit(doc, text, schema, (found) => {
    stop()
    onMisfit(found)
  })
  onEditor(editor)
  return stop
}

function makeEditor(session: Session, element: HTMLElement, extensions: ReturnType<typeof extensionsFor>): Editor {
  return new Editor({
    element,
    extensions,
    editable: !session.readOnly.peek(),
    injectCSS: false,
    editorProps: {
      attributes: {
        class: 'text',
        role: 'textbox',
        'aria-multiline': 'true',
        'aria-label': 'Text of the document',
      },
    },
  })
}

function Waiting() {
  return (
    <div class="sheet skeleton" role="status">
      <span class="sr-only">Waiting for the document</span>
      <div />
      <div />
      <div />
      <div />
    </div>
  )
}

import type { Editor } from '@tiptap/core'
import type { RefObject } from 'preact'
import { useState } from 'preact/hooks'

interface Props {
  editor: Editor
  dialog: RefObject<HTMLDialogElement | null>
}

/** Sets, changes or removes the link at the selection. */
export function LinkDialog({ editor, dialog }: Props) {
  const [fault, setFault] = useState<string | null>(null)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const typed = String(new FormData(event.currentTarget as HTMLFormElement).get('href')).trim()
    if (!setLink(editor, completed(typed))) return setFault("This address can't be linked to.")
    close()
  }
  const remove = () => {
    editor.chain().focus().extendMarkRange('link').unsetLink().run()
    close()
  }
  const close = () => {
    setFault(null)
    dialog.current?.close()
    editor.commands.focus()
  }
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="link-title">
      <form onSubmit={submit}>
        <h2 id="link-title">Link</h2>
        <label for="href">Address</label>
        <input id="href" name="href" type="text" inputmode="url" autocomplete="off" required placeholder="example.org" aria-describedby="href-fault" />
        <p id="href-fault" class="fault" role="alert">
          {fault}
        </p>
        <div class="dialog-buttons">
          {editor.isActive('link') && (
            <button class="button" type="button" onClick={remove}>
              Remove link
            </button>
          )}
          <button class="button" type="button" onClick={close}>
            Cancel
          </button>
          <button class="button primary" type="submit">
            Link
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** Opens the dialog on the link at the selection, if there is one. */
export function showLinkDialog(editor: Editor, dialog: HTMLDialogElement | null): void {
  if (dialog === null) return
  const field = dialog.querySelector('input') as HTMLInputElement
  field.value = (editor.getAttributes('link').href as string | undefined) ?? ''
  dialog.showModal()
  field.select()
}

/** Returns false if links to the address aren't allowed, as for `javascript:`. */
function setLink(editor: Editor, href: string): boolean {
  const chain = editor.chain().focus()
  if (editor.state.selection.empty && !editor.isActive('link')) {
    if (!editor.can().setLink({ href })) return false
    return chain.insertContent({ type: 'text', text: href, marks: [{ type: 'link', attrs: { href } }] }).run()
  }
  return chain.extendMarkRange('link').setLink({ href }).run()
}

function completed(address: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(address) || address.startsWith('/') ? address : `https://${address}`
}

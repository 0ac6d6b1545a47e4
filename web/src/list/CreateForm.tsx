import { useState } from 'preact/hooks'
import { documentHref, nameFault } from '../address.ts'
import { createDocument, RequestError } from '../api.ts'
import { PlusIcon } from '../ui/icons.tsx'

interface Fault {
  words: string
  /** A document of that name is there already. */
  taken: string | null
}

export function CreateForm() {
  const [name, setName] = useState('')
  const [fault, setFault] = useState<Fault | null>(null)
  const [busy, setBusy] = useState(false)

  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const wanted = name.trim()
    const wrong = nameFault(wanted)
    if (wrong !== null) return setFault({ words: wrong, taken: null })
    setBusy(true)
    try {
      location.assign(documentHref(await createDocument(wanted === '' ? null : wanted)))
    } catch (error) {
      setFault(faultOf(error, wanted))
      setBusy(false)
    }
  }

  return (
    <form class="create" onSubmit={submit}>
      <label for="name">
        Name <span class="muted">(optional)</span>
      </label>
      <div class="field-row">
        <input
          id="name"
          name="name"
          type="text"
          autocomplete="off"
          placeholder="meeting-notes"
          value={name}
          aria-invalid={fault !== null}
          aria-describedby="name-fault"
          onInput={(event) => {
            setName(event.currentTarget.value)
            setFault(null)
          }}
        />
        <button class="button primary" type="submit" disabled={busy}>
          <PlusIcon />
          New document
        </button>
      </div>
      <p id="name-fault" class="fault" role="alert">
        {fault?.words}
        {fault !== null && fault.taken !== null && (
          <>
            {' '}
            <a href={documentHref(fault.taken)}>Open it</a>
          </>
        )}
      </p>
    </form>
  )
}

function faultOf(error: unknown, name: string): Fault {
  if (!(error instanceof RequestError)) throw error
  if (error.status === 409) return { words: 'A document of this name is there already.', taken: name }
  return { words: error.message, taken: null }
}

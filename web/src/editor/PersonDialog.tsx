import type { RefObject } from 'preact'
import { me, nameLengthMax, palette, renameMe } from '../person.ts'

/** Lets people say who they are. The fields keep what's being typed when the page renders anew for others. */
export function PersonDialog({ dialog }: { dialog: RefObject<HTMLDialogElement | null> }) {
  const submit = (event: SubmitEvent) => {
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    renameMe(String(fields.get('person-name')), String(fields.get('person-color')))
  }
  const { name, color } = me.value
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="person-title">
      <form method="dialog" onSubmit={submit}>
        <h2 id="person-title">You, as others see you</h2>
        <label for="person-name">Name</label>
        <input id="person-name" name="person-name" type="text" autocomplete="nickname" required maxLength={nameLengthMax} defaultValue={name} />
        <fieldset>
          <legend>Colour</legend>
          <div class="swatches">
            {palette.map((choice, index) => (
              <input
                key={choice}
                type="radio"
                name="person-color"
                value={choice}
                defaultChecked={choice === color}
                style={`--person: ${choice}`}
                aria-label={`Colour ${index + 1}`}
              />
            ))}
          </div>
        </fieldset>
        <div class="dialog-buttons">
          <button class="button" type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button class="button primary" type="submit">
            Keep
          </button>
        </div>
      </form>
    </dialog>
  )
}

export function showPersonDialog(dialog: HTMLDialogElement | null): void {
  dialog?.querySelector('form')?.reset()
  dialog?.showModal()
}

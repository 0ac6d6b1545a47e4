import { useState } from 'preact/hooks'
import { isSendable, keepToken } from '../token.ts'

/** Asks for an access token, and loads the page again with it. */
export function TokenForm() {
  const [fault, setFault] = useState<string | null>(null)

  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token')).trim()
    if (!isSendable(token)) return setFault('A browser can send letters, digits and simple signs only.')
    keepToken(token)
    location.reload()
  }

  return (
    <form class="token-form" onSubmit={submit}>
      <label for="token">Access token</label>
      <div class="field-row">
        <input id="token" name="token" type="password" autocomplete="off" required aria-describedby="token-fault" />
        <button class="button primary" type="submit">
          Use it
        </button>
      </div>
      <p id="token-fault" class="fault" role="alert">
        {fault}
      </p>
    </form>
  )
}

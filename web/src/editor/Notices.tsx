import { forgetReadOnly } from '../session/access.ts'
import type { Session } from '../session/session.ts'

/** What the reader has to know and can do something about. */
export function Notices({ session }: { session: Session }) {
  if (session.refusal.value !== null) return <Closed words={session.refusal.value} />
  if (session.readOnly.value) return <ReadOnly session={session} />
  return null
}

function Closed({ words }: { words: string }) {
  return (
    <div class="notice" role="alert">
      <p>{words} What you see is how the document was then; nothing you write now would reach it.</p>
      <button class="button" type="button" onClick={() => location.reload()}>
        Load again
      </button>
    </div>
  )
}

function ReadOnly({ session }: { session: Session }) {
  const refused = session.refused.value > 0
  const tryAgain = () => {
    forgetReadOnly(session.name)
    location.reload()
  }
  return (
    <div class="notice" role="alert">
      <p>
        You can read this document, not change it.
        {refused && " What you wrote was not accepted: it's in this tab only."}
      </p>
      {refused ? (
        <button class="button" type="button" onClick={() => location.reload()}>
          Discard it
        </button>
      ) : (
        <button class="button" type="button" onClick={tryAgain}>
          Try to edit
        </button>
      )}
    </div>
  )
}

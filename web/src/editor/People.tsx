import { useRef } from 'preact/hooks'
import { initials, type Someone } from '../session/people.ts'
import type { Session } from '../session/session.ts'
import { PersonDialog, showPersonDialog } from './PersonDialog.tsx'

const shownMax = 5

export function People({ session }: { session: Session }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const people = session.people.value
  const hidden = people.slice(shownMax)
  return (
    <>
      <ul class="people" aria-label="People here">
        {people.slice(0, shownMax).map((someone) => (
          <li key={someone.key}>
            {someone.self ? (
              <button
                class="avatar self"
                type="button"
                style={`--person: ${someone.color}`}
                title={`${someone.name} (you). Change your name`}
                aria-label={`${someone.name}, you: change your name`}
                onClick={() => showPersonDialog(dialog.current)}
              >
                <Face someone={someone} />
              </button>
            ) : (
              <span class="avatar" role="img" style={`--person: ${someone.color}`} title={titleOf(someone)} aria-label={titleOf(someone)}>
                <Face someone={someone} />
              </span>
            )}
          </li>
        ))}
        {hidden.length > 0 && (
          <li>
            <span class="avatar rest" role="img" title={hidden.map(titleOf).join(', ')} aria-label={hidden.map(titleOf).join(', ')}>
              +{hidden.length}
            </span>
          </li>
        )}
      </ul>
      <PersonDialog dialog={dialog} />
    </>
  )
}

function Face({ someone }: { someone: Someone }) {
  return (
    <>
      {initials(someone.name)}
      {someone.tabs > 1 && <span class="tabs">{someone.tabs}</span>}
    </>
  )
}

function titleOf({ name, tabs }: Someone): string {
  return tabs > 1 ? `${name}, in ${tabs} tabs` : name
}

import { useEffect, useState } from 'preact/hooks'
import type { Session } from '../session/session.ts'
import type { State } from '../session/standing.ts'

const words: Partial<Record<State, string>> = {
  offline: 'The connection is lost. You can go on writing.',
  'read-only': 'You can read this document, not change it.',
  refused: 'The server refused this tab, or something you wrote.',
}

/** Tells a screen reader what matters. The badge itself changes with every keystroke, so it stays silent. */
export function Announcer({ session }: { session: Session }) {
  const { state } = session.standing.value
  const [said, setSaid] = useState('')
  const connected = state === 'saved' || state === 'synced'

  useEffect(() => {
    const news = words[state]
    if (news !== undefined) setSaid(news)
    else if (connected) setSaid((before) => (before === words.offline ? 'Connected again.' : before))
  }, [state])

  return (
    <div class="sr-only" role="status" aria-live="polite">
      {said}
    </div>
  )
}

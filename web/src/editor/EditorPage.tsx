import type { Editor } from '@tiptap/core'
import { useEffect, useState } from 'preact/hooks'
import { Session } from '../session/session.ts'
import { Logo } from '../ui/icons.tsx'
import { TokenForm } from '../ui/TokenForm.tsx'
import { Announcer } from './Announcer.tsx'
import { CopyLink } from './CopyLink.tsx'
import { Notices } from './Notices.tsx'
import { People } from './People.tsx'
import { StatusBadge } from './StatusBadge.tsx'
import { TextArea } from './TextArea.tsx'
import { Toolbar } from './Toolbar.tsx'
import '../styles/editor.css'
import '../styles/text.css'

export function EditorPage({ name }: { name: string }) {
  const [session, setSession] = useState<Session | null>(null)
  useEffect(() => {
    const opened = new Session(name)
    setSession(opened)
    return () => opened.close()
  }, [name])
  return session && <Desk session={session} />
}

function Desk({ session }: { session: Session }) {
  const [editor, setEditor] = useState<Editor | null>(null)
  const shut = session.refusal.value !== null && !session.loaded.value
  return (
    <div class="editor-page">
      <header class="bar">
        <a class="home" href="./" aria-label="All documents">
          <Logo />
        </a>
        <div class="title">
          <h1>{session.name}</h1>
          <StatusBadge standing={session.standing.value} />
        </div>
        <People session={session} />
        <CopyLink />
      </header>
      {editor !== null && !session.readOnly.value && <Toolbar editor={editor} />}
      <main>
        {shut ? <Shut session={session} /> : <Notices session={session} />}
        {!shut && <TextArea session={session} onEditor={setEditor} />}
      </main>
      <Announcer session={session} />
    </div>
  )
}

function Shut({ session }: { session: Session }) {
  return (
    <section class="shut" role="alert">
      <h2>You can't open this document</h2>
      <p>{session.refusal.value}</p>
      <TokenForm />
    </section>
  )
}

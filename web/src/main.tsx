import { render, type ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { documentIn } from './address.ts'
import { ListPage } from './list/ListPage.tsx'
import { takeTokenFromAddress } from './token.ts'
import { Crash } from './ui/Crash.tsx'
import './styles/base.css'

type Page = ComponentType<{ name: string }>

/** The editor is most of the code, and comes when a document is opened. */
function Editor({ name }: { name: string }) {
  const [Loaded, setLoaded] = useState<Page | null>(null)
  const [failed, setFailed] = useState(false)
  useEffect(() => {
    import('./editor/EditorPage.tsx').then(
      ({ EditorPage }) => setLoaded(() => EditorPage),
      () => setFailed(true),
    )
  }, [])
  if (failed) return <Crash />
  return Loaded === null ? <p class="opening">Opening {name}…</p> : <Loaded name={name} />
}

function App() {
  const name = documentIn(location.pathname, new URL(document.baseURI).pathname)
  useEffect(() => {
    document.title = name === null ? 'y-mesh' : `${name} – y-mesh`
  }, [name])
  return name === null ? <ListPage /> : <Editor name={name} />
}

takeTokenFromAddress()
// A link with another token, followed from this very page, changes the fragment and nothing else.
window.addEventListener('hashchange', () => {
  if (takeTokenFromAddress()) location.reload()
})
render(<App />, document.getElementById('app') as HTMLElement)

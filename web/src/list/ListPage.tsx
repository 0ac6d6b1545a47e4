import { useEffect } from 'preact/hooks'
import { documentHref, socketUrl } from '../address.ts'
import type { DocumentEntry, RequestError } from '../api.ts'
import { currentToken } from '../token.ts'
import { Logo, PageIcon } from '../ui/icons.tsx'
import { TokenForm } from '../ui/TokenForm.tsx'
import { CreateForm } from './CreateForm.tsx'
import { entries, failure, loadMore, next, progress, refresh } from './documents.ts'
import '../styles/list.css'

export function ListPage() {
  useEffect(() => {
    void refresh()
    const onReturn = () => document.visibilityState === 'visible' && void refresh()
    document.addEventListener('visibilitychange', onReturn)
    return () => document.removeEventListener('visibilitychange', onReturn)
  }, [])

  return (
    <div class="list-page" data-state={progress.value}>
      <header class="masthead">
        <Logo />
        <span class="wordmark">y-mesh</span>
      </header>
      <main>
        <h1>Documents</h1>
        <Body />
      </main>
    </div>
  )
}

function Body() {
  const fault = failure.value
  if (fault !== null && (fault.status === 401 || fault.status === 403)) return <Locked fault={fault} />
  return (
    <>
      <CreateForm />
      {fault !== null && <Failed fault={fault} />}
      {progress.value === 'loading' && <Skeleton />}
      {progress.value === 'ready' && entries.value.length === 0 && <Empty />}
      {entries.value.length > 0 && <Rows />}
    </>
  )
}

function Rows() {
  return (
    <>
      <ul class="documents">
        {entries.value.map((entry) => (
          <Row key={entry.name} entry={entry} />
        ))}
      </ul>
      {next.value !== null && (
        <button class="button more" type="button" onClick={() => void loadMore()}>
          Show more
        </button>
      )}
    </>
  )
}

function Row({ entry }: { entry: DocumentEntry }) {
  return (
    <li>
      <a class="document" href={documentHref(entry.name)}>
        <PageIcon />
        <span class="document-name">{entry.name}</span>
        {entry.sessions > 0 && (
          <span class="here">
            {entry.sessions} here<span class="sr-only"> now</span>
          </span>
        )}
      </a>
    </li>
  )
}

function Empty() {
  return (
    <section class="empty">
      <MeshDrawing />
      <h2>Nothing here yet</h2>
      <ol>
        <li>
          <strong>Make a document.</strong> Without a name it gets one.
        </li>
        <li>
          <strong>Pass its address on.</strong> Whoever opens it writes in the same text, at the same time.
        </li>
        <li>
          <strong>Or bring your own editor.</strong> Any Yjs client finds its documents at{' '}
          <code>{socketUrl(document.baseURI)}/‹name›</code>
        </li>
      </ol>
    </section>
  )
}

/** Three carets joined to one text. */
function MeshDrawing() {
  return (
    <svg class="mesh-drawing" viewBox="0 0 220 96" aria-hidden="true">
      <g class="threads">
        <path d="M30 20C70 20 70 48 110 48M30 76c40 0 40-28 80-28M190 48h-80" />
      </g>
      <g class="page">
        <rect x="86" y="16" width="48" height="64" rx="6" />
        <path d="M96 32h28M96 42h20M96 52h26M96 62h14" />
      </g>
      <circle class="one" cx="30" cy="20" r="9" />
      <circle class="two" cx="30" cy="76" r="9" />
      <circle class="three" cx="190" cy="48" r="9" />
    </svg>
  )
}

function Failed({ fault }: { fault: RequestError }) {
  return (
    <div class="notice" role="alert">
      <p>{fault.message}</p>
      <button class="button" type="button" onClick={() => void refresh()}>
        Try again
      </button>
    </div>
  )
}

function Locked({ fault }: { fault: RequestError }) {
  return (
    <section class="locked">
      <p>
        {currentToken() === null
          ? 'This server shows its documents to those with an access token only.'
          : `This access token doesn't open the list. ${fault.message}`}
      </p>
      <TokenForm />
    </section>
  )
}

function Skeleton() {
  return (
    <div class="skeleton" role="status">
      <span class="sr-only">Loading the documents</span>
      <div />
      <div />
      <div />
    </div>
  )
}

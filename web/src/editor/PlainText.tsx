import { useEffect, useState } from 'preact/hooks'
import * as Y from 'yjs'
import type { Session } from '../session/session.ts'
import type { Misfit } from './schema.ts'

const words: Record<Misfit, string> = {
  newer: 'This document was written with a newer page than this one. Here is its text; load the page again to edit it.',
  unknown: "This document holds something this page doesn't know, and editing would lose it. Here is its text.",
}

/** Shows the text and writes nothing. */
export function PlainText({ session, misfit }: { session: Session; misfit: Misfit }) {
  const [blocks, setBlocks] = useState(() => blocksOf(session.text))
  useEffect(() => {
    const update = () => setBlocks(blocksOf(session.text))
    session.doc.on('update', update)
    return () => session.doc.off('update', update)
  }, [session])

  return (
    <>
      <div class="notice" role="alert" data-misfit={misfit}>
        <p>{words[misfit]}</p>
        <button class="button" type="button" onClick={() => location.reload()}>
          Load again
        </button>
      </div>
      <div class="sheet">
        <div class="text plain">
          {blocks.map((block) => (
            <p>{block}</p>
          ))}
        </div>
      </div>
    </>
  )
}

/** The texts of the innermost blocks, in order. */
function blocksOf(type: Y.XmlFragment): string[] {
  const children = type.toArray()
  const nested = children.filter((child) => child instanceof Y.XmlElement)
  const own = children.filter((child) => child instanceof Y.XmlText).map(textOf).join('')
  return [...(own === '' ? [] : [own]), ...nested.flatMap((child) => blocksOf(child))]
}

function textOf(text: Y.XmlText): string {
  const delta = text.toDelta() as { insert: unknown }[]
  return delta.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('')
}

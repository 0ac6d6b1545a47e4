// Keeps what somebody looks at at the same height, while others write above it. The browser's own scroll anchoring
// doesn't always take hold here, and not every browser has it.
import type { EditorView } from '@tiptap/pm/view'

/** The present height of something on the screen; null once it's gone. */
type Mark = () => number | null

/** Notes what's being looked at. What it returns brings that back to its height. */
export function holdView(view: EditorView): () => void {
  const mark = caretMark(view) ?? blockMark(view)
  const before = mark?.() ?? null
  return () => {
    const after = mark?.() ?? null
    if (before === null || after === null || before === after) return
    window.scrollBy({ top: after - before, behavior: 'instant' })
  }
}

/** The caret, if it's on the screen. */
function caretMark(view: EditorView): Mark | null {
  if (!view.hasFocus()) return null
  const height: Mark = () => view.coordsAtPos(view.state.selection.head).top
  const now = height()
  return now !== null && now >= 0 && now < window.innerHeight ? height : null
}

/** The first block whose beginning is on the screen, or the one that fills it. At the very top nothing is held. */
function blockMark({ dom }: EditorView): Mark | null {
  if (window.scrollY === 0) return null
  const first = firstVisible(dom.children)
  if (first === undefined) return null
  const next = first.nextElementSibling
  const begun = next !== null && top(first) < 0 && top(next) < window.innerHeight
  const block = begun ? next : first
  return () => (block.isConnected ? top(block) : null)
}

function firstVisible(blocks: HTMLCollection): Element | undefined {
  let [low, high] = [0, blocks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((blocks[middle]?.getBoundingClientRect().bottom ?? 0) > 0) high = middle
    else low = middle + 1
  }
  return blocks[low]
}

function top(element: Element): number {
  return element.getBoundingClientRect().top
}

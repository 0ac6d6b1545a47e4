import { useState } from 'preact/hooks'
import { CheckIcon, ShareIcon } from '../ui/icons.tsx'

const shownMs = 2000

export function CopyLink() {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    await copyText(location.origin + location.pathname)
    setCopied(true)
    setTimeout(() => setCopied(false), shownMs)
  }
  return (
    <button class="button share" type="button" onClick={() => void copy()}>
      {copied ? <CheckIcon /> : <ShareIcon />}
      <span class="share-words">{copied ? 'Copied' : 'Copy link'}</span>
      <span class="sr-only" role="status">
        {copied && 'The link is copied.'}
      </span>
    </button>
  )
}

/** The clipboard is there on secure origins only; a server on the local network may not be one. */
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text)
  const field = document.createElement('textarea')
  field.value = text
  document.body.append(field)
  field.select()
  document.execCommand('copy')
  field.remove()
}

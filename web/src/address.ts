// Documents and their addresses. Everything is relative to the page's base, which the server sets to wherever
// it's mounted.

/** The name as URL path segments: `/` separates, all else is escaped. */
export function documentPath(name: string): string {
  const segments = name.split('/')
  // A browser resolves `.` and `..`, even when escaped. In a longer segment they are left alone.
  if (segments.some(isDots)) return encodeURIComponent(name)
  return segments.map(encodeURIComponent).join('/')
}

/** Where the page of a document is, relative to the base. */
export function documentHref(name: string): string {
  return `d/${documentPath(name)}`
}

/** The document that a page's path names: null for any other page, or if the escapes aren't valid. */
export function documentIn(pathname: string, basePath: string): string | null {
  const prefix = `${basePath}d/`
  if (!pathname.startsWith(prefix) || pathname.length === prefix.length) return null
  try {
    return decodeURIComponent(pathname.slice(prefix.length))
  } catch {
    return null
  }
}

/** Where documents' sockets are, without the document. */
export function socketUrl(baseUri: string): string {
  const url = new URL('ws', baseUri)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.search = ''
  url.hash = ''
  return url.href
}

/** What's wrong with a name for a new document, in words; null if nothing is. */
export function nameFault(name: string): string | null {
  if (isDots(name)) return 'A name of dots alone has no address.'
  if (/\p{Cc}/u.test(name)) return 'A name holds no control characters.'
  if (new TextEncoder().encode(name).length > 256) return 'A name is at most 256 bytes long.'
  return null
}

function isDots(segment: string): boolean {
  return segment === '.' || segment === '..'
}

import * as Y from 'yjs'

/** What a document shows, in a form that any implementation of Yjs can be asked for: see data/fixtures/honest/README.md. */
export function contentOf(doc, roots) {
  return Object.fromEntries(Object.entries(roots).map(([name, kind]) => [name, ofType(root(doc, name, kind))]))
}

function root(doc, name, kind) {
  switch (kind) {
    case 'text': return doc.getText(name)
    case 'array': return doc.getArray(name)
    case 'map': return doc.getMap(name)
    case 'fragment': return doc.getXmlFragment(name)
    case 'element': return doc.getXmlElement(name)
    case 'xmltext': return doc.get(name, Y.XmlText)
    default: throw new Error(`no kind of root: ${kind}`)
  }
}

function ofType(type) {
  if (type instanceof Y.Text) return withAttributes({ text: type.toDelta().map(run) }, type)
  if (type instanceof Y.Array) return { array: type.toArray().map(ofValue) }
  if (type instanceof Y.XmlElement) {
    return withAttributes({ element: type.nodeName, children: type.toArray().map(ofType) }, type)
  }
  if (type instanceof Y.XmlFragment) return { children: type.toArray().map(ofType) }
  if (type instanceof Y.Map) return { map: entries(type.entries()) }
  throw new Error(`no kind of type: ${type.constructor.name}`)
}

function withAttributes(content, type) {
  const attributes = entries(Object.entries(type.getAttributes()))
  return Object.keys(attributes).length ? { ...content, attributes } : content
}

function run({ insert, attributes }) {
  const what = ofValue(insert)
  return attributes ? [what, entries(Object.entries(attributes))] : [what]
}

const entries = pairs =>
  Object.fromEntries([...pairs].map(([key, value]) => [key.toWellFormed(), ofValue(value)]).sort(([a], [b]) => (a < b ? -1 : 1)))

function ofValue(value) {
  if (value instanceof Y.AbstractType) return { $type: ofType(value) }
  if (value instanceof Y.Doc) return { $doc: value.guid }
  if (value instanceof Uint8Array) return { $bytes: [...value] }
  if (value === undefined) return { $undefined: true }
  if (typeof value === 'bigint') return ofBigInt(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return { $number: String(value) }
  if (Array.isArray(value)) return value.map(ofValue)
  if (value && typeof value === 'object') return entries(Object.entries(value))
  // Half a surrogate pair can't be sent; only JSON text can say it, which not everybody can read.
  return typeof value === 'string' ? value.toWellFormed() : value
}

// A BigInt that a number holds exactly may be one after the state was encoded by yrs.
const ofBigInt = value => (BigInt(Number(value)) === value ? Number(value) : { $bigint: String(value) })

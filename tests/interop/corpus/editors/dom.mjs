// A browser's document without a browser, as far as editors need one when nobody looks.
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('<!doctype html><body></body>', { pretendToBeVisual: true, url: 'http://localhost/' })

const NAMES = [
  'document', 'navigator', 'Window', 'Node', 'Text', 'Element', 'HTMLElement', 'Document', 'DocumentFragment', 'MutationObserver', 'Range', 'DOMParser',
  'Event', 'KeyboardEvent', 'CustomEvent', 'getComputedStyle', 'requestAnimationFrame', 'cancelAnimationFrame',
  'HTMLAnchorElement', 'HTMLImageElement', 'Selection', 'ShadowRoot', 'XMLSerializer', 'innerHeight', 'innerWidth'
]
for (const name of NAMES) globalThis[name] ??= window[name]
globalThis.window ??= window
const nowhere = { x: 0, y: 0, top: 0, left: 0, bottom: 0, right: 0, width: 0, height: 0 }
for (const type of [window.Range, window.Element]) {
  type.prototype.getClientRects = () => []
  type.prototype.getBoundingClientRect = () => nowhere
}
window.matchMedia ??= () => ({ matches: false, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} })
globalThis.ResizeObserver ??= class { observe() {} unobserve() {} disconnect() {} }
globalThis.IntersectionObserver ??= class { observe() {} unobserve() {} disconnect() {} }
window.ResizeObserver ??= globalThis.ResizeObserver
document.elementFromPoint ??= () => null

/** A place for an editor. */
export function place() {
  return document.body.appendChild(document.createElement('div'))
}

/** What editors put off until later is done. */
export const later = () => new Promise(resolve => setTimeout(resolve, 5))

/** Everybody hears everything, what editors put off until later included. */
export async function hear(recorder) {
  await later()
  recorder.settle()
  await later()
}

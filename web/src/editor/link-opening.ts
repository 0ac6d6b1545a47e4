// In editable text a click places the caret. With Ctrl or Cmd it opens the link, as in other editors.
import { Extension } from '@tiptap/core'
import { Plugin } from '@tiptap/pm/state'

export const LinkOpening = Extension.create({
  name: 'linkOpening',

  addProseMirrorPlugins() {
    return [new Plugin({ props: { handleClick: (_view, _pos, event) => openLink(event) } })]
  },
})

function openLink(event: MouseEvent): boolean {
  if (!(event.ctrlKey || event.metaKey) || !(event.target instanceof Element)) return false
  const link = event.target.closest<HTMLAnchorElement>('a[href]')
  if (link === null) return false
  window.open(link.href, '_blank', 'noopener')
  return true
}

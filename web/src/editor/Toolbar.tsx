import type { Editor } from '@tiptap/core'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useReducer, useRef } from 'preact/hooks'
import { LinkIcon, RedoIcon, UndoIcon } from '../ui/icons.tsx'
import { applyStyle, blocks, hint, marks, styleAt, styles, type Toggle } from './actions.ts'
import { canRedo, canUndo } from './collaboration.ts'
import { LinkDialog, showLinkDialog } from './LinkDialog.tsx'
import { moveFocus, useSingleTabStop } from './tab-stop.ts'

export function Toolbar({ editor }: { editor: Editor }) {
  const bar = useRef<HTMLDivElement>(null)
  const linkDialog = useRef<HTMLDialogElement>(null)
  useRenderOnChange(editor)
  useSingleTabStop(bar)
  useShortcuts(editor, bar, () => showLinkDialog(editor, linkDialog.current))

  return (
    <>
      <div
        ref={bar}
        class="toolbar"
        role="toolbar"
        aria-label="Formatting"
        aria-keyshortcuts="Alt+F10"
        onKeyDown={(event) => (event.key === 'Escape' ? editor.commands.focus() : moveFocus(event))}
      >
        <Group>
          <Tool label="Undo" title={hint({ label: 'Undo', keys: 'Mod Z' })} disabled={!canUndo(editor.state)} onUse={() => editor.commands.undoOwn()}>
            <UndoIcon />
          </Tool>
          <Tool label="Redo" title={hint({ label: 'Redo', keys: 'Mod Shift Z' })} disabled={!canRedo(editor.state)} onUse={() => editor.commands.redoOwn()}>
            <RedoIcon />
          </Tool>
        </Group>
        <Group>
          <StyleChoice editor={editor} />
        </Group>
        <Group>
          {marks.map((toggle) => (
            <ToggleTool key={toggle.name} editor={editor} toggle={toggle} />
          ))}
          <Tool
            label="Link"
            title={hint({ label: 'Link', keys: 'Mod K' })}
            pressed={editor.isActive('link')}
            onUse={() => showLinkDialog(editor, linkDialog.current)}
          >
            <LinkIcon />
          </Tool>
        </Group>
        <Group>
          {blocks.map((toggle) => (
            <ToggleTool key={toggle.name} editor={editor} toggle={toggle} />
          ))}
        </Group>
      </div>
      <LinkDialog editor={editor} dialog={linkDialog} />
    </>
  )
}

function Group({ children }: { children: ComponentChildren }) {
  return <div class="tools">{children}</div>
}

function StyleChoice({ editor }: { editor: Editor }) {
  return (
    <select aria-label="Style of the paragraph" value={styleAt(editor)} onChange={(event) => applyStyle(editor, event.currentTarget.value)}>
      {styles.map(({ value, label }) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  )
}

function ToggleTool({ editor, toggle }: { editor: Editor; toggle: Toggle }) {
  const { name, label, Icon, run } = toggle
  return (
    <Tool label={label} title={hint(toggle)} pressed={editor.isActive(name)} onUse={() => run(editor.chain().focus()).run()}>
      <Icon />
    </Tool>
  )
}

interface ToolProps {
  label: string
  title: string
  pressed?: boolean
  disabled?: boolean
  onUse: () => void
  children: JSX.Element
}

function Tool({ label, title, pressed, disabled, onUse, children }: ToolProps) {
  return (
    <button
      class="tool"
      type="button"
      aria-label={label}
      title={title}
      aria-pressed={pressed}
      aria-disabled={disabled}
      // The text keeps the focus, and a phone its keyboard.
      onMouseDown={(event) => event.preventDefault()}
      onClick={() => !disabled && onUse()}
    >
      {children}
    </button>
  )
}

function useRenderOnChange(editor: Editor): void {
  const [, render] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    const onChange = () => render(undefined)
    editor.on('transaction', onChange)
    return () => void editor.off('transaction', onChange)
  }, [editor])
}

function useShortcuts(editor: Editor, bar: { current: HTMLElement | null }, link: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.altKey && event.key === 'F10') bar.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus()
      else if ((event.ctrlKey || event.metaKey) && event.key === 'k') link()
      else return
      event.preventDefault()
    }
    const { dom } = editor.view
    dom.addEventListener('keydown', onKey)
    return () => dom.removeEventListener('keydown', onKey)
  }, [editor])
}

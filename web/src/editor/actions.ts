// What the toolbar offers.
import type { ChainedCommands, Editor } from '@tiptap/core'
import type { JSX } from 'preact'
import {
  BoldIcon,
  BulletIcon,
  CodeBlockIcon,
  CodeIcon,
  ItalicIcon,
  NumberIcon,
  QuoteIcon,
  StrikeIcon,
  TaskIcon,
} from '../ui/icons.tsx'

export interface Toggle {
  name: string
  label: string
  keys: string
  Icon: () => JSX.Element
  run: (chain: ChainedCommands) => ChainedCommands
}

export const marks: Toggle[] = [
  { name: 'bold', label: 'Bold', keys: 'Mod B', Icon: BoldIcon, run: (chain) => chain.toggleBold() },
  { name: 'italic', label: 'Italic', keys: 'Mod I', Icon: ItalicIcon, run: (chain) => chain.toggleItalic() },
  { name: 'strike', label: 'Strike through', keys: 'Mod Shift S', Icon: StrikeIcon, run: (chain) => chain.toggleStrike() },
  { name: 'code', label: 'Code', keys: 'Mod E', Icon: CodeIcon, run: (chain) => chain.toggleCode() },
]

export const blocks: Toggle[] = [
  { name: 'bulletList', label: 'Bullet list', keys: 'Mod Shift 8', Icon: BulletIcon, run: (chain) => chain.toggleBulletList() },
  { name: 'orderedList', label: 'Numbered list', keys: 'Mod Shift 7', Icon: NumberIcon, run: (chain) => chain.toggleOrderedList() },
  { name: 'taskList', label: 'Task list', keys: 'Mod Shift 9', Icon: TaskIcon, run: (chain) => chain.toggleTaskList() },
  { name: 'blockquote', label: 'Quote', keys: 'Mod Shift B', Icon: QuoteIcon, run: (chain) => chain.toggleBlockquote() },
  { name: 'codeBlock', label: 'Code block', keys: 'Mod Alt C', Icon: CodeBlockIcon, run: (chain) => chain.toggleCodeBlock() },
]

export const styles = [
  { value: '0', label: 'Text' },
  { value: '1', label: 'Heading 1' },
  { value: '2', label: 'Heading 2' },
  { value: '3', label: 'Heading 3' },
]

/** The heading level at the selection; '0' for anything else. */
export function styleAt(editor: Editor): string {
  return styles.find(({ value }) => editor.isActive('heading', { level: Number(value) }))?.value ?? '0'
}

export function applyStyle(editor: Editor, value: string): void {
  const chain = editor.chain().focus()
  const level = Number(value)
  if (level === 1 || level === 2 || level === 3) chain.setHeading({ level }).run()
  else chain.setParagraph().run()
}

const isMac = /Mac|iPhone|iPad/.test(navigator.platform)

export function hint({ label, keys }: Pick<Toggle, 'label' | 'keys'>): string {
  return `${label} (${keys.replace('Mod', isMac ? '⌘' : 'Ctrl').replaceAll(' ', '+')})`
}
